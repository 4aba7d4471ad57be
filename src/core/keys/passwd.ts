/**
 * Changes the passphrase of a keystore. Everything is encrypted anew before the first file is
 * written; after a crash between two files the same call finishes the work.
 */
import type { KdfCost } from '../crypto/kdf.ts';
import { AegisError, hasCode } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import type { Random } from '../ports.ts';
import { readKeyFile, writeKeyFile } from './disk.ts';
import { type KeyFile, sealKey } from './key-file.ts';
import { KEY_ROLES, type KeyRole, keyPath } from './layout.ts';
import type { KeyMaterial } from './material.ts';
import { openKey } from './open-key.ts';
import { newKdf, Unlocker } from './unlocker.ts';

export interface ChangeOptions {
  readonly dir: string;
  /**
   * The successor of the identity key alone. Otherwise all keys; the successor only when it is
   * here and under the same passphrase. @default false
   */
  readonly onlyNext?: boolean;
  readonly passphrase: string;
  readonly newPassphrase: string;
  /** Only tests choose less. @default KDF_COST_DEFAULT */
  readonly kdfCost?: KdfCost;
}

export interface Changed {
  readonly changed: readonly KeyRole[];
  /** These had the new passphrase already, or (the successor) one of their own. */
  readonly unchanged: readonly KeyRole[];
  /** What was there before, still under the old passphrase. */
  readonly backups: readonly string[];
}

/** @throws {AegisError} `WRONG_PASSPHRASE`, `KEYSTORE_DAMAGED`, `NOT_FOUND`; nothing is changed. */
export async function changePassphrase(
  options: ChangeOptions,
  { random }: { readonly random: Random },
): Promise<Changed> {
  using before = new Unlocker(options.passphrase);
  using after = new Unlocker(options.newPassphrase);
  const kdf = newKdf(random, options.kdfCost);
  const unchanged: KeyRole[] = [];
  const files = new Map<KeyRole, KeyFile>();
  for (const role of await rolesOf(options)) {
    const path = keyPath(options.dir, role);
    const ownAllowed = role === 'next' && options.onlyNext !== true;
    const material = await openBefore(path, { before, after, ownAllowed });
    if (material === undefined) {
      unchanged.push(role);
      continue;
    }
    const createdAt = Date.parse((await readKeyFile(path)).createdAt);
    files.set(role, sealKey(material, { createdAt, kdf }, { unlocker: after, random }));
    material.secret.fill(0);
  }
  const backups: string[] = [];
  for (const [role, file] of files) {
    const path = keyPath(options.dir, role);
    await writeKeyFile(path, file);
    backups.push(`${path}.bak`);
  }
  return { changed: [...files.keys()], unchanged, backups };
}

/** Undefined when the file has the new passphrase already, or may have one of its own. */
async function openBefore(
  path: string,
  { before, after, ownAllowed }: { before: Unlocker; after: Unlocker; ownAllowed: boolean },
): Promise<KeyMaterial | undefined> {
  try {
    return await openKey(path, before);
  } catch (error) {
    if (!hasCode(error, 'WRONG_PASSPHRASE')) throw error;
    if (ownAllowed) return undefined;
    try {
      (await openKey(path, after)).secret.fill(0);
      return undefined;
    } catch {
      throw error;
    }
  }
}

async function rolesOf({ dir, onlyNext }: ChangeOptions): Promise<readonly KeyRole[]> {
  const hasNext = (await statIfPresent(keyPath(dir, 'next'))) !== undefined;
  const others = KEY_ROLES.filter((role) => role !== 'next');
  if (!onlyNext) return hasNext ? [...others, 'next'] : others;
  if (hasNext) return ['next'];
  throw new AegisError('NOT_FOUND', 'the successor of the identity key is not in this home', {
    hint: 'Move its file back for a moment, then repeat the command.',
  });
}
