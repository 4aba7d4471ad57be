/** What `kb put` sends: a file, standard input, or a directory as a tar. */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { TreeEntry } from '../../core/api/backend.ts';
import type { UploadSource } from '../../core/api/client/upload.ts';
import { AegisError } from '../../core/errors.ts';
import { type Found, quoteName, unreadable, unsupported, walk } from './walk.ts';

export interface Source extends UploadSource {
  /** The last part of the name; `undefined` for standard input. */
  readonly name?: string;
}

const PIECE_BYTES = 256 * 1024;

/**
 * Opens what `name` names; `-` is standard input.
 *
 * @throws {AegisError} `UNREADABLE`, `UNSUPPORTED_FILE`, `TOO_LARGE`.
 */
export async function openSource(name: string): Promise<Source> {
  if (name === '-') return { kind: 'file', bytes: process.stdin };
  const absolute = resolve(name);
  const stats = await stat(absolute).catch((error: unknown) => {
    throw unreadable(error, name);
  });
  const base = basename(absolute);
  if (stats.isFile()) {
    const found: Found = { path: name, absolute, kind: 'file', sizeBytes: stats.size };
    return { kind: 'file', name: base, bytes: readFile(found), sizeBytes: stats.size };
  }
  if (!stats.isDirectory()) throw unsupported(name, stats);
  const found = await walk(absolute);
  const { packTar } = await import('../../core/api/tar.ts');
  return { kind: 'directory', name: base, bytes: packTar(entriesOf(found)) };
}

async function* entriesOf(found: readonly Found[]): AsyncGenerator<TreeEntry, void> {
  for (const each of found) {
    const { path, kind, sizeBytes } = each;
    yield { path, kind, sizeBytes, bytes: kind === 'file' ? readFile(each) : nothing() };
  }
}

async function* nothing(): AsyncGenerator<Uint8Array, void> {}

/**
 * The calls wait: for a thousand small files, handing each call to another thread took several
 * times as long as the calls themselves.
 *
 * @throws {AegisError} `UNREADABLE`, also when the file changes while it is read.
 */
async function* readFile(found: Found): AsyncGenerator<Uint8Array, void> {
  const file = openRegular(found);
  try {
    const before = fstatSync(file);
    if (!before.isFile()) throw unsupported(found.path, before);
    if (before.size !== found.sizeBytes) throw changed(found);
    for (let left = found.sizeBytes; left > 0; ) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, left));
      const bytesRead = readSync(file, piece, 0, piece.length, null);
      if (bytesRead === 0) throw changed(found);
      left -= bytesRead;
      // The last bytes are held back until the file is known to be still the same.
      if (left === 0) checkSame(found, before, fstatSync(file));
      yield piece.subarray(0, bytesRead);
    }
  } catch (error) {
    throw unreadable(error, found.path);
  } finally {
    closeSync(file);
  }
}

function openRegular(found: Found): number {
  try {
    // Without O_NONBLOCK, a fifo that has taken the file's place would hang the open for ever.
    return openSync(found.absolute, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw unreadable(error, found.path);
  }
}

function checkSame(found: Found, before: Stats, after: Stats): void {
  if (before.size !== after.size || before.mtimeMs !== after.mtimeMs) throw changed(found);
}

const changed = (found: Found): AegisError =>
  new AegisError('UNREADABLE', `${quoteName(Buffer.from(found.path))} changed while it was read`, {
    hint: 'Nothing was stored. Repeat the command when nobody writes the file.',
  });
