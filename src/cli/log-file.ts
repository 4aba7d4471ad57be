/** Reads the logs of a node: the last lines, and new ones as they come. */
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AegisError, toAegisError } from '../core/errors.ts';
import type { Colours } from './colour.ts';
import { safeText } from './text.ts';

/** One line of the log. What is not a line of ours comes as a message of the room `?`. */
export interface LogRecord {
  readonly time: string;
  readonly level: string;
  readonly room: string;
  readonly message: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

const PIECE_BYTES = 64 * 1024;
/** A longer line is not one of ours. */
const LINE_BYTES_MAX = 1024 * 1024;
const POLL_MS = 200;
const ROTATED_MAX = 100;

/** Where following goes on: a position in the file with this inode. */
export interface LogPosition {
  readonly inode: number;
  readonly bytes: number;
}

/**
 * The last `count` records that `wanted` takes, the oldest first, from the file and those that were
 * rotated away from it.
 *
 * @throws {AegisError} `NOT_FOUND` when there is no log.
 */
export async function lastLines(
  path: string,
  count: number,
  wanted: (record: LogRecord) => boolean,
  parse: (line: string) => LogRecord = parseLine,
): Promise<{ records: LogRecord[]; position: LogPosition }> {
  const found: LogRecord[] = [];
  let position: LogPosition | undefined;
  for (let index = 0; index <= ROTATED_MAX; index += 1) {
    const file = await openLog(index === 0 ? path : `${path}.${index}`);
    if (file === undefined) {
      if (index > 0) break;
      throw new AegisError('NOT_FOUND', `there is no log at ${path}`, {
        hint: 'It is made when the node starts: aegis node start',
      });
    }
    try {
      const { ino: inode, size } = await file.stat();
      position ??= { inode, bytes: size };
      for await (const line of backwards(file, size)) {
        if (found.length >= count) break;
        const record = parse(line);
        if (wanted(record)) found.push(record);
      }
    } finally {
      await file.close();
    }
    if (found.length >= count) break;
  }
  return { records: found.toReversed(), position: position ?? { inode: 0, bytes: 0 } };
}

/** Yields what is written after `position`, over rotations, until the signal aborts. */
export async function* followLog(
  path: string,
  position: LogPosition,
  signal: AbortSignal,
  parse: (line: string) => LogRecord = parseLine,
): AsyncGenerator<LogRecord, void> {
  let { inode, bytes } = position;
  let file = await openLog(path);
  let rest = Buffer.alloc(0);
  try {
    while (!signal.aborted) {
      const piece = file === undefined ? Buffer.alloc(0) : await readAt(file, bytes);
      bytes += piece.length;
      rest = Buffer.concat([rest, piece]);
      for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
        yield parse(rest.toString('utf8', 0, end));
        rest = rest.subarray(end + 1);
      }
      if (rest.length > LINE_BYTES_MAX) rest = Buffer.alloc(0);
      if (piece.length > 0) continue;
      // Only a file that has been read to its end may be left for the one that took its place.
      const next = await openLog(path);
      const moved = next === undefined ? undefined : (await next.stat()).ino;
      if (moved !== undefined && moved !== inode) {
        await file?.close();
        [file, inode, bytes, rest] = [next, moved, 0, Buffer.alloc(0)];
        continue;
      }
      await next?.close();
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await file?.close();
  }
}

/** A line of the security log as one of the log: the event is its message. */
export function parseSecurityLine(line: string): LogRecord {
  try {
    const { time, event, ...fields } = JSON.parse(line) as Record<string, unknown>;
    if (typeof time === 'string' && typeof event === 'string') {
      return { time, level: 'warn', room: 'security', message: event, fields };
    }
  } catch {
    // Not ours: shown as it is.
  }
  return parseLine(line);
}

/** A line for people: time, level, room, message, fields. */
export function lineText(record: LogRecord, paint: Colours): string {
  const { time, level, room, message, fields = {} } = record;
  const colour = level === 'error' ? paint.red : level === 'warn' ? paint.yellow : paint.dim;
  const details = Object.entries(fields).map(([name, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return ` ${paint.dim(`${safeText(name)}=`)}${safeText(text)}`;
  });
  const head = `${safeText(time)} ${colour(safeText(level).padEnd(5))} ${safeText(room).padEnd(9)}`;
  return `${head} ${safeText(message)}${details.join('')}`;
}

async function openLog(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw toAegisError(error);
  }
}

/** Lines from the last to the first. */
async function* backwards(file: FileHandle, size: number): AsyncGenerator<string, void> {
  let rest = Buffer.alloc(0);
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - PIECE_BYTES);
    const piece = Buffer.alloc(end - start);
    await file.read(piece, 0, piece.length, start);
    rest = Buffer.concat([piece, rest]);
    end = start;
    for (let at = rest.lastIndexOf(10); at !== -1; at = rest.lastIndexOf(10)) {
      if (at + 1 < rest.length) yield rest.toString('utf8', at + 1);
      rest = rest.subarray(0, at);
    }
    if (rest.length > LINE_BYTES_MAX) rest = Buffer.alloc(0);
  }
  if (rest.length > 0) yield rest.toString('utf8');
}

async function readAt(file: FileHandle, position: number): Promise<Buffer> {
  const piece = Buffer.alloc(PIECE_BYTES);
  const { bytesRead } = await file.read(piece, 0, piece.length, position);
  return piece.subarray(0, bytesRead);
}

/** A line of the log. */
export function parseLine(line: string): LogRecord {
  try {
    const value = JSON.parse(line) as Partial<Record<keyof LogRecord, unknown>>;
    const { time, level, room, message, fields } = value;
    if (typeof time === 'string' && typeof level === 'string' && typeof message === 'string') {
      const known = { time, level, room: typeof room === 'string' ? room : '?', message };
      return typeof fields === 'object' && fields !== null
        ? { ...known, fields: { ...fields } }
        : known;
    }
  } catch {
    // Not ours: shown as it is.
  }
  return { time: new Date(0).toISOString(), level: 'info', room: '?', message: line };
}
