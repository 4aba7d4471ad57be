/**
 * Prepares a rotation: new keys, and the entry that the successor signs (S2), in `pending/` of the
 * home. Whoever does it needs the passphrases of home and successor, and no daemon; a running one
 * adopts what lies there, another one takes it up when it starts. Nothing is in force before the
 * entry is final. It knows no chain and hands nothing in.
 */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../crypto/hash.ts';
import type { KdfCost } from '../crypto/kdf.ts';
import { signerOf } from '../crypto/sign.ts';
import { AegisError, hasCode } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import {
  CERTIFIED_ROLES,
  type CertifiedRole,
  canHaveGrace,
  createSuccession,
  follow,
  GRACE_MAX_MS,
  type KeySet,
  type KeyState,
  type KeyTimes,
  renewed,
  type SignedSuccession,
} from '../model/succession.ts';
import type { Random } from '../ports.ts';
import { isAlive } from '../processes.ts';
import type { Verified } from '../units.ts';
import { readKeyDocument } from './document.ts';
import { type Inspection, type PendingRotation, readHome } from './home.ts';
import { type KeyFile, renderKeyFile, sealKey, unsealKey } from './key-file.ts';
import {
  clustersIn,
  isHandedInMark,
  type KeyRole,
  keyPath,
  pendingDir,
  rolesOf,
  viewPath,
} from './layout.ts';
import { fromHex, generateKey, hex, type KeyMaterial } from './material.ts';
import { openKey } from './open-key.ts';
import { readOwnSuccession } from './own-succession.ts';
import { settleHome } from './settle.ts';
import { type Disk, eraseDirectory, namesIn, realDisk } from './steps.ts';
import { kdfOf, newKdf, Unlocker } from './unlocker.ts';

/** What is to change. */
export interface RotationWish {
  readonly roles: readonly CertifiedRole[];
  /** Only push the expiries of these roles out; all keys stay. @default false */
  readonly extend?: boolean;
  /** Of network and onion keys. @default a day; none for compromised keys */
  readonly graceMs?: number;
  /** @default 'routine' */
  readonly reason?: 'routine' | 'compromised';
  /** A3: versions signed so far; needed with the identity. */
  readonly sealed?: number;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
}

export interface RotationOptions extends RotationWish {
  readonly dir: string;
  readonly passphrase: string;
  /** The successor. Its file is that of the home unless `path` names another. */
  readonly next: { readonly path?: string | undefined; readonly passphrase: string };
  /** The next one, made when the identity changes. @default in the home, passphrase of `next` */
  readonly newNext?: { readonly path?: string | undefined; readonly passphrase: string };
  /** Only tests choose less. @default KDF_COST_DEFAULT */
  readonly kdfCost?: KdfCost;
  /** Only tests choose another. */
  readonly disk?: Disk;
}

/** What would be, without any secret. */
export interface RotationPlan {
  readonly before: KeyState;
  readonly number: number;
  readonly keyEpoch: number;
  readonly replaced: readonly CertifiedRole[];
  readonly expiresAt: KeyTimes;
  readonly graceMs: number;
  readonly reason: 'routine' | 'compromised';
}

export interface PreparedRotation {
  readonly entry: Verified<SignedSuccession>;
  readonly before: KeyState;
  readonly after: KeyState;
  /** Where the new successor is, when there is one. */
  readonly newNextPath: string | undefined;
}

const GRACE_DEFAULT_MS = 24 * 3600 * 1000;

/** @throws {AegisError} `BAD_REQUEST` for what makes no sense, `ROTATION_PENDING`. */
export function planRotation(home: Inspection, wish: RotationWish): RotationPlan {
  const { extend = false, reason = 'routine', now } = wish;
  const roles = CERTIFIED_ROLES.filter((role) => wish.roles.includes(role));
  if (home.pending !== undefined) {
    const { number } = home.pending.after;
    throw new AegisError('ROTATION_PENDING', `rotation ${number} of this node is not final yet`);
  }
  const replaced = extend ? [] : roles;
  const { current: before } = home;
  if (roles.length === 0) throw new AegisError('BAD_REQUEST', 'there is no key to change');
  const hasGrace = canHaveGrace(replaced) && reason === 'routine';
  const graceMs = wish.graceMs ?? (hasGrace ? GRACE_DEFAULT_MS : 0);
  if (graceMs > GRACE_MAX_MS || graceMs < 0) {
    throw new AegisError('BAD_REQUEST', 'the grace is at most 30 days');
  }
  if (graceMs > 0 && !hasGrace) {
    const why =
      reason === 'compromised' ? 'a compromised key has none' : 'only network and onion keys have';
    throw new AegisError('BAD_REQUEST', `there is no grace here: ${why}`);
  }
  return {
    before,
    number: before.number + 1,
    keyEpoch: before.keyEpoch + (replaced.includes('identity') ? 1 : 0),
    replaced,
    // S7
    expiresAt: { ...before.expiresAt, ...renewed(roles, Math.max(now, before.changedAt)) },
    graceMs,
    reason,
  };
}

export interface Successor {
  readonly path: string;
  readonly file: KeyFile;
}

/**
 * The file of the committed successor; needs no passphrase.
 * @throws {AegisError} `NO_SUCCESSOR`, `WRONG_SUCCESSOR`, and what reading a file throws.
 */
export async function findSuccessor(home: Inspection, path?: string): Promise<Successor> {
  if (path === undefined) {
    const own = home.keys.find(({ role }) => role === 'next');
    if (own !== undefined) return { path: own.path, file: own.file };
    throw new AegisError('NO_SUCCESSOR', "the identity's successor is not in this home");
  }
  const handed = await readKeyDocument(path);
  const key = handed.find(({ role }) => role === 'next') ?? handed[0]!;
  const place = home.states.findLastIndex((state) => commitsTo(state, key.file));
  if (place === home.states.length - 1) return { path, file: key.file };
  const why =
    place === -1
      ? 'is not the successor of this node'
      : `was the successor until entry ${place + 1}, and is none since`;
  throw new AegisError('WRONG_SUCCESSOR', `the key in ${path} ${why}`);
}

const commitsTo = ({ keys }: KeyState, file: KeyFile): boolean =>
  file.type === 'identity' &&
  hex(sha256(fromHex(file.public.key))) === hex(keys.nextIdentityDigest);

/**
 * Writes the rotation into the home: all of it, or nothing. A new successor that goes elsewhere is
 * written before; the same call takes it up again after a cut.
 * @throws {AegisError} as `planRotation` and `findSuccessor`; `WRONG_PASSPHRASE`, `EXISTS`.
 */
export async function prepareRotation(
  options: RotationOptions,
  { random }: { readonly random: Random },
): Promise<PreparedRotation> {
  const { dir, disk = realDisk } = options;
  const home = await readForRotation(dir, options);
  const plan = planRotation(home, options);
  const successor = await findSuccessor(home, options.next.path);
  using preparation = new Preparation(options, { home, plan, random });
  await preparation.openHome();
  const entry = await preparation.sign(successor);
  await clearPending(home, options, disk);
  const newNextPath = await preparation.writeNewNext(disk);
  await preparation.write(entry.bytes, disk);
  return { entry, before: plan.before, after: follow(plan.before, entry), newNextPath };
}

/**
 * The home, which may lack keys that are to be replaced: the successor alone can replace them (S2).
 * @throws {AegisError} as `readHome`.
 */
export async function readForRotation(
  dir: string,
  wish: Pick<RotationWish, 'roles' | 'extend'>,
): Promise<Inspection> {
  const home = await readHome(dir, { behindSigner: dispensable(wish) });
  if (home.pending === undefined) await checkNoneAhead(dir, home);
  return home;
}

/** J3: an entry that one cluster of the home has and another has not is not to be rivalled (S8). */
async function checkNoneAhead(dir: string, { current }: Inspection): Promise<void> {
  for (const name of await namesIn(clustersIn(dir))) {
    const known = (await readOwnSuccession(dir, viewPath(dir, name)))?.entries.length ?? 0;
    if (known <= current.number) continue;
    const message = `entry ${known} of the succession is final in the cluster ${name} alone`;
    throw new AegisError('ROTATION_PENDING', message, {
      hint: 'The other clusters of this home have to decide it, too. See: aegis cluster list',
    });
  }
}

const dispensable = ({ roles, extend = false }: Pick<RotationWish, 'roles' | 'extend'>) =>
  extend ? [] : roles.flatMap(rolesOf);

/** What lies in `pending` is final and perhaps not in its place yet, or nothing that counts. */
async function clearPending(home: Inspection, options: RotationOptions, disk: Disk): Promise<void> {
  const { dir, now } = options;
  const { current: state, succession } = home;
  const until = state.changedAt + (state.last?.graceMs ?? 0);
  const graceUntil = { network: until, onion: until };
  const behindSigner = dispensable(options);
  await settleHome({ dir, state, succession, graceUntil, now, disk, behindSigner });
  await sweepAttempts(dir, disk);
}

const ATTEMPT = 'pending.new-';

/** What processes have left that were killed; one that lives goes on with its own. */
async function sweepAttempts(dir: string, disk: Disk): Promise<void> {
  for (const name of await namesIn(dir)) {
    if (!name.startsWith(ATTEMPT)) continue;
    const pid = Number.parseInt(name.slice(ATTEMPT.length), 10);
    if (pid !== process.pid && isAlive({ pid, startTicks: undefined })) continue;
    await eraseDirectory(join(dir, name), undefined, disk);
  }
}

class Preparation implements Disposable {
  readonly #options: RotationOptions;
  readonly #home: Inspection;
  readonly #plan: RotationPlan;
  readonly #random: Random;
  readonly #unlocker: Unlocker;
  readonly #files = new Map<KeyRole, KeyFile>();
  #newNext: { readonly file: KeyFile; readonly isThere: boolean } | undefined;

  constructor(
    options: RotationOptions,
    parts: { home: Inspection; plan: RotationPlan; random: Random },
  ) {
    this.#options = options;
    this.#home = parts.home;
    this.#plan = parts.plan;
    this.#random = parts.random;
    this.#unlocker = new Unlocker(options.passphrase);
  }

  /** What is sealed here must open with the other keys of the home. */
  async openHome(): Promise<void> {
    const any = this.#home.keys.find(({ role }) => role !== 'next');
    if (any !== undefined) (await openKey(any.path, this.#unlocker)).secret.fill(0);
  }

  /** Makes the new keys and the entry. */
  async sign({ path, file }: Successor): Promise<Verified<SignedSuccession>> {
    using unlocker = new Unlocker(this.#options.next.passphrase);
    const material = await openNamed(path, file, unlocker);
    const signer = signerOf(material.secret);
    const keys: { -readonly [K in keyof KeySet]?: KeySet[K] } = {};
    const { replaced, before, expiresAt, graceMs, reason } = this.#plan;
    for (const role of replaced) {
      if (role === 'identity') {
        // S3
        this.#seal('identity', material);
        keys.identityKey = signer.publicKey;
        keys.nextIdentityDigest = sha256(await this.#makeNewNext(signer.publicKey));
        continue;
      }
      for (const one of rolesOf(role)) Object.assign(keys, await this.#make(one));
    }
    material.secret.fill(0);
    const sealed = replaced.includes('identity') ? { sealed: this.#options.sealed ?? 0 } : {};
    const change = { keys, replaced, expiresAt, graceMs, reason, ...sealed };
    return createSuccession(before, { ...change, createdAt: this.#options.now }, signer);
  }

  async #make(role: ReturnType<typeof rolesOf>[number]): Promise<Partial<KeySet>> {
    const material = await generateKey(role, this.#random);
    this.#seal(role, material);
    material.secret.fill(0);
    const key = fromHex(material.public.key);
    if (role === 'network') return { networkKey: key };
    if (role === 'onion') return { onionKey: key };
    if (role === 'vrf') return { vrfKey: key };
    return {
      consensusKey: key,
      possession: fromHex(material.public.proofOfPossession ?? ''),
    };
  }

  #seal(role: KeyRole, material: KeyMaterial): void {
    const any = this.#home.keys.find((entry) => entry.role !== 'next');
    const { kdfCost, now: createdAt } = this.#options;
    const kdf = any === undefined ? newKdf(this.#random, kdfCost) : kdfOf(any.file);
    const deps = { unlocker: this.#unlocker, random: this.#random };
    this.#files.set(role, sealKey(material, { createdAt, kdf }, deps));
  }

  /** Returns the public key. */
  async #makeNewNext(successorKey: Uint8Array): Promise<Uint8Array> {
    const { newNext, next, now: createdAt, kdfCost } = this.#options;
    using unlocker = new Unlocker(newNext?.passphrase ?? next.passphrase);
    const path = newNext?.path;
    if (path !== undefined && (await statIfPresent(path)) !== undefined) {
      const file = await reusable(path, unlocker, [
        successorKey,
        this.#plan.before.keys.identityKey,
      ]);
      this.#newNext = { file, isThere: true };
    } else {
      const made = await generateKey('identity', this.#random);
      const kdf = newKdf(this.#random, kdfCost);
      const file = sealKey(made, { createdAt, kdf }, { unlocker, random: this.#random });
      made.secret.fill(0);
      if (path === undefined) this.#files.set('next', file);
      this.#newNext = { file, isThere: path === undefined };
    }
    return fromHex(this.#newNext.file.public.key);
  }

  /** Before anything commits to it. Returns where it is, or will be. */
  async writeNewNext(disk: Disk): Promise<string | undefined> {
    if (this.#newNext === undefined) return undefined;
    const { newNext, dir } = this.#options;
    if (newNext?.path === undefined) return keyPath(dir, 'next');
    if (!this.#newNext.isThere) await disk.write(newNext.path, renderKeyFile(this.#newNext.file));
    return newNext.path;
  }

  /** Into a directory beside `pending`, which takes its name when it is whole. */
  async write(entry: Uint8Array, disk: Disk): Promise<void> {
    const { dir } = this.#options;
    const temporary = await mkdtemp(join(dir, `${ATTEMPT}${process.pid}-`));
    try {
      for (const [role, file] of this.#files) {
        await disk.write(keyPath(temporary, role), renderKeyFile(file));
      }
      await disk.write(join(temporary, 'entry.cbor'), entry);
      await disk.rename(temporary, pendingDir(dir));
    } catch (error) {
      await eraseDirectory(temporary, undefined, disk).catch(() => undefined);
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
      throw new AegisError('ROTATION_PENDING', 'another process has prepared a rotation');
    }
  }

  [Symbol.dispose](): void {
    this.#unlocker.close();
  }
}

/** The successor that an attempt before has written already. */
async function reusable(
  path: string,
  unlocker: Unlocker,
  taken: readonly Uint8Array[],
): Promise<KeyFile> {
  const exists = (): AegisError =>
    new AegisError('EXISTS', `${path} exists already and is not overwritten`, {
      hint: 'Name another file for the new successor.',
    });
  const [handed] = await readKeyDocument(path).catch(() => []);
  if (handed === undefined || handed.file.type !== 'identity') throw exists();
  if (taken.some((key) => hex(key) === handed.file.public.key)) throw exists();
  try {
    (await unsealKey(handed.file, unlocker)).secret.fill(0);
  } catch {
    throw exists();
  }
  return handed.file;
}

async function openNamed(path: string, file: KeyFile, unlocker: Unlocker): Promise<KeyMaterial> {
  try {
    return await unsealKey(file, unlocker);
  } catch (error) {
    if (!hasCode(error, 'WRONG_PASSPHRASE')) throw error;
    throw new AegisError('WRONG_PASSPHRASE', `${error.message} (${path})`, {
      hint: "The identity's successor may have a passphrase of its own: --next-passphrase-file F",
    });
  }
}

/**
 * Gives a prepared rotation up, as if it had never been.
 * @throws {AegisError} `NOT_FOUND`; `ROTATION_PENDING` when others may know of it (S8).
 */
export async function discardRotation(
  dir: string,
  disk: Disk = realDisk,
): Promise<PendingRotation> {
  const { pending } = await readHome(dir);
  if (pending === undefined) {
    throw new AegisError('NOT_FOUND', 'no rotation is prepared in this home');
  }
  if (pending.isHandedIn) throw handedIn();
  // Aside first: a daemon that takes it up meanwhile cannot mark it any more, and hands nothing in.
  const aside = await mkdtemp(join(dir, `${ATTEMPT}${process.pid}-`));
  await disk.rename(pendingDir(dir), aside);
  if ((await namesIn(aside)).some(isHandedInMark)) {
    await disk.rename(aside, pendingDir(dir));
    throw handedIn();
  }
  await eraseDirectory(aside, undefined, disk);
  return pending;
}

function handedIn(): AegisError {
  const why = 'it was handed in, and another one in its place would freeze this node';
  return new AegisError('ROTATION_PENDING', `the rotation cannot be given up: ${why}`);
}
