/** The tables of `content.db`. A change here needs a migration and a new schema version. */
import { KIB, MIB } from '../units.ts';
import type { DatabaseSpec } from './database.ts';

export const CONTENT_SPEC: DatabaseSpec = {
  // 'aegK' in ASCII.
  applicationId: 0x6165674b,
  schemaVersion: 1,
  // Measured for 16, 32, 64 KiB: 1 MiB objects at 330, 400, 450 MB/s; small ones, one a commit,
  // at 3,950, 3,640, 2,970 a second.
  pageSizeBytes: 32 * KIB,
  incrementalVacuum: true,
  cacheSizeBytes: 8 * MIB,
  // Rows stand in the order of writing, so that large objects are appended; the index is small.
  schema: `
    CREATE TABLE objects (
      id INTEGER PRIMARY KEY,
      key BLOB NOT NULL UNIQUE,
      bytes BLOB NOT NULL
    ) STRICT;
    CREATE TABLE damaged (
      id INTEGER PRIMARY KEY,
      key BLOB NOT NULL,
      bytes BLOB NOT NULL,
      found_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE roots (
      cid BLOB PRIMARY KEY,
      complete INTEGER NOT NULL,
      size INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE totals (objects INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
    INSERT INTO totals VALUES (0, 0);`,
  migrations: {},
  loss:
    'Lost from this home: its copies of objects. Start the node again: it fetches what it should ' +
    'hold from other nodes. Objects that were on this node only can be tried from the file that ' +
    'was set aside (sqlite3 FILE .recover), or put again.',
};
