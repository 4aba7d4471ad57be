/**
 * One daemon a home. The kernel keeps the lock (an exclusive lock of SQLite on a file of its own),
 * so that it ends with the process, however the process ends, and no stale lock can exist. A note
 * beside it says who holds it, for people; it decides nothing.
 *
 * No other code of a process that holds the lock may open the lock file: closing any descriptor of
 * a file drops the process's POSIX locks on it (fcntl(2)). SQLite knows that, and takes care.
 */
import { closeSync, constants, lstatSync, openSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AegisError } from '../errors.ts';
import { writeFileAtomic } from '../files.ts';
import { isAlive, type ProcessName, startTicksOf } from '../processes.ts';
import { explainSqlite, kindOf } from './sqlite-errors.ts';

export interface LockHolder extends ProcessName {
  /** RFC 3339. */
  readonly since: string;
}

export interface LockState {
  readonly held: boolean;
  /** Who holds it, or who held it last; undefined when the note is missing or not believable. */
  readonly holder: LockHolder | undefined;
}

const NOTE_BYTES_MAX = 4096;
const noteOf = (path: string): string => `${path}.json`;

export class HomeLock {
  readonly #db: DatabaseSync;
  readonly #path: string;

  private constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#path = path;
  }

  /** @throws {AegisError} `ALREADY_RUNNING` naming the process; `DENIED`; `DISK_FULL`. */
  static async acquire(path: string): Promise<HomeLock> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const db = tryLock(path);
    if (db === undefined) throw alreadyRunning(path, await readNote(path));
    try {
      const { pid } = process;
      const since = new Date().toISOString();
      const holder: LockHolder = { pid, startTicks: startTicksOf(pid), since };
      await writeFileAtomic(noteOf(path), `${JSON.stringify(holder)}\n`);
      return new HomeLock(db, path);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** Looks without keeping the lock. */
  static async inspect(path: string): Promise<LockState> {
    const holder = await readNote(path);
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return { held: false, holder };
    const db = tryLock(path);
    db?.close();
    return { held: db === undefined, holder };
  }

  /** Who runs here, by the note alone: takes no lock, so it can disturb no start. */
  static async holder(path: string): Promise<LockHolder | undefined> {
    const holder = await readNote(path);
    return holder !== undefined && isAlive(holder) ? holder : undefined;
  }

  async release(): Promise<void> {
    await rm(noteOf(this.#path), { force: true });
    this.#db.close();
  }
}

/** The open database that keeps the lock; undefined when somebody else has it. */
function tryLock(path: string): DatabaseSync | undefined {
  let db: DatabaseSync | undefined;
  try {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) {
      const { O_CREAT, O_EXCL, O_RDWR, O_NOFOLLOW } = constants;
      closeSync(openSync(path, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, 0o600));
    }
    db = new DatabaseSync(path, { timeout: 0 });
    db.exec('PRAGMA journal_mode = OFF; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    return db;
  } catch (error) {
    db?.close();
    if (kindOf(error) === 'busy') return undefined;
    throw explainSqlite(error, path);
  }
}

async function readNote(path: string): Promise<LockHolder | undefined> {
  try {
    const text = await readFile(noteOf(path), 'utf8');
    if (text.length > NOTE_BYTES_MAX) return undefined;
    const { pid, startTicks, since } = JSON.parse(text) as Partial<Record<string, unknown>>;
    if (!Number.isSafeInteger(pid) || typeof since !== 'string') return undefined;
    const ticks = Number.isSafeInteger(startTicks) ? (startTicks as number) : undefined;
    return { pid: pid as number, startTicks: ticks, since };
  } catch {
    return undefined;
  }
}

function alreadyRunning(path: string, holder: LockHolder | undefined): AegisError {
  // The holder writes its note after it has the lock; a note of a dead process is an older one.
  const known = holder !== undefined && isAlive(holder) ? holder : undefined;
  const who = known === undefined ? 'another process' : `process ${known.pid}`;
  return new AegisError('ALREADY_RUNNING', `a daemon already runs for this home: ${who}`, {
    details: { path, pid: known?.pid },
  });
}
