/**
 * One file with all that makes a node this node: its key files, succession, genesis and settings,
 * encrypted under a passphrase of its own. The key files inside stay encrypted under theirs, so a
 * backup can be made by a job that knows neither, and whoever opens it has opened no key yet. It
 * holds no documents and no votes: others have the first, and for want of the second a restored
 * home does not vote with the keys that it brought (K2).
 */
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AEAD_NONCE_BYTES, seal, unseal } from '../crypto/aead.ts';
import { checkKdfCost, KDF_SALT_BYTES, type KdfCost } from '../crypto/kdf.ts';
import { AegisError, hasCode, toAegisError } from '../errors.ts';
import { statIfPresent, syncDirectory } from '../files.ts';
import { decode, encode } from '../model/cbor.ts';
import { isNodeId, LABEL_BYTES_MAX } from '../model/identity.ts';
import { RecordReader } from '../model/record.ts';
import type { Random } from '../ports.ts';
import { readSmallFile } from './disk.ts';
import { type Inspection, readHome } from './home.ts';
import {
  inceptionPath,
  keyPath,
  pendingDir,
  readingDir,
  restoredPath,
  retiredDir,
  successionPath,
} from './layout.ts';
import { hex } from './material.ts';
import { renderRestored } from './restored.ts';
import { namesIn, realDisk } from './steps.ts';
import { newKdf, Unlocker } from './unlocker.ts';

export const BACKUP_BYTES_MAX = 32 * 1024 * 1024;
const FILES_MAX = 1024;
const NAME_BYTES_MAX = 128;
const ATTEMPTS = 5;

/** What belongs to a home beside its keys. */
export interface Belongings {
  readonly genesis?: Uint8Array;
  /** `config.json`, as it is. */
  readonly config?: Uint8Array;
}

export interface Backup extends Belongings {
  readonly nodeId: string;
  readonly name: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  /** Of the keys directory, by their names in it. */
  readonly files: readonly BackupFile[];
  /** K2: consensus keys (hexadecimal) that are in it. */
  readonly consensusKeys: readonly string[];
}

interface BackupFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * @param options.withNext also the identity's successor, if it is in the home.
 * @throws {AegisError} as reading the home; `BUSY` when its keys change all the while.
 */
export async function createBackup(
  options: {
    readonly dir: string;
    readonly passphrase: string;
    readonly withNext: boolean;
    readonly belongings: Belongings;
    readonly now: number;
    /** Only tests choose less. @default KDF_COST_DEFAULT */
    readonly kdfCost?: KdfCost;
  },
  { random }: { readonly random: Random },
): Promise<{ readonly bytes: Uint8Array; readonly backup: Backup }> {
  const backup = await collectBackup(options);
  return { bytes: sealBackup(backup, options, random), backup };
}

/** What goes into a backup, not encrypted any further. @throws as `createBackup`. */
export async function collectBackup(options: {
  readonly dir: string;
  readonly withNext: boolean;
  readonly belongings: Belongings;
  readonly now: number;
}): Promise<Backup> {
  const { dir, withNext, belongings, now: createdAt } = options;
  const { home, files } = await readSettled(dir, withNext);
  const { nodeId, inception } = home;
  const consensusKeys = consensusKeysOf(home);
  return { nodeId, name: inception.name, createdAt, files, consensusKeys, ...belongings };
}

function sealBackup(
  backup: Backup,
  { passphrase, kdfCost }: { readonly passphrase: string; readonly kdfCost?: KdfCost },
  random: Random,
): Uint8Array {
  const { memoryKib, passes, lanes, salt } = newKdf(random, kdfCost);
  const nonce = random.bytes(AEAD_NONCE_BYTES);
  const header = { v: 1, type: 'backup', kdf: { memoryKib, passes, lanes, salt }, nonce };
  using unlocker = new Unlocker(passphrase);
  const key = unlocker.keyFor({ memoryKib, passes, lanes, salt });
  const content = encode({ v: 1, type: 'backup-content', ...backup });
  return encode({ ...header, ciphertext: seal(key, nonce, content, encode(header)) });
}

/** The keys may be settled or rotated in the meantime: then it is read again. */
async function readSettled(
  dir: string,
  withNext: boolean,
): Promise<{ readonly home: Inspection; readonly files: readonly BackupFile[] }> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    try {
      const home = await readHome(dir);
      const files = await readFiles(dir, withNext);
      const again = await readHome(dir);
      if (stateOf(again) === stateOf(home)) return { home, files };
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND') || attempt === ATTEMPTS - 1) throw error;
    }
  }
  throw new AegisError('BUSY', 'the keys of this home change all the time; try again');
}

const stateOf = ({ current, keys, pending, retired }: Inspection): string =>
  JSON.stringify([
    current.digest,
    keys.map(({ path, file }) => [path, file.ciphertext]),
    pending?.entry.digest,
    retired.map(({ path }) => path),
  ]);

async function readFiles(dir: string, withNext: boolean): Promise<readonly BackupFile[]> {
  const paths: string[] = [];
  for (const one of [dir, pendingDir(dir), retiredDir(dir), readingDir(dir)]) {
    for (const name of await namesIn(one)) {
      if (name.endsWith('.key.json') || name === 'entry.cbor') paths.push(join(one, name));
    }
  }
  for (const path of [inceptionPath(dir), successionPath(dir)]) {
    if ((await statIfPresent(path)) !== undefined) paths.push(path);
  }
  const isNext = (path: string): boolean => basename(path) === basename(keyPath(dir, 'next'));
  const files: BackupFile[] = [];
  for (const path of paths) {
    if (isNext(path) && !withNext) continue;
    const { bytes } = await readSmallFile(path, BACKUP_BYTES_MAX);
    files.push({ name: path.slice(dir.length + 1), bytes });
  }
  return files;
}

/** All that could vote: prepared keys, those of a backup before, those behind a signer, too. */
function consensusKeysOf(home: Inspection): readonly string[] {
  const { keys, current, pending, restored = [] } = home;
  const entries = [...keys, ...(pending?.keys ?? [])].filter(({ role }) => role === 'consensus');
  const inForce = hex(current.keys.consensusKey);
  return [...new Set([...entries.map(({ file }) => file.public.key), inForce, ...restored])];
}

/** @throws {AegisError} `WRONG_PASSPHRASE`, `BAD_ENCODING`, `TOO_LARGE`. */
export function openBackup(bytes: Uint8Array, passphrase: string): Backup {
  const names = ['kdf', 'nonce', 'ciphertext'];
  const record = new RecordReader(decode(bytes, { maxBytes: BACKUP_BYTES_MAX }), 'backup', names);
  const parts = ['memoryKib', 'passes', 'lanes', 'salt'];
  const cost = new RecordReader(record.item('kdf'), 'key derivation', parts, null);
  const kdf = {
    memoryKib: cost.integer('memoryKib', 8),
    passes: cost.integer('passes', 1),
    lanes: cost.integer('lanes', 1),
    salt: cost.bytes('salt', { length: KDF_SALT_BYTES }),
  };
  checkKdfCost(kdf);
  const nonce = record.bytes('nonce', { length: AEAD_NONCE_BYTES });
  const ciphertext = record.bytes('ciphertext', { maxBytes: BACKUP_BYTES_MAX });
  using unlocker = new Unlocker(passphrase);
  try {
    const header = encode({ v: 1, type: 'backup', kdf, nonce });
    return readContent(unseal(unlocker.keyFor(kdf), nonce, ciphertext, header));
  } catch (error) {
    if (!hasCode(error, 'BAD_DATA')) throw error;
    throw new AegisError('WRONG_PASSPHRASE', 'the passphrase does not open the backup', {
      hint: 'It is that of the backup, not that of the keys in it. Or the file is damaged.',
    });
  }
}

function readContent(bytes: Uint8Array): Backup {
  const names = ['nodeId', 'name', 'createdAt', 'files', 'consensusKeys', 'genesis', 'config'];
  const value = decode(bytes, { maxBytes: BACKUP_BYTES_MAX });
  const record = new RecordReader(value, 'backup-content', names);
  const nodeId = record.text('nodeId', { maxBytes: 64 });
  if (!isNodeId(nodeId)) throw new AegisError('BAD_ENCODING', 'the backup is of no node');
  const maxBytes = BACKUP_BYTES_MAX;
  return {
    nodeId,
    name: record.text('name', { maxBytes: LABEL_BYTES_MAX }),
    createdAt: record.time('createdAt'),
    files: record.list('files', FILES_MAX).map(readBackupFile),
    consensusKeys: record.texts('consensusKeys', FILES_MAX, { maxBytes: 96 }),
    ...(record.has('genesis') ? { genesis: record.bytes('genesis', { maxBytes }) } : {}),
    ...(record.has('config') ? { config: record.bytes('config', { maxBytes }) } : {}),
  };
}

/** Names are those of a keystore and nothing else: they become paths. */
const NAME = /^((pending|retired|reading)\/)?[a-z0-9-]{1,64}(\.key\.json|\.cbor)$/;

function readBackupFile(value: unknown): BackupFile {
  const record = new RecordReader(value, 'file in the backup', ['name', 'bytes'], null);
  const name = record.text('name', { maxBytes: NAME_BYTES_MAX });
  if (!NAME.test(name))
    throw new AegisError('BAD_ENCODING', 'the backup has a file of no keystore');
  return { name, bytes: record.bytes('bytes', { maxBytes: BACKUP_BYTES_MAX }) };
}

/**
 * Writes the keys of a backup into a new directory, with the marker of K2: all files, or none.
 * After a cut later in the restoration the same call is harmless.
 * @throws {AegisError} `EXISTS`, `KEYSTORE_DAMAGED`.
 */
export async function restoreKeys(backup: Backup, dir: string): Promise<Inspection> {
  await mkdir(dirname(dir), { recursive: true, mode: 0o700 });
  const temporary = await mkdtemp(`${dir}.new-`);
  try {
    for (const { name, bytes } of backup.files) {
      const path = join(temporary, name);
      if (dirname(path) !== temporary) await realDisk.makeDirectory(dirname(path));
      await realDisk.write(path, bytes);
    }
    await realDisk.write(restoredPath(temporary), renderRestored(backup.consensusKeys));
    const home = await readHome(temporary);
    if (home.nodeId !== backup.nodeId) {
      throw new AegisError('KEYSTORE_DAMAGED', 'the keys in the backup are of another node');
    }
    await rename(temporary, dir);
    await syncDirectory(dirname(dir));
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOTDIR') throw toAegisError(error);
    await requireSame(backup, dir);
  }
  return await readHome(dir);
}

async function requireSame({ nodeId, consensusKeys }: Backup, dir: string): Promise<void> {
  const home = await readHome(dir).catch(() => undefined);
  const isSame = home?.nodeId === nodeId && home.restored?.join() === consensusKeys.join();
  if (isSame) return;
  throw new AegisError('EXISTS', `there are keys already in ${dir}`, {
    hint: 'Keys are never overwritten. Restore into a new home: --home DIR',
  });
}
