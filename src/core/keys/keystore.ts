/**
 * The keystore of one node: a directory with one encrypted file a key, and the public inception
 * entry. Secrets leave it only as signatures and, for libp2p and for consensus, as copies that
 * their user wipes. It knows neither the cluster nor the network, and it does not rotate yet; the
 * successor of the identity key is committed from the first moment so that rotation will need no
 * trust in this machine.
 */
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sha256 } from '../crypto/hash.ts';
import type { KdfCost } from '../crypto/kdf.ts';
import { signerOf } from '../crypto/sign.ts';
import { AegisError, hasCode, toAegisError } from '../errors.ts';
import { statIfPresent, syncDirectory, writeFileAtomic } from '../files.ts';
import type { ConsensusKeys } from '../model/bundle.ts';
import {
  createInception,
  INCEPTION_BYTES_MAX,
  type Inception,
  type OpenInception,
  openInception,
} from '../model/identity.ts';
import type { Random, Signer } from '../ports.ts';
import { damagedAt, readKeyFile, readSmallFile, writeKeyFile } from './disk.ts';
import { type KeyFile, sealKey, unsealKey } from './key-file.ts';
import { fromHex, generateKey, hex, type KeyMaterial, type KeyType } from './material.ts';
import { newKdf, Unlocker } from './unlocker.ts';

/** The keys of a home, by the role they play there. */
export const KEY_ROLES = ['identity', 'next', 'network', 'consensus', 'vrf'] as const;
export type KeyRole = (typeof KEY_ROLES)[number];

const FILES: Readonly<Record<KeyRole, string>> = {
  identity: 'identity.key.json',
  next: 'identity-next.key.json',
  network: 'network.key.json',
  consensus: 'consensus.key.json',
  vrf: 'vrf.key.json',
};
const INCEPTION_FILE = 'inception.cbor';

export const keyPath = (dir: string, role: KeyRole): string => join(dir, FILES[role]);

export interface CreateOptions {
  readonly dir: string;
  readonly name: string;
  readonly zone: string;
  readonly region: string;
  readonly passphrase: string;
  /** @default the same passphrase */
  readonly nextPassphrase?: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  /** Only tests choose less. @default KDF_COST_DEFAULT */
  readonly kdfCost?: KdfCost;
}

export interface KeyEntry {
  readonly role: KeyRole;
  readonly path: string;
  readonly file: KeyFile;
  /** Permission bits of the file. */
  readonly mode: number;
}

/** All that can be known without the passphrase. */
export interface Inspection extends OpenInception {
  /** The successor's file may be elsewhere. */
  readonly keys: readonly KeyEntry[];
}

/** The keys that a running node needs. */
type OpenRole = Exclude<KeyRole, 'next'>;

/** An open keystore. `close` wipes its secrets; afterwards it signs no more. */
export class Keystore implements Disposable {
  readonly nodeId: string;
  readonly inception: Inception;
  /** The signed inception entry, as it travels. */
  readonly inceptionBytes: Uint8Array;
  /** Signs with the identity key. */
  readonly identity: Signer;
  /** The keys of consensus, as bundles carry them. */
  readonly consensusKeys: ConsensusKeys;
  readonly #secrets: Readonly<Record<Exclude<OpenRole, 'identity'>, Uint8Array>>;
  #signer: Signer | undefined;

  private constructor(opened: OpenInception, keys: Readonly<Record<OpenRole, KeyMaterial>>) {
    this.nodeId = opened.nodeId;
    this.inception = opened.inception;
    this.inceptionBytes = opened.bytes;
    this.#signer = signerOf(keys.identity.secret);
    keys.identity.secret.fill(0);
    const { network, consensus, vrf } = keys;
    this.#secrets = { network: network.secret, consensus: consensus.secret, vrf: vrf.secret };
    this.identity = {
      publicKey: opened.inception.identityKey,
      sign: (message) => this.#open().sign(message),
    };
    this.consensusKeys = {
      consensusKey: fromHex(consensus.public.key),
      possession: fromHex(consensus.public.proofOfPossession ?? ''),
      vrfKey: fromHex(vrf.public.key),
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
    const { dir, name, zone, region, createdAt } = options;
    const keys: Record<KeyRole, KeyMaterial> = {
      identity: await generateKey('identity', deps.random),
      next: await generateKey('identity', deps.random),
      network: await generateKey('network', deps.random),
      consensus: await generateKey('consensus', deps.random),
      vrf: await generateKey('vrf', deps.random),
    };
    const bytes = createInception(
      {
        nextIdentityDigest: sha256(fromHex(keys.next.public.key)),
        networkKey: fromHex(keys.network.public.key),
        name,
        zone,
        region,
        createdAt,
      },
      signerOf(keys.identity.secret),
    );
    await writeAll(dir, bytes, sealAll(keys, options, deps));
    keys.next.secret.fill(0);
    const opened = openInception(bytes);
    return { keystore: new Keystore(opened, keys), nodeId: opened.nodeId };
  }

  /**
   * Opens all keys but the successor's, whose file is not needed and not touched.
   * @throws {AegisError} `NO_HOME`, `WRONG_PASSPHRASE`, `KEYSTORE_DAMAGED`, `BAD_CONFIG` for a home
   * from before there was consensus.
   */
  static async open(options: {
    readonly dir: string;
    readonly passphrase: string;
  }): Promise<Keystore> {
    const { dir } = options;
    const opened = await readInception(dir);
    await checkWhole(dir);
    using unlocker = new Unlocker(options.passphrase);
    const open = async (role: OpenRole): Promise<KeyMaterial> => {
      const key = await openKey(keyPath(dir, role), unlocker);
      checkBelongs(dir, role, key, opened.inception);
      return key;
    };
    return new Keystore(opened, {
      identity: await open('identity'),
      network: await open('network'),
      consensus: await open('consensus'),
      vrf: await open('vrf'),
    });
  }

  /**
   * Reads the public parts, without a passphrase.
   * @throws {AegisError} `NO_HOME`, `KEYSTORE_DAMAGED`, `BAD_CONFIG` as in `open`.
   */
  static async inspect(dir: string): Promise<Inspection> {
    const { inception, nodeId, bytes } = await readInception(dir);
    await checkWhole(dir);
    const keys: KeyEntry[] = [];
    for (const role of KEY_ROLES) {
      const path = keyPath(dir, role);
      if (role === 'next' && (await statIfPresent(path)) === undefined) continue;
      const { mode, ...file } = await readKeyFile(path);
      checkBelongs(dir, role, file, inception);
      keys.push({ role, path, file, mode });
    }
    return { inception, nodeId, bytes, keys };
  }

  /** A copy of the Ed25519 seed (32 bytes) of the network key; the caller wipes it. */
  networkSeed(): Uint8Array {
    return this.#copyOf('network');
  }

  /** A copy of the BLS secret (32 bytes) of the consensus key; the caller wipes it. */
  consensusSecret(): Uint8Array {
    return this.#copyOf('consensus');
  }

  /** A copy of the seed (32 bytes) of the VRF key; the caller wipes it. */
  vrfSeed(): Uint8Array {
    return this.#copyOf('vrf');
  }

  close(): void {
    this.#signer = undefined;
    for (const secret of Object.values(this.#secrets)) secret.fill(0);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #copyOf(role: Exclude<OpenRole, 'identity'>): Uint8Array {
    this.#open();
    return this.#secrets[role].slice();
  }

  #open(): Signer {
    if (this.#signer === undefined) throw new AegisError('STOPPING', 'the keystore is closed');
    return this.#signer;
  }
}

export type OpenKeystore = Keystore;

/**
 * The key of one file, decrypted. The caller wipes the secret.
 * @throws {AegisError} `NOT_FOUND`, `WRONG_PASSPHRASE`, `KEYSTORE_DAMAGED`.
 */
export async function openKey(path: string, unlocker: Unlocker): Promise<KeyMaterial> {
  const file = await readKeyFile(path);
  try {
    return await unsealKey(file, unlocker);
  } catch (error) {
    if (hasCode(error, 'KEYSTORE_DAMAGED')) throw await damagedAt(path, error);
    if (!hasCode(error, 'WRONG_PASSPHRASE')) throw error;
    const { message, hint } = error;
    const text = `${message} (${path})`;
    throw new AegisError('WRONG_PASSPHRASE', text, hint === undefined ? {} : { hint });
  }
}

/** Files of one passphrase share a salt, so that opening the keystore derives one key only. */
function sealAll(
  keys: Readonly<Record<KeyRole, KeyMaterial>>,
  options: CreateOptions,
  deps: { readonly random: Random },
): Readonly<Record<KeyRole, KeyFile>> {
  const { createdAt, passphrase, kdfCost } = options;
  const random = deps.random;
  const nextPassphrase = options.nextPassphrase ?? passphrase;
  using unlocker = new Unlocker(passphrase);
  using nextUnlocker = new Unlocker(nextPassphrase);
  const kdf = newKdf(random, kdfCost);
  const same = nextPassphrase === passphrase;
  const nextDeps = { unlocker: same ? unlocker : nextUnlocker, random };
  const nextKdf = same ? kdf : newKdf(random, kdfCost);
  return {
    identity: sealKey(keys.identity, { createdAt, kdf }, { unlocker, random }),
    next: sealKey(keys.next, { createdAt, kdf: nextKdf }, nextDeps),
    network: sealKey(keys.network, { createdAt, kdf }, { unlocker, random }),
    consensus: sealKey(keys.consensus, { createdAt, kdf }, { unlocker, random }),
    vrf: sealKey(keys.vrf, { createdAt, kdf }, { unlocker, random }),
  };
}

/** Writes into a new directory beside `dir` and renames it into place. */
async function writeAll(
  dir: string,
  inception: Uint8Array,
  files: Readonly<Record<KeyRole, KeyFile>>,
): Promise<void> {
  await mkdir(dirname(dir), { recursive: true, mode: 0o700 });
  const temporary = await mkdtemp(`${dir}.new-`);
  try {
    for (const role of KEY_ROLES) await writeKeyFile(keyPath(temporary, role), files[role]);
    await writeFileAtomic(join(temporary, INCEPTION_FILE), inception, { mode: 0o600 });
    await rename(temporary, dir);
    await syncDirectory(dirname(dir));
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOTDIR') throw toAegisError(error);
    throw new AegisError('EXISTS', `there are keys already in ${dir}`, {
      hint: 'Keys are never overwritten. Choose another --home, or see them: aegis keys list',
    });
  }
}

async function readInception(dir: string): Promise<OpenInception> {
  const path = join(dir, INCEPTION_FILE);
  let bytes: Uint8Array;
  try {
    ({ bytes } = await readSmallFile(path, INCEPTION_BYTES_MAX + 128));
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
    if ((await statIfPresent(keyPath(dir, 'identity'))) === undefined) {
      throw new AegisError('NO_HOME', `there is no keystore in ${dir}`);
    }
    throw await damagedAt(path, new AegisError('KEYSTORE_DAMAGED', 'the inception entry is gone'));
  }
  try {
    return openInception(bytes);
  } catch (error) {
    const why = `the inception entry is damaged: ${toAegisError(error).message}`;
    throw await damagedAt(path, new AegisError('KEYSTORE_DAMAGED', why));
  }
}

/** @throws {AegisError} `BAD_CONFIG` for a home that was made before there were these keys. */
async function checkWhole(dir: string): Promise<void> {
  const stats = ['consensus', 'vrf'].map((role) => statIfPresent(keyPath(dir, role as KeyRole)));
  if ((await Promise.all(stats)).some((found) => found !== undefined)) return;
  throw new AegisError('BAD_CONFIG', `the keys in ${dir} are those of an older aegis`, {
    hint: 'It has no consensus key and no VRF key. Make a new home: aegis init --home DIR',
  });
}

const TYPES: Readonly<Record<KeyRole, KeyType>> = {
  identity: 'identity',
  next: 'identity',
  network: 'network',
  consensus: 'consensus',
  vrf: 'vrf',
};

/**
 * Files of different keystores, put together by hand, would sign for a node that is none. The
 * inception entry does not name the keys of consensus; the genesis does.
 */
function checkBelongs(
  dir: string,
  role: KeyRole,
  key: Pick<KeyMaterial, 'type' | 'public'>,
  inception: Inception,
): void {
  const publicKey = fromHex(key.public.key);
  const expected = {
    identity: () => hex(publicKey) === hex(inception.identityKey),
    network: () => hex(publicKey) === hex(inception.networkKey),
    next: () => hex(sha256(publicKey)) === hex(inception.nextIdentityDigest),
    consensus: () => true,
    vrf: () => true,
  }[role];
  if (key.type === TYPES[role] && expected()) return;
  throw new AegisError(
    'KEYSTORE_DAMAGED',
    `the ${role} key in ${keyPath(dir, role)} is not that of the inception entry`,
    { hint: 'Put the files of one backup back together; do not mix them.' },
  );
}
