/**
 * The keystore of one node: a directory with one encrypted file a key, the public inception entry
 * and the own succession. Secrets leave it only as signatures and proofs and, for libp2p and Tor,
 * as copies that their user wipes. While it is open it keeps the key that was derived from the
 * passphrase, not the passphrase, so that new key files can be sealed and opened. It knows neither
 * the cluster nor the network, and it cannot rotate: that takes the successor (rotation.ts).
 */
import { basename } from 'node:path';
import type { OnionKey } from '../crypto/onion.ts';
import { AegisError } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import type { ConsensusKeys } from '../model/bundle.ts';
import type { Inception } from '../model/identity.ts';
import type { SignedSession } from '../model/session.ts';
import type { KeyState } from '../model/succession.ts';
import type { KeyRing, Random, SeedProver, Signer, VoteSigner } from '../ports.ts';
import { Turns } from '../turns.ts';
import { readKeyFile } from './disk.ts';
import {
  type CreateOptions,
  firstInception,
  makeFirstKeys,
  sealAll,
  writeAll,
} from './first-keys.ts';
import {
  type Inspection,
  type PendingRotation,
  type ReadOptions,
  type RetiredEntry,
  readHome,
} from './home.ts';
import type { KeyFile } from './key-file.ts';
import {
  entryPath,
  handedInPath,
  keyInForce,
  keyPath,
  OPEN_ROLES,
  type OpenRole,
  type RetiringRole,
  restoredPath,
} from './layout.ts';
import { fromHex, hex } from './material.ts';
import { openKey } from './open-key.ts';
import { systemRandom } from './random.ts';
import { ReadingKeys } from './reading.ts';
import type { Ring } from './ring.ts';
import { Sessions } from './sessions.ts';
import { type Settled, type SettleOptions, settleHome } from './settle.ts';
import { alone, othersOf, type Sharing } from './sharing.ts';
import { realDisk } from './steps.ts';
import { kdfOf, Unlocker } from './unlocker.ts';

export interface OpenOptions {
  readonly dir: string;
  readonly passphrase: string;
  /** Holds the keys that are behind a signer (G1), whose files are not here. */
  readonly remote?: KeyRing;
  readonly behindSigner?: readonly OpenRole[];
  /** J2: for a home that may have several clusters. */
  readonly sharing?: Sharing | undefined;
}

type Final = Pick<SettleOptions, 'succession' | 'graceUntil' | 'now'>;

interface Parts {
  readonly dir: string;
  readonly home: Inspection;
  readonly ring: Ring;
  /** Knows derived keys and no passphrase. */
  readonly sealer: Unlocker;
}

/** An open keystore. `close` wipes its secrets; afterwards it signs no more. */
export class Keystore implements KeyRing, Disposable {
  readonly nodeId: string;
  readonly inception: Inception;
  /** The signed inception entry, as it travels. */
  readonly inceptionBytes: Uint8Array;
  /** Signs with the identity key in force. */
  readonly signer: Signer;
  readonly #dir: string;
  readonly #ring: Ring;
  readonly #sealer: Unlocker;
  readonly #sessions: Sessions;
  readonly #reading: ReadingKeys;
  readonly #behindSigner: readonly OpenRole[];
  readonly sharing: Sharing | undefined;
  #home: Inspection;
  #seen = '';
  #keptOnion: { readonly publicKey: Uint8Array; readonly until: number } | undefined;
  readonly #turns = new Turns();

  private constructor(parts: Parts, options: Pick<OpenOptions, 'behindSigner' | 'sharing'> = {}) {
    const { dir, home, ring, sealer } = parts;
    this.nodeId = home.nodeId;
    this.inception = home.inception;
    this.inceptionBytes = home.bytes;
    this.#dir = dir;
    this.#home = home;
    this.#ring = ring;
    this.#sealer = sealer;
    this.#behindSigner = options.behindSigner ?? [];
    this.sharing = options.sharing;
    const kdf = () => kdfOf(this.#anyFile());
    this.#reading = new ReadingKeys({ dir, sealer, kdf });
    this.#sessions = new Sessions({
      dir,
      cluster: options.sharing?.cluster,
      sealer,
      kdf,
      identityKey: (keyEpoch) =>
        this.#home.states.find((state) => state.keyEpoch === keyEpoch)?.keys.identityKey,
    });
    const keys = (): KeyState['keys'] => this.current.keys;
    const inForce = (): Signer => this.#identityInForce();
    this.signer = {
      get publicKey() {
        return keys().identityKey;
      },
      sign: (message) => inForce().sign(message),
    };
  }

  /**
   * Makes the keys of a new node. All files appear at once, or none.
   * @throws {AegisError} `EXISTS` when `dir` holds anything; `BAD_REQUEST` for bad names.
   */
  static async create(
    options: CreateOptions,
    deps: { readonly random: Random },
  ): Promise<{ keystore: Keystore; nodeId: string }> {
    const { dir } = options;
    const keys = await makeFirstKeys(deps.random);
    const bytes = firstInception(keys, options);
    const sealer = new Unlocker(options.passphrase);
    await writeAll(dir, bytes, sealAll(keys, options, { ...deps, sealer }));
    keys.next.secret.fill(0);
    const { Ring } = await import('./ring.ts');
    const ring = new Ring();
    for (const role of OPEN_ROLES) ring.add(role, keys[role]);
    sealer.forget();
    const keystore = new Keystore({ dir, home: await readHome(dir), ring, sealer });
    return { keystore, nodeId: keystore.nodeId };
  }

  /**
   * Opens all keys but the successor's, whose file is not needed and not touched. Those of a
   * pending rotation stay closed until it is adopted.
   * @throws {AegisError} `NO_HOME`, `WRONG_PASSPHRASE`, `KEYSTORE_DAMAGED`, `BAD_CONFIG` for a home
   * from before there was consensus.
   */
  static open(options: OpenOptions): Promise<Keystore> {
    return alone(options.sharing, () => Keystore.#open(options));
  }

  static async #open(options: OpenOptions): Promise<Keystore> {
    const { dir, behindSigner = [], sharing } = options;
    const home = await readHome(dir, { behindSigner, view: sharing });
    const { Ring } = await import('./ring.ts');
    const ring = new Ring(options.remote);
    const sealer = new Unlocker(options.passphrase);
    try {
      for (const { role, path } of [...home.keys, ...home.retired]) {
        if (role !== 'next') ring.add(role, await openKey(path, sealer));
      }
      sealer.forget();
      const keystore = new Keystore({ dir, home, ring, sealer }, options);
      await keystore.#sessions.load();
      await keystore.#reading.load();
      return keystore;
    } catch (error) {
      ring.close();
      sealer.close();
      throw error;
    }
  }

  /**
   * Reads the public parts, without a passphrase.
   * @throws {AegisError} `NO_HOME`, `KEYSTORE_DAMAGED`, `BAD_CONFIG` as in `open`.
   */
  static async inspect(dir: string, options: Pick<ReadOptions, 'view'> = {}): Promise<Inspection> {
    return await readHome(dir, options);
  }

  /** The keys in force, as far as this home knows. */
  get current(): KeyState {
    return this.#home.current;
  }

  /** The own signed entries, from the first on. */
  get succession(): readonly Uint8Array[] {
    return this.#home.succession;
  }

  /** The keys of consensus with which the succession begins. */
  get origin(): ConsensusKeys {
    return this.#home.origin;
  }

  /** The keys of consensus in force, as bundles carry them. */
  get consensusKeys(): ConsensusKeys {
    const { consensusKey, possession, vrfKey } = this.current.keys;
    return { consensusKey, possession, vrfKey };
  }

  /** What was prepared when the keystore was opened, adopted or settled last. */
  pending(): PendingRotation | undefined {
    return this.#home.pending;
  }

  /** K2: the consensus keys (hexadecimal) that a backup brought; undefined once another is used. */
  get restored(): readonly string[] | undefined {
    return this.#home.restored;
  }

  /** K3: roles whose key in force is neither here nor behind the signer. */
  missing(): OpenRole[] {
    return OPEN_ROLES.filter((role) => {
      const key = keyInForce(this.current, role);
      return !this.#ring.holds(role, key);
    });
  }

  /** K2: an operator vouches that nobody else has voted with these keys. */
  async vouch(): Promise<void> {
    if (this.restored === undefined) return;
    await realDisk.unlink(restoredPath(this.#dir));
    this.#home = await this.#read();
  }

  identity(publicKey: Uint8Array): Signer | undefined {
    return this.#ring.identity(publicKey);
  }

  reached(): Promise<void> {
    return this.#ring.reached();
  }

  votes(publicKey: Uint8Array): VoteSigner | undefined {
    return this.#ring.votes(publicKey);
  }

  seeds(publicKey: Uint8Array): SeedProver | undefined {
    return this.#ring.seeds(publicKey);
  }

  /**
   * The consensus keys (hexadecimal) with which this home may have voted before now. A pending one
   * is among them, since a disk may have been rolled back to before it came into force; but in a
   * restored home (K2) they are those of the backup, so that a rotation ends the silence.
   */
  heldConsensusKeys(): readonly string[] {
    const { restored, pending } = this.#home;
    if (restored !== undefined) return restored;
    const prepared = pending?.after.keys.consensusKey;
    const held = [...this.#ring.heldConsensusKeys(), ...(prepared ? [hex(prepared)] : [])];
    return [...new Set(held)];
  }

  /**
   * Opens the rotation that has been prepared in the home, perhaps by another process.
   * @returns undefined when there is none.
   * @throws {AegisError} `KEYSTORE_DAMAGED`, `WRONG_PASSPHRASE` when the passphrase was changed
   * while the keystore was open.
   */
  adoptPending(): Promise<PendingRotation | undefined> {
    return this.#inTurn(async () => {
      this.#home = await this.#read();
      const { pending } = this.#home;
      for (const { role, path } of pending?.keys ?? []) {
        if (role !== 'next') this.#ring.add(role, await openKey(path, this.#sealer));
      }
      return pending;
    });
  }

  /** J2: whether a rotation waits in the home that was not there when this was asked last. */
  async hasNews(): Promise<boolean> {
    const found = await statIfPresent(entryPath(this.#dir));
    const seen = found === undefined ? '' : `${found.ino} ${found.mtimeMs}`;
    if (seen === this.#seen) return false;
    this.#home = await this.#read();
    this.#seen = seen;
    return this.#home.pending !== undefined;
  }

  /** J2: another cluster has handed the pending entry in, so that there is no way back. */
  get isOutElsewhere(): boolean {
    const own = basename(this.#handedInPath);
    return this.#home.pending?.handedIn.some((mark) => mark !== own) === true;
  }

  /** To be called before the pending entry is shown to anybody. Durable when it resolves. */
  async markHandedIn(): Promise<void> {
    const { pending, restored } = this.#home;
    // J2: each cluster has its own mark, so that none takes back what another has shown.
    const isMarked = pending?.handedIn.includes(basename(this.#handedInPath)) === true;
    if (pending === undefined || isMarked || restored !== undefined) return;
    await realDisk.write(this.#handedInPath, '');
    this.#home = await this.#read();
  }

  /**
   * The pending entry can never be executed, nor be evidence (S6): it may be given up, and another
   * one made in its place.
   */
  async markRefused(): Promise<void> {
    if ((await statIfPresent(this.#handedInPath)) === undefined) return;
    await realDisk.unlink(this.#handedInPath);
    this.#home = await this.#read();
  }

  /**
   * Brings the home to the keys that are final: promotes prepared ones, erases retired (A4; the
   * network and onion keys after their grace), follows a chain that knows more (K3). To be repeated
   * after a cut.
   */
  settle(state: KeyState, options: Final): Promise<Settled> {
    return this.#inTurn(() => this.#settle(state, options));
  }

  /** What moves files, and what reads by their places, must not meet. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.run(() => alone(this.sharing, work));
  }

  async #settle(state: KeyState, options: Final): Promise<Settled> {
    const { sharing } = this;
    const settled = await settleHome({
      ...options,
      ...(sharing && { sharing: { cluster: sharing.cluster, others: await othersOf(sharing) } }),
      dir: this.#dir,
      state,
      behindSigner: this.#behindSigner,
    });
    this.#home = await this.#read();
    const { pending, retired, current } = this.#home;
    // After a cut the key of before was not opened: it was neither in force nor laid aside.
    for (const { role, path, file } of [...this.#home.keys, ...retired]) {
      if (role === 'next' || this.#ring.holds(role, file.public.key)) continue;
      this.#ring.add(role, await openKey(path, this.#sealer));
    }
    await this.#keepOnion(options, settled);
    for (const role of OPEN_ROLES) {
      const kept = [current, ...(pending === undefined ? [] : [pending.after])];
      const aside = retired.filter((one) => one.role === role);
      const wanted = new Set([
        ...kept.map((one) => keyInForce(one, role)),
        ...aside.map(({ file }) => file.public.key),
        ...(role === 'onion' && this.#keptOnion ? [hex(this.#keptOnion.publicKey)] : []),
      ]);
      this.#ring.keepOnly(role, wanted);
    }
    this.#ring.settled(this.succession);
    return settled;
  }

  /**
   * A copy of the Ed25519 seed (32 bytes) of a network key; the caller wipes it.
   * @param publicKey @default the key in force
   * @throws {AegisError} `KEYS_RETIRED` when it is not in this home.
   */
  networkSeed(publicKey: Uint8Array = this.current.keys.networkKey): Uint8Array {
    return this.#ring.copyOf('network', hex(publicKey)) ?? this.#lacks('network');
  }

  /** The network key before the one in force, while peers still accept it (H2). */
  retiredNetwork(
    now: number,
  ):
    | { readonly publicKey: Uint8Array; readonly seed: Uint8Array; readonly until: number }
    | undefined {
    const found = this.#retired('network', now);
    const seed = found && this.#ring.copyOf('network', found.file.public.key);
    if (found === undefined || seed === undefined) return undefined;
    return { publicKey: fromHex(found.file.public.key), seed, until: found.until };
  }

  /**
   * An onion key with a copy of its secret, which the caller wipes.
   * @param publicKey @default the key in force
   * @throws {AegisError} `KEYS_RETIRED` when it is not in this home.
   */
  onionKey(publicKey: Uint8Array = this.current.keys.onionKey): OnionKey {
    return this.#ring.onion(publicKey) ?? this.#lacks('onion');
  }

  /** The onion key before the one in force, while its service stays (O18). */
  retiredOnion(now: number): { readonly key: OnionKey; readonly until: number } | undefined {
    const found = this.#retired('onion', now);
    const retired = found && { publicKey: fromHex(found.file.public.key), until: found.until };
    const { publicKey, until } = retired ?? this.#keptOnion ?? { until: 0 };
    const key = publicKey && until > now ? this.#ring.onion(publicKey) : undefined;
    return key && { key, until };
  }

  /** J3: while other clusters of the home need it, the key of before is still in its place. */
  async #keepOnion({ graceUntil, now }: Final, { isKept }: Settled): Promise<void> {
    this.#keptOnion = undefined;
    const until = graceUntil?.onion ?? 0;
    if (!isKept || until <= now) return;
    const path = keyPath(this.#dir, 'onion');
    const inPlace = await readKeyFile(path).catch(() => undefined);
    const keys = this.#home.states.map((state) => keyInForce(state, 'onion'));
    // O18: only the one right before the latest.
    const before = keys.findLast((key) => key !== keys.at(-1));
    if (inPlace === undefined || inPlace.public.key !== before) return;
    if (!this.#ring.holds('onion', before)) {
      this.#ring.add('onion', await openKey(path, this.#sealer));
    }
    this.#keptOnion = { publicKey: fromHex(before), until };
  }

  #retired(role: RetiringRole, now: number): RetiredEntry | undefined {
    return this.#home.retired.find((one) => one.role === role && one.until > now);
  }

  /** A new session key with its certificate; both are durable. */
  async newSession(times: {
    readonly startsAt: number;
    readonly expiresAt: number;
    readonly now: number;
  }): Promise<SignedSession> {
    const { startsAt, expiresAt, now } = times;
    const certified = {
      nodeId: this.nodeId,
      keyEpoch: this.current.keyEpoch,
      startsAt,
      expiresAt,
    };
    return await this.#sessions.make(certified, { signer: this.signer, random: systemRandom, now });
  }

  /** The session keys that are here, newest first. */
  sessions(): readonly SignedSession[] {
    return this.#sessions.list();
  }

  /** A copy of the secret (32 bytes) of a session key; the caller wipes it. */
  sessionSecret(sessionKey: Uint8Array): Uint8Array | undefined {
    return this.#sessions.secretOf(sessionKey);
  }

  /** Erases session keys that have expired. */
  async dropSessions(now: number): Promise<void> {
    await this.#sessions.drop(now);
  }

  /** W45: keeps a key with which sealed contents are read. Durable when it resolves. */
  async keepReading(secret: Uint8Array): Promise<void> {
    await this.#reading.keep(secret, { random: systemRandom, now: Date.now() });
  }

  /** W45: copies of the secrets that were kept; the caller wipes them. */
  readingSecrets(): readonly Uint8Array[] {
    return this.#reading.secrets();
  }

  close(): void {
    this.#reading.close();
    this.#ring.close();
    this.#sealer.close();
    this.#sessions.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #read(): Promise<Inspection> {
    return readHome(this.#dir, { behindSigner: this.#behindSigner, view: this.sharing });
  }

  get #handedInPath(): string {
    return handedInPath(this.#dir, this.sharing?.cluster);
  }

  #identityInForce(): Signer {
    return this.#ring.identity(this.current.keys.identityKey) ?? this.#lacks('identity');
  }

  #anyFile(): KeyFile {
    return this.#home.keys.find(({ role }) => role !== 'next')!.file;
  }

  #lacks(role: OpenRole): never {
    throw new AegisError('KEYS_RETIRED', `the ${role} key in force is not in this home`);
  }
}
