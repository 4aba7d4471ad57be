/**
 * Changes the passphrase of a keystore: of the keys in force, of what is prepared, within its
 * grace, and of the session keys. Everything is encrypted anew before the first file is written;
 * after a crash between two files the same call finishes the work.
 */
import { join } from 'node:path';
import type { KdfCost } from '../crypto/kdf.ts';
import { AegisError, hasCode } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import type { Random } from '../ports.ts';
import { readKeyFile, writeKeyFile } from './disk.ts';
import { type KeyFile, renderKeyFile, sealKey } from './key-file.ts';
import {
  clustersIn,
  type KeyRole,
  keyPath,
  OPEN_ROLES,
  pendingDir,
  readingDir,
  retiredDir,
  sessionDir,
} from './layout.ts';
import type { KeyMaterial } from './material.ts';
import { openKey } from './open-key.ts';
import { namesIn, realDisk } from './steps.ts';
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

interface Place {
  readonly path: string;
  /** Undefined for keys that come and go: nobody asks for them, and no backup is kept. */
  readonly role?: KeyRole;
  /** May be under another passphrase, and stays then as it is. */
  readonly ownAllowed: boolean;
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
  const files = new Map<Place, KeyFile>();
  for (const place of await placesOf(options)) {
    const material = await openBefore(place, { before, after });
    if (material === undefined) {
      if (place.role !== undefined) unchanged.push(place.role);
      continue;
    }
    const createdAt = Date.parse((await readKeyFile(place.path)).createdAt);
    files.set(place, sealKey(material, { createdAt, kdf }, { unlocker: after, random }));
    material.secret.fill(0);
  }
  const backups: string[] = [];
  const changed: KeyRole[] = [];
  for (const [{ path, role }, file] of files) {
    if (role === undefined) {
      await realDisk.write(path, renderKeyFile(file));
      continue;
    }
    await writeKeyFile(path, file);
    backups.push(`${path}.bak`);
    changed.push(role);
  }
  return { changed, unchanged, backups };
}

/** Undefined when the file has the new passphrase already, or may have one of its own. */
async function openBefore(
  { path, ownAllowed }: Place,
  { before, after }: { before: Unlocker; after: Unlocker },
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

/** Every role that is not here is left out: it is behind a signer, elsewhere, or never was. */
async function placesOf({ dir, onlyNext = false }: ChangeOptions): Promise<readonly Place[]> {
  const places: Place[] = [];
  for (const role of [...OPEN_ROLES, 'next'] as const) {
    if (onlyNext && role !== 'next') continue;
    const path = keyPath(dir, role);
    if ((await statIfPresent(path)) === undefined) continue;
    places.push({ path, role, ownAllowed: role === 'next' && !onlyNext });
  }
  if (!onlyNext) return [...places, ...(await passingPlaces(dir))];
  if (places.length > 0) return places;
  throw new AegisError('NOT_FOUND', 'the successor of the identity key is not in this home', {
    hint: 'Move its file back for a moment, then repeat the command.',
  });
}

async function passingPlaces(dir: string): Promise<readonly Place[]> {
  const places: Place[] = [];
  const clusters = await namesIn(clustersIn(dir));
  const sessions = [undefined, ...clusters].map((cluster) => sessionDir(dir, cluster));
  for (const one of [pendingDir(dir), retiredDir(dir), readingDir(dir), ...sessions]) {
    for (const name of await namesIn(one)) {
      // A session key under a passphrase of long ago is passed over, as it is when it is loaded.
      const ownAllowed = sessions.includes(one) || name.startsWith('identity-next');
      if (name.endsWith('.key.json')) places.push({ path: join(one, name), ownAllowed });
    }
  }
  return places;
}
