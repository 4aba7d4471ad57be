/**
 * Writes what `kb get` receives: all of it or nothing. Files and directories are made under a
 * temporary name beside their place and renamed when they are complete.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, mkdirSync, openSync, writeSync } from 'node:fs';
import { link, mkdir, open, rename, rm, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { TreeEntry } from '../../core/api/backend.ts';
import { AegisError, toAegisError } from '../../core/errors.ts';
import { statIfPresent } from '../../core/files.ts';
import { safeText } from '../text.ts';

export interface TargetOptions {
  readonly path: string;
  /** Replaces what is there. */
  readonly force: boolean;
}

/** @throws {AegisError} `EXISTS`, `USAGE` before anything is asked for. */
export async function checkTarget({ path, force }: TargetOptions): Promise<void> {
  requireName(path);
  const there = await statIfPresent(resolve(path));
  const special = there !== undefined && !there.isFile() && !there.isDirectory();
  if (there === undefined || force || (special && !there.isSymbolicLink())) return;
  throw exists(path);
}

/** @throws {AegisError} `EXISTS`, `DISK_FULL`, `DENIED`, or what `bytes` throws. */
export async function writeFileTarget(
  options: TargetOptions,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  requireName(options.path);
  const path = resolve(options.path);
  const there = await statIfPresent(path);
  if (there?.isDirectory()) throw exists(options.path);
  // A device or a fifo is written to, never replaced.
  if (there?.isCharacterDevice() || there?.isFIFO()) return await pour(path, bytes);
  const temporary = besides(path);
  try {
    await fill(temporary, bytes);
    await moveFile(temporary, path, options);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw explain(error, options.path);
  }
}

/** Without `force` a link takes the place: unlike a rename, it fails when somebody was quicker. */
async function moveFile(from: string, to: string, options: TargetOptions): Promise<void> {
  if (options.force) return await rename(from, to);
  try {
    await link(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw exists(options.path);
    // A file system without hard links: the check is all there is.
    if ((await statIfPresent(to)) !== undefined) throw exists(options.path);
    return await rename(from, to);
  }
  await unlink(from);
}

/** @throws {AegisError} as `writeFileTarget`, and `BAD_DATA` for names that collide. */
export async function writeTreeTarget(
  options: TargetOptions,
  entries: AsyncIterable<TreeEntry>,
): Promise<void> {
  const path = resolve(options.path);
  await checkTarget(options);
  const temporary = besides(path);
  try {
    await mkdir(temporary);
    const made = new Set<string>();
    for await (const entry of entries) await writeEntry(temporary, entry, made);
    await moveDirectory(temporary, path, options);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    throw explain(error, options.path);
  }
}

/** The path has been checked by `unpackTar`, and every parent is a directory made here. */
async function writeEntry(root: string, entry: TreeEntry, made: Set<string>): Promise<void> {
  const path = join(root, entry.path);
  try {
    makeDirectory(entry.kind === 'directory' ? path : dirname(path), made);
    if (entry.kind === 'file') await fill(path, entry.bytes);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST' && code !== 'ENOTDIR' && code !== 'ENAMETOOLONG') throw error;
    const name = JSON.stringify(entry.path);
    throw new AegisError('BAD_DATA', `${name} cannot be a file here: ${code}`, { cause: error });
  }
}

function makeDirectory(path: string, made: Set<string>): void {
  if (made.has(path)) return;
  mkdirSync(path, { recursive: true });
  made.add(path);
}

async function moveDirectory(from: string, to: string, options: TargetOptions): Promise<void> {
  const there = await statIfPresent(to);
  if (there === undefined) return await rename(from, to);
  if (!options.force) throw exists(options.path);
  const old = besides(to);
  await rename(to, old);
  await rename(from, to);
  await rm(old, { recursive: true, force: true });
}

/**
 * Makes a file. The calls wait: for a thousand small files, handing each call to another thread
 * took several times as long as the calls themselves.
 */
async function fill(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const file = openSync(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o666);
  try {
    for await (const chunk of bytes) {
      for (let at = 0; at < chunk.byteLength; ) {
        at += writeSync(file, chunk, at, chunk.byteLength - at);
      }
    }
  } finally {
    closeSync(file);
  }
}

/** Writes to a device or a fifo: it may keep its writers waiting, and Ctrl-C must work then. */
async function pour(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, constants.O_WRONLY);
  try {
    for await (const chunk of bytes) {
      for (let at = 0; at < chunk.byteLength; ) {
        at += (await file.write(chunk, at, chunk.byteLength - at)).bytesWritten;
      }
    }
  } finally {
    await file.close();
  }
}

/** What the file system says of a place that cannot be written, in plain words. */
function explain(error: unknown, path: string): AegisError {
  const { code } = error as NodeJS.ErrnoException;
  const shown = safeText(path);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const message = `there is no directory ${safeText(dirname(resolve(path)))}`;
    return new AegisError('NOT_FOUND', message, { hint: 'Make it first: mkdir -p', cause: error });
  }
  if (code === 'ENAMETOOLONG' || code === 'ELOOP') {
    const why = code === 'ELOOP' ? 'its links lead in a circle' : 'its name is too long';
    return new AegisError('BAD_REQUEST', `cannot write ${shown}: ${why}`, { cause: error });
  }
  return toAegisError(error);
}

const besides = (path: string): string =>
  join(dirname(path), `.${basename(path).slice(0, 100)}.${randomBytes(6).toString('hex')}.tmp`);

/** An empty name, of a variable that is not set for instance, would be the directory itself. */
function requireName(path: string): void {
  if (path === '') throw new AegisError('USAGE', 'the name of the file to write is empty');
}

const exists = (path: string): AegisError =>
  new AegisError('EXISTS', `${path} exists already`, {
    hint: 'Choose another name, or replace it with --force.',
  });
