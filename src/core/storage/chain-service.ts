/**
 * `chain.db`, in its worker: small facts under (table, key), each batch durable before it is
 * acknowledged. The tables are names within one SQLite table, so that a machine may own a new
 * one without a migration.
 */
import { lstatSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import type { LogEntry } from '../machine.ts';
import { KIB, MIB } from '../units.ts';
import {
  closeDatabase,
  type DatabaseSpec,
  giveBack,
  integer,
  type OpenOptions,
  openDatabase,
} from './database.ts';
import { GroupCommit } from './group-commit.ts';
import { unpackEntries } from './packed-entries.ts';
import type { ChainOperations, StoreSpace, TableRow } from './protocol.ts';
import type { Service } from './service.ts';
import { type StandingOptions, StandingRecord } from './standing.ts';

/**
 * The entry that counts the transactions of the file. Its name puts it beside the rows of each
 * vote, on a page that is written anyway.
 */
const SEQUENCE = { table: 'consensus/sequence', key: '' };

/** Of the write-ahead log: when it moves into the file, and when it must. */
const LOG = { checkpointBytes: 4 * MIB, logBytesMax: 16 * MIB };

export const CHAIN_SPEC: DatabaseSpec = {
  // 'aegC' in ASCII.
  applicationId: 0x61656743,
  schemaVersion: 1,
  pageSizeBytes: 4 * KIB,
  // Measured: no difference for a vote (0.25 ms); for a block of 500 intents 1.8 % more in the log.
  incrementalVacuum: true,
  // A block of 500 intents touches a page for each: with 2 MiB they were written twice (7 ms).
  cacheSizeBytes: 16 * MIB,
  schema: `
    CREATE TABLE entries (
      room TEXT NOT NULL,
      key TEXT NOT NULL,
      value BLOB NOT NULL,
      PRIMARY KEY (room, key)
    ) STRICT, WITHOUT ROWID;`,
  migrations: {},
  loss:
    'Lost from this home: the record of versions and replicas. Start the node again: other nodes ' +
    'send it the versions that they hold. Versions that were on this node only can be tried from ' +
    'the file that was set aside (sqlite3 FILE .recover), or put again.',
};

export function chainService(
  path: string,
  options: OpenOptions & StandingOptions,
  fatal: (error: unknown) => void,
): Service<ChainOperations> {
  const standing = new StandingRecord(path, options);
  const db = openDatabase(path, CHAIN_SPEC, options);
  const { put, one, all, between } = statementsOf(db);
  const read = (table: string, key: string) =>
    one.get(table, key)?.['value'] as Uint8Array | undefined;
  const found = numberOf(read(SEQUENCE.table, SEQUENCE.key));
  let sequence = found ?? 0n;
  standing.open(found);
  const group = new GroupCommit(LOG, {
    db,
    fatal,
    seal: () => put.run(SEQUENCE.table, SEQUENCE.key, numberBytes(sequence + 1n)),
    sealed: () => {
      sequence += 1n;
      standing.advance(sequence);
    },
  });
  return {
    handlers: {
      ...writesOf(group, db, path),
      // What is read must be durable: nobody may act on a fact that a crash can take back.
      get: ({ table, key }) => {
        group.commit();
        return read(table, key);
      },
      getMany: ({ table, keys }) => {
        group.commit();
        return keys.map((key) => read(table, key));
      },
      scan: (table) => {
        group.commit();
        return all.all(table) as unknown as TableRow[];
      },
      range: ({ table, from, to, limit }) => {
        group.commit();
        return between.all(table, from, to, limit) as unknown as TableRow[];
      },
      standing: () => standing.report,
      settle: () => {
        group.commit();
        standing.settle(sequence);
        return undefined;
      },
      close: () => {
        group.commit();
        return undefined;
      },
    },
    close: () => {
      closeDatabase(db);
      standing.close();
    },
  };
}

type Writes = 'commit' | 'commitApart' | 'shrink' | 'space' | 'freeBytes';

function writesOf(
  group: GroupCommit,
  db: DatabaseSync,
  path: string,
): Pick<Service<ChainOperations>['handlers'], Writes> {
  const { put, remove } = statementsOf(db);
  const write = (entries: readonly LogEntry[]) => () => {
    for (const { table, key, value } of entries) {
      if (value === undefined) remove.run(table, key);
      else put.run(table, key, value);
    }
  };
  return {
    commit: async (packed) => {
      const entries = unpackEntries(packed);
      await group.stage(sizeOf(entries), write(entries));
      return undefined;
    },
    commitApart: async (packed) => {
      const entries = unpackEntries(packed);
      // Deletions touch a page or two each, all over the file.
      const sizeBytes = sizeOf(entries) + entries.length * CHAIN_SPEC.pageSizeBytes;
      await group.apart(sizeBytes, write(entries));
      return undefined;
    },
    shrink: async (pages) => {
      const sizeBytes = 2 * pages * CHAIN_SPEC.pageSizeBytes;
      await group.apart(sizeBytes, () => giveBack(db, pages));
      return integer(db, 'freelist_count');
    },
    space: () => {
      group.truncateLog();
      return spaceOf(db, path);
    },
    freeBytes: () => freeBytesOf(db),
  };
}

const freeBytesOf = (db: DatabaseSync): number =>
  integer(db, 'freelist_count') * integer(db, 'page_size');

function spaceOf(db: DatabaseSync, path: string): StoreSpace {
  const sizes = [path, `${path}-wal`].map((one) => lstatSync(one, { throwIfNoEntry: false })?.size);
  const bytes = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  return { bytes, freeBytes: freeBytesOf(db) };
}

/** About what they take in the log. */
const sizeOf = (entries: readonly LogEntry[]): number =>
  entries.reduce((sum, { value }) => sum + (value?.length ?? 0) + 64, 0);

function statementsOf(db: DatabaseSync) {
  return {
    put: db.prepare(
      'INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    ),
    remove: db.prepare('DELETE FROM entries WHERE room = ? AND key = ?'),
    one: db.prepare('SELECT value FROM entries WHERE room = ? AND key = ?'),
    all: db.prepare('SELECT key, value FROM entries WHERE room = ? ORDER BY key'),
    between: db.prepare(
      'SELECT key, value FROM entries WHERE room = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?',
    ),
  };
}

const numberOf = (bytes: Uint8Array | undefined): bigint | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).readBigUInt64BE();

function numberBytes(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
