/**
 * Files that are either the old ones or the new ones, never something between. Used by every room
 * that keeps small state in files. It does not lock, does not follow links at the target (a link
 * is replaced, not written through), and knows no formats.
 */
import { constants, type Stats } from 'node:fs';
import { lstat, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { assert } from './assert.ts';
import { AegisError, toAegisError } from './errors.ts';

export interface WriteFileOptions {
  /** Permission bits of the new file, whatever the umask says. @default 0o600 */
  readonly mode?: number;
}

/**
 * Writes `bytes` beside `path`, makes them durable and renames them over `path`; then makes the
 * rename durable. After a crash at any moment `path` holds the old bytes or the new ones.
 *
 * @throws {AegisError} `DISK_FULL`, `DENIED`, `NOT_FOUND`; the file at `path` is then as it was.
 */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array | string,
  options: WriteFileOptions = {},
): Promise<void> {
  const mode = options.mode ?? 0o600;
  // Every command loads this file, and the import of node:crypto would cost it 5 ms.
  const { randomBytes } = process.getBuiltinModule('node:crypto');
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await writeDurably(temporary, bytes, mode);
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw explain(error, path);
  }
  await syncDirectory(dirname(path));
}

/**
 * Makes the names in a directory durable.
 * A failed fsync is not repeated: the kernel may have dropped the pages and would then report
 * success for bytes that are not on the disk (LWN 752063).
 */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** `lstat`, or undefined when nothing is there. Links are seen, not followed. */
export async function statIfPresent(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw explain(error, path);
  }
}

async function writeDurably(path: string, bytes: Uint8Array | string, mode: number): Promise<void> {
  assert((mode & ~0o777) === 0, 'a file mode holds permission bits only');
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const handle = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  try {
    await handle.chmod(mode);
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function explain(error: unknown, path: string): AegisError {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const message = `cannot write ${path}: its directory does not exist`;
    return new AegisError('NOT_FOUND', message, { cause: error });
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const message = `cannot write ${path}: the disk is full`;
    return new AegisError('DISK_FULL', message, { cause: error });
  }
  if (code === 'ENAMETOOLONG') {
    return new AegisError('BAD_REQUEST', `${path} has a name that is too long`, { cause: error });
  }
  return toAegisError(error);
}
