/** Files that commands read and write for people: `-` is standard input or output. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { AegisError } from '../core/errors.ts';
import { statIfPresent, writeFileAtomic } from '../core/files.ts';
import { readSmallFile } from '../core/keys/disk.ts';

/** @throws {AegisError} `NOT_FOUND`, `UNREADABLE`, `DENIED`, `TOO_LARGE`. */
export async function readDocument(path: string, maxBytes: number): Promise<Uint8Array> {
  if (path !== '-') return (await readSmallFile(path, maxBytes)).bytes;
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) {
      throw new AegisError('TOO_LARGE', `standard input has more than ${maxBytes} bytes`);
    }
  }
  return Buffer.concat(chunks);
}

/** The SHA-256 of a file of any length, in hexadecimal. @throws {AegisError} `UNREADABLE`. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    const source = path === '-' ? process.stdin : createReadStream(path);
    for await (const chunk of source as AsyncIterable<Uint8Array>) hash.update(chunk);
  } catch (error) {
    throw new AegisError('UNREADABLE', `cannot read ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return hash.digest('hex');
}

/**
 * Writes a new file; what is there stays.
 * @throws {AegisError} `EXISTS`, `NOT_FOUND`, `DENIED`, `DISK_FULL`.
 */
export async function writeNewDocument(
  path: string,
  content: string | Uint8Array,
  mode: number,
): Promise<void> {
  await requireAbsent(path);
  await writeFileAtomic(path, content, { mode });
}

/** @throws {AegisError} `EXISTS`. */
export async function requireAbsent(path: string): Promise<void> {
  if ((await statIfPresent(path)) === undefined) return;
  throw new AegisError('EXISTS', `${path} exists already and is not overwritten`, {
    hint: 'Name another file, or move that one away.',
  });
}

/** Modes of files for everybody's eyes and for one's own. */
export const PUBLIC_MODE = 0o644;
export const SECRET_MODE = 0o600;
