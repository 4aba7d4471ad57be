/**
 * The keystore of one node: a directory with one encrypted file a key, and the public inception
 * entry. Secrets leave it only as signatures and, for libp2p, as the network seed. It knows
 * neither the cluster nor the network, and it does not rotate yet; the successor of the identity
 * key is committed from the first moment so that rotation will need no trust in this machine.
 */
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sha256 } from '../crypto/hash.ts';
import type { KdfCost } from '../crypto/kdf.ts';
import { signerOf } from '../crypto/sign.ts';
import { AegisError, hasCode, toAegisError } from '../errors.ts';
import { statIfPresent, syncDirectory, writeFileAtomic } from '../files.ts';
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
import { fromHex, generateKey, hex, type KeyMaterial } from './material.ts';
import { newKdf, Unlocker } from './unlocker.ts';

/** The keys of a home, by the role they play there. */
const KEY_ROLES = ['identity', 'next', 'network'] as const;
export type KeyRole = (typeof KEY_ROLES)[number];

const FILES: Readonly<Record<KeyRole, string>> = {
  identity: 'identity.key.json',
  next: 'identity-next.key.json',
  network: 'network.key.json',
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

/** An open keystore. `close` wipes its secrets; afterwards it signs no more. */
export class Keystore implements Disposable {
  readonly nodeId: string;
  readonly inception: Inception;
  /** The signed inception entry, as it travels. */
  readonly inceptionBytes: Uint8Array;
  /** Signs with the identity key. */
  readonly identity: Signer;
  readonly #networkSeed: Uint8Array;
  #signer: Signer | undefined;

  private constructor(opened: OpenInception, identitySeed: Uint8Array, networkSeed: Uint8Array) {
    this.nodeId = opened.nodeId;
    this.inception = opened.inception;
    this.inceptionBytes = opened.bytes;
    this.#signer = signerOf(identitySeed);
    identitySeed.fill(0);
    this.#networkSeed = networkSeed;
    this.identity = {
      publicKey: opened.inception.identityKey,
      sign: (message) => this.#open().sign(message),
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
    const keystore = new Keystore(opened, keys.identity.secret, keys.network.secret);
    return { keystore, nodeId: opened.nodeId };
  }

  /**
   * Opens the identity and network keys. The successor's file is not needed and not touched.
   * @throws {AegisError} `NO_HOME`, `WRONG_PASSPHRASE`, `KEYSTORE_DAMAGED`.
   */
  static async open(options: {
    readonly dir: string;
    readonly passphrase: string;
  }): Promise<Keystore> {
    const { dir } = options;
    const opened = await readInception(dir);
    using unlocker = new Unlocker(options.passphrase);
    const identity = await openKey(keyPath(dir, 'identity'), unlocker);
    const network = await openKey(keyPath(dir, 'network'), unlocker);
    checkBelongs(dir, 'identity', identity.public.key, opened.inception);
    checkBelongs(dir, 'network', network.public.key, opened.inception);
    return new Keystore(opened, identity.secret, network.secret);
  }

  /**
   * Reads the public parts, without a passphrase.
   * @throws {AegisError} `NO_HOME`, `KEYSTORE_DAMAGED`.
   */
  static async inspect(dir: string): Promise<Inspection> {
    const { inception, nodeId, bytes } = await readInception(dir);
    const keys: KeyEntry[] = [];
    for (const role of KEY_ROLES) {
      const path = keyPath(dir, role);
      if (role === 'next' && (await statIfPresent(path)) === undefined) continue;
      const { mode, ...file } = await readKeyFile(path);
      checkBelongs(dir, role, file.public.key, inception);
      keys.push({ role, path, file, mode });
    }
    return { inception, nodeId, bytes, keys };
  }

  /** A copy of the Ed25519 seed (32 bytes) of the network key; the caller wipes it. */
  networkSeed(): Uint8Array {
    this.#open();
    return this.#networkSeed.slice();
  }

  close(): void {
    this.#signer = undefined;
    this.#networkSeed.fill(0);
  }

  [Symbol.dispose](): void {
    this.close();
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

/** Files of different keystores, put together by hand, would sign for a node that is none. */
function checkBelongs(dir: string, role: KeyRole, key: string, inception: Inception): void {
  const publicKey = fromHex(key);
  const [found, expected] = {
    identity: [publicKey, inception.identityKey],
    network: [publicKey, inception.networkKey],
    next: [sha256(publicKey), inception.nextIdentityDigest],
  }[role] as [Uint8Array, Uint8Array];
  if (hex(found) === hex(expected)) return;
  throw new AegisError(
    'KEYSTORE_DAMAGED',
    `the ${role} key in ${keyPath(dir, role)} is not that of the inception entry`,
    { hint: 'Put the files of one backup back together; do not mix them.' },
  );
}
