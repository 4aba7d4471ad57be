/**
 * The keys with which a node begins (O12: an onion key among them), and their files. Who the node
 * is follows from them (identity.ts); it opens nothing and knows no later key.
 */
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sha256 } from '../crypto/hash.ts';
import type { KdfCost } from '../crypto/kdf.ts';
import { signerOf } from '../crypto/sign.ts';
import { AegisError, toAegisError } from '../errors.ts';
import { syncDirectory, writeFileAtomic } from '../files.ts';
import { createInception } from '../model/identity.ts';
import type { Random } from '../ports.ts';
import { writeKeyFile } from './disk.ts';
import { type KeyFile, sealKey } from './key-file.ts';
import { inceptionPath, KEY_ROLES, type KeyRole, keyPath, TYPE_OF_ROLE } from './layout.ts';
import { fromHex, generateKey, type KeyMaterial } from './material.ts';
import { newKdf, Unlocker } from './unlocker.ts';

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

type FirstKeys = Readonly<Record<KeyRole, KeyMaterial>>;

export async function makeFirstKeys(random: Random): Promise<FirstKeys> {
  const made = new Map<KeyRole, KeyMaterial>();
  for (const role of KEY_ROLES) made.set(role, await generateKey(TYPE_OF_ROLE[role], random));
  return Object.fromEntries(made) as FirstKeys;
}

/** The signed inception entry of these keys. @throws {AegisError} `BAD_REQUEST` for bad names. */
export function firstInception(
  keys: FirstKeys,
  { name, zone, region, createdAt }: CreateOptions,
): Uint8Array {
  const fields = {
    nextIdentityDigest: sha256(fromHex(keys.next.public.key)),
    networkKey: fromHex(keys.network.public.key),
    onionKey: fromHex(keys.onion.public.key),
    ...{ name, zone, region, createdAt },
  };
  return createInception(fields, signerOf(keys.identity.secret));
}

type Files = ReadonlyMap<KeyRole, KeyFile>;

/** Files of one passphrase share a salt, so that opening the keystore derives one key only. */
export function sealAll(
  keys: FirstKeys,
  options: CreateOptions,
  { random, sealer }: { readonly random: Random; readonly sealer: Unlocker },
): Files {
  const { createdAt, passphrase, kdfCost, nextPassphrase = passphrase } = options;
  using nextUnlocker = new Unlocker(nextPassphrase);
  const kdf = newKdf(random, kdfCost);
  const nextKdf = newKdf(random, kdfCost);
  const isOwn = (role: KeyRole): boolean => role === 'next' && nextPassphrase !== passphrase;
  const seal = (role: KeyRole): KeyFile =>
    isOwn(role)
      ? sealKey(keys[role], { createdAt, kdf: nextKdf }, { unlocker: nextUnlocker, random })
      : sealKey(keys[role], { createdAt, kdf }, { unlocker: sealer, random });
  return new Map(KEY_ROLES.map((role) => [role, seal(role)]));
}

/**
 * Writes into a new directory beside `dir` and renames it into place: all files, or none.
 * @throws {AegisError} `EXISTS` when `dir` holds anything.
 */
export async function writeAll(dir: string, inception: Uint8Array, files: Files): Promise<void> {
  await mkdir(dirname(dir), { recursive: true, mode: 0o700 });
  const temporary = await mkdtemp(`${dir}.new-`);
  try {
    for (const [role, file] of files) await writeKeyFile(keyPath(temporary, role), file);
    await writeFileAtomic(inceptionPath(temporary), inception, { mode: 0o600 });
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
