/**
 * What SQLite says, in the words of this house. Three kinds matter: the disk is full (try again),
 * the file is damaged (quarantine), and a write whose fate is unknown (the process must end).
 */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { AegisError, toAegisError } from '../errors.ts';

/** Primary result codes (sqlite.org/rescode.html); extended codes carry more in the upper bits. */
const SQLITE_PERM = 3;
const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

export type SqliteErrorKind = 'full' | 'damaged' | 'busy' | 'denied' | 'io' | 'other';

/** The extended result code of an error thrown by `node:sqlite`; undefined for other errors. */
function sqliteCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | undefined)?.errcode;
  return typeof code === 'number' ? code : undefined;
}

export function kindOf(error: unknown): SqliteErrorKind {
  const code = sqliteCode(error);
  if (code === undefined) return 'other';
  switch (code & 0xff) {
    case SQLITE_FULL:
      return 'full';
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return 'damaged';
    case SQLITE_BUSY:
      return 'busy';
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return 'denied';
    case SQLITE_IOERR:
      return 'io';
    default:
      return 'other';
  }
}

/**
 * Whether the outcome of a write is unknown. After a failed fsync the kernel may hold pages that
 * it calls clean and that are not on the disk: nothing may be built on them, and asking again
 * may answer "fine" (LWN 752063). So the process ends, and recovery reads what the disk has.
 *
 * An I/O error while the disk has no room is a full disk that met SQLite in a place where it
 * cannot say so (growing the shared-memory file): nothing was committed.
 */
export const isFatal = (error: unknown, path: string): boolean =>
  kindOf(error) === 'io' && (isFsyncFailure(error) || !diskIsFull(path));

/** SQLITE_IOERR_FSYNC and SQLITE_IOERR_DIR_FSYNC. */
const isFsyncFailure = (error: unknown): boolean => {
  const code = sqliteCode(error);
  return code === (SQLITE_IOERR | (4 << 8)) || code === (SQLITE_IOERR | (5 << 8));
};

function diskIsFull(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize < 64 * 1024;
  } catch {
    return false;
  }
}

/** @param path the database file, named in the message. */
export function explainSqlite(error: unknown, path: string): AegisError {
  if (error instanceof AegisError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  switch (kindOf(error)) {
    case 'full':
      return new AegisError('DISK_FULL', `cannot write ${path}: the disk is full`, {
        cause: error,
      });
    case 'damaged':
      return new AegisError('STORE_DAMAGED', `${path} is damaged: ${reason}`, {
        hint: 'Restart the node: it checks the file and sets it aside if need be.',
        cause: error,
      });
    case 'busy':
      return new AegisError('BUSY', `${path} is in use by another process`, { cause: error });
    case 'denied':
      return new AegisError('DENIED', `cannot open ${path}: ${reason}`, { cause: error });
    case 'io':
      return diskIsFull(path)
        ? new AegisError('DISK_FULL', `cannot write ${path}: the disk is full`, { cause: error })
        : new AegisError('BUG', `the disk failed under ${path}: ${reason}`, {
            hint: 'Look at the disk (dmesg); the node has ended so that nothing false is built on.',
            cause: error,
          });
    default:
      return toAegisError(error);
  }
}
