/**
 * Opens a SQLite file the way this house wants it: write-ahead log, a sync for every commit, our
 * own application id and schema version, a look at its health, and a quarantine for a damaged one.
 * Knows no tables. Runs inside a storage worker; whoever opens for writing holds the home's lock.
 */
import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AegisError } from '../errors.ts';
import { MIB } from '../units.ts';
import { explainSqlite, kindOf } from './sqlite-errors.ts';

export interface DatabaseSpec {
  /** Written to the file's header, so that no other file is taken for ours. */
  readonly applicationId: number;
  /** Version of the tables that this program writes. */
  readonly schemaVersion: number;
  readonly pageSizeBytes: number;
  /** Free pages can be given back to the disk while the file is in use: see `giveBack`. */
  readonly incrementalVacuum: boolean;
  readonly cacheSizeBytes: number;
  /** Makes the tables of `schemaVersion` in an empty file. */
  readonly schema: string;
  /** `migrations[n]` brings the tables from version n to n + 1. */
  readonly migrations: Readonly<Record<number, string>>;
  /** What the file held, and how it comes back: the hint when it had to be set aside. */
  readonly loss: string;
}

export interface OpenOptions {
  /** Largest size of the file, for tests of a full disk that need no disk. */
  readonly maxPages?: number | undefined;
  /** After an unclean shutdown, files up to this size are checked whole. @default 64 MiB */
  readonly quickCheckBytesMax?: number | undefined;
}

/** @throws {AegisError} `STORE_DAMAGED`, `HOME_TOO_NEW`, `DISK_FULL`, `DENIED`. */
export function openDatabase(
  path: string,
  spec: DatabaseSpec,
  options: OpenOptions = {},
): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    createPrivate(path);
    const unclean = (sizeOf(`${path}-wal`) ?? 0) > 0;
    db = new DatabaseSync(path);
    checkIdentity(db, spec);
    configure(db, spec, options);
    checkHealth(db, path, unclean, options);
    prepareSchema(db, path, spec);
    prepareVacuum(db, spec);
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof Damage || kindOf(error) === 'damaged') {
      throw quarantine(path, spec, error as Error);
    }
    throw explainSqlite(error, path);
  }
}

/** For readers in other threads and processes. Never repairs, never quarantines. */
export function openReadOnly(path: string, spec: DatabaseSpec): DatabaseSync {
  if (sizeOf(path) === undefined) throw new AegisError('NOT_FOUND', `there is no ${path}`);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
    db.exec(`PRAGMA cache_size = ${-Math.ceil(spec.cacheSizeBytes / 1024)}`);
    checkIdentity(db, spec);
    checkVersion(db, path, spec);
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof Damage) {
      throw new AegisError('STORE_DAMAGED', `${path} is damaged: ${error.message}`);
    }
    throw explainSqlite(error, path);
  }
}

/**
 * Moves the write-ahead log into the database and, with `truncate`, empties it.
 * SQLite's own checkpoints swallow their errors; a failed fsync must not pass unseen.
 */
export function checkpoint(db: DatabaseSync, mode: 'PASSIVE' | 'TRUNCATE'): void {
  db.exec(`PRAGMA wal_checkpoint(${mode})`);
}

/**
 * Gives up to `pages` free pages at the end of the file back; used ones there move into free places
 * before. The file is shorter after the next checkpoint. Part of the caller's transaction.
 */
export function giveBack(db: DatabaseSync, pages: number): void {
  // One row a page: only reading them all does all of the work.
  db.prepare(`PRAGMA incremental_vacuum(${pages})`).all();
}

/** Closes for good. What a full disk keeps in the log is read from there at the next open. */
export function closeDatabase(db: DatabaseSync): void {
  try {
    checkpoint(db, 'TRUNCATE');
  } catch (error) {
    if (kindOf(error) !== 'full') throw error;
  } finally {
    db.close();
  }
}

/** Leaves a note that the next open must check the whole file, whatever its size. */
export function markSuspect(path: string): void {
  try {
    writeFileSync(suspectMark(path), '', { mode: 0o600 });
  } catch {
    // Without the note the damage is found again where it hurts.
  }
}

export function integer(db: DatabaseSync, pragma: string): number {
  const row = db.prepare(`PRAGMA ${pragma}`).get() ?? {};
  return Number(Object.values(row)[0]);
}

const suspectMark = (path: string): string => `${path}.suspect`;

/** Carries the reason of a damage up to the place that sets the file aside. */
class Damage extends Error {}

/**
 * SQLite would make the file with the permissions of the umask; its log files copy ours. An
 * existing file is not touched: closing a descriptor of it would drop SQLite's own locks.
 */
function createPrivate(path: string): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats !== undefined) {
    if (stats.isFile()) return;
    throw new AegisError('DENIED', `${path} is not a regular file`);
  }
  if (sizeOf(dirname(path)) === undefined) {
    throw new AegisError('NOT_FOUND', `cannot make ${path}: its directory does not exist`);
  }
  const { O_CREAT, O_EXCL, O_RDWR } = constants;
  closeSync(openSync(path, O_CREAT | O_EXCL | O_RDWR, 0o600));
}

function configure(db: DatabaseSync, spec: DatabaseSpec, options: OpenOptions): void {
  // The first three take effect only while the file is empty, and before the log is switched on.
  db.exec(`
    PRAGMA page_size = ${spec.pageSizeBytes};
    PRAGMA auto_vacuum = ${spec.incrementalVacuum ? 'INCREMENTAL' : 'NONE'};
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA trusted_schema = OFF;
    PRAGMA cache_size = ${-Math.ceil(spec.cacheSizeBytes / 1024)};
  `);
  if (options.maxPages !== undefined) db.exec(`PRAGMA max_page_count = ${options.maxPages}`);
}

function checkHealth(
  db: DatabaseSync,
  path: string,
  unclean: boolean,
  { quickCheckBytesMax = 64 * MIB }: OpenOptions,
): void {
  const suspect = sizeOf(suspectMark(path)) !== undefined;
  const small = (sizeOf(path) ?? 0) <= quickCheckBytesMax;
  if (!suspect && !(unclean && small)) return;
  const row = db.prepare('PRAGMA quick_check(1)').get() ?? {};
  const verdict = String(Object.values(row)[0]);
  if (verdict !== 'ok') throw new Damage(verdict.replaceAll(/\s+/g, ' ').slice(0, 200));
  rmSync(suspectMark(path), { force: true });
}

function prepareSchema(db: DatabaseSync, path: string, spec: DatabaseSpec): void {
  const isNew = integer(db, 'application_id') === 0 && integer(db, 'schema_version') === 0;
  if (isNew) {
    db.exec(`
      BEGIN IMMEDIATE;
      ${spec.schema}
      PRAGMA application_id = ${spec.applicationId};
      PRAGMA user_version = ${spec.schemaVersion};
      COMMIT;
    `);
    return;
  }
  for (let at = checkVersion(db, path, spec); at < spec.schemaVersion; at += 1) {
    const migration = spec.migrations[at];
    if (migration === undefined) throw new Damage(`its schema version ${at} was never released`);
    db.exec(`BEGIN IMMEDIATE; ${migration}; PRAGMA user_version = ${at + 1}; COMMIT;`);
  }
}

/**
 * A file that an older aegis made has not what giving space back needs, and is written anew, once.
 * That takes as much room again: where there is none the file stays as it is, and keeps its size.
 */
function prepareVacuum(db: DatabaseSync, spec: DatabaseSpec): void {
  const incremental = 2;
  if (!spec.incrementalVacuum || integer(db, 'auto_vacuum') === incremental) return;
  try {
    db.exec('VACUUM');
    checkpoint(db, 'TRUNCATE');
  } catch (error) {
    if (kindOf(error) !== 'full') throw error;
  }
}

/** Before anything is changed: another program's file is set aside as it was. */
function checkIdentity(db: DatabaseSync, spec: DatabaseSpec): void {
  const id = integer(db, 'application_id');
  if (id === spec.applicationId || (id === 0 && integer(db, 'schema_version') === 0)) return;
  throw new Damage(`it is another kind of database (id ${id})`);
}

function checkVersion(db: DatabaseSync, path: string, spec: DatabaseSpec): number {
  const version = integer(db, 'user_version');
  if (version > spec.schemaVersion) {
    const known = `this aegis knows up to ${spec.schemaVersion}`;
    throw new AegisError('HOME_TOO_NEW', `${path} has schema version ${version}; ${known}`);
  }
  return version;
}

/** Sets the file and its logs aside under a name that says when. Nothing is deleted. */
function quarantine(path: string, spec: DatabaseSpec, reason: Error): AegisError {
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const aside = `${path}.damaged-${time}`;
  for (const suffix of ['-wal', '-shm', '']) {
    if (sizeOf(path + suffix) !== undefined) renameSync(path + suffix, aside + suffix);
  }
  rmSync(suspectMark(path), { force: true });
  const message = `${path} was damaged (${reason.message}) and is now ${aside}`;
  return new AegisError('STORE_DAMAGED', message, {
    hint: spec.loss,
    cause: reason,
    details: { path, aside },
  });
}

function sizeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.size;
}
