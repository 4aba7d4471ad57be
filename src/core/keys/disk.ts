/** Reads and writes the small files of a keystore. Formats stand elsewhere. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { AegisError, toAegisError } from '../errors.ts';
import { statIfPresent, writeFileAtomic } from '../files.ts';
import { KEY_FILE_BYTES_MAX, type KeyFile, parseKeyFile, renderKeyFile } from './key-file.ts';

export interface SmallFile {
  readonly bytes: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
}

/**
 * Reads a regular file of at most `maxBytes`; never waits for a pipe.
 * @throws {AegisError} `NOT_FOUND`, `UNREADABLE`, `DENIED`, `TOO_LARGE`.
 */
export async function readSmallFile(path: string, maxBytes: number): Promise<SmallFile> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw explain(error, path);
  }
  try {
    const { size, mode, isFile } = await statOf(handle);
    if (!isFile) throw new AegisError('UNREADABLE', `${path} is not a regular file`);
    if (size > maxBytes) {
      throw new AegisError('TOO_LARGE', `${path} is too long: ${size} bytes of ${maxBytes}`);
    }
    const buffer = Buffer.alloc(maxBytes + 1);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    const bytes = new Uint8Array(buffer.subarray(0, Math.min(bytesRead, maxBytes)));
    buffer.fill(0);
    return { bytes, mode };
  } finally {
    await handle.close();
  }
}

async function statOf(handle: FileHandle) {
  const stats = await handle.stat();
  return { size: stats.size, mode: stats.mode & 0o777, isFile: stats.isFile() };
}

function explain(error: unknown, path: string): AegisError {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new AegisError('NOT_FOUND', `there is no file ${path}`, { cause: error });
  }
  if (code === 'ELOOP' || code === 'ENXIO' || code === 'EISDIR') {
    return new AegisError('UNREADABLE', `cannot read ${path}: ${code}`, { cause: error });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new AegisError('DENIED', `may not read ${path}`, { cause: error });
  }
  return toAegisError(error);
}

/**
 * Reads and checks one key file.
 * @throws {AegisError} `KEYSTORE_DAMAGED` naming the backup; `NOT_FOUND`, `UNREADABLE`, `DENIED`.
 */
export async function readKeyFile(path: string): Promise<KeyFile & { readonly mode: number }> {
  try {
    const { bytes, mode } = await readSmallFile(path, KEY_FILE_BYTES_MAX);
    return { ...parseKeyFile(Buffer.from(bytes).toString('utf8')), mode };
  } catch (error) {
    const known = toAegisError(error);
    if (known.code === 'KEYSTORE_DAMAGED' || known.code === 'TOO_LARGE') {
      throw await damagedAt(path, known);
    }
    throw known;
  }
}

/** The same damage, with the file's name and what can be done. */
export async function damagedAt(path: string, error: AegisError): Promise<AegisError> {
  const backup = `${path}.bak`;
  const hint =
    (await statIfPresent(backup)) === undefined
      ? `Put a copy of ${path} back from your own backup.`
      : `The file before the last change is ${backup}; copy it over ${path}.`;
  return new AegisError('KEYSTORE_DAMAGED', `${error.message} (${path})`, { hint, cause: error });
}

/** Writes a key file atomically with mode 0600; keeps what was there as `<path>.bak`. */
export async function writeKeyFile(path: string, file: KeyFile): Promise<void> {
  if ((await statIfPresent(path)) !== undefined) {
    const { bytes } = await readSmallFile(path, KEY_FILE_BYTES_MAX);
    await writeFileAtomic(`${path}.bak`, bytes, { mode: 0o600 });
  }
  await writeFileAtomic(path, renderKeyFile(file), { mode: 0o600 });
}
