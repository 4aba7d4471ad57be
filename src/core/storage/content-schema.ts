/** The tables of `content.db`. A change here needs a migration and a new schema version. */
import { KIB, MIB } from '../units.ts';
import type { DatabaseSpec } from './database.ts';

/** Numbered, so that a collection remembers a bit of each. */
const ROOTS = `
    CREATE TABLE roots (
      id INTEGER PRIMARY KEY,
      cid BLOB NOT NULL UNIQUE,
      complete INTEGER NOT NULL,
      size INTEGER NOT NULL
    ) STRICT;`;

/** W32. `path` is where the root stood when it was pinned. */
const PINS = `
    CREATE TABLE pins (
      cid BLOB PRIMARY KEY,
      name TEXT,
      path TEXT,
      public INTEGER NOT NULL,
      size INTEGER NOT NULL,
      added_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;`;

/** W40: says whether this is the file that `chain.db` speaks of. */
const IDENTITY = `
    CREATE TABLE identity (id BLOB NOT NULL) STRICT;
    INSERT INTO identity VALUES (randomblob(16));`;

/** W46: multihashes of objects that are not taken in again. */
const SHREDDED = `
    CREATE TABLE shredded (
      key BLOB PRIMARY KEY,
      shredded_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;`;

/** W27: one row. */
const SCRUB = `
    CREATE TABLE scrub (
      at INTEGER NOT NULL,
      objects INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      damaged INTEGER NOT NULL,
      started_at INTEGER,
      done_at INTEGER,
      done_damaged INTEGER NOT NULL
    ) STRICT;
    INSERT INTO scrub VALUES (0, 0, 0, 0, NULL, NULL, 0);`;

export const CONTENT_SPEC: DatabaseSpec = {
  // 'aegK' in ASCII.
  applicationId: 0x6165674b,
  schemaVersion: 2,
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
    ${ROOTS}
    ${PINS}
    ${IDENTITY}
    ${SCRUB}
    ${SHREDDED}
    CREATE TABLE totals (objects INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
    INSERT INTO totals VALUES (0, 0);`,
  migrations: {
    1: `
      ALTER TABLE roots RENAME TO roots_before;
      ${ROOTS}
      INSERT INTO roots (cid, complete, size) SELECT cid, complete, size FROM roots_before;
      DROP TABLE roots_before;
      ${PINS}
      ${IDENTITY}
      ${SCRUB}
      ${SHREDDED}`,
  },
  loss:
    'Lost from this home: its copies of objects. Start the node again: it fetches what it should ' +
    'hold from other nodes. Objects that were on this node only can be tried from the file that ' +
    'was set aside (sqlite3 FILE .recover), or put again.',
};
