import { open, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tailProblem } from '../../../src/core/storage/wal.ts';
import { scratch } from './support/stores.ts';

const FRAME_BYTES = 24 + 4096;

interface Written {
  readonly db: DatabaseSync;
  readonly wal: string;
  /** Copies the log as it was at first, and changes the copy. */
  changed(change: (path: string, size: number) => Promise<void>): Promise<string>;
}

async function written(transactions: number): Promise<Written> {
  const dir = await scratch();
  const db = new DatabaseSync(join(dir, 'a.db'));
  db.exec(`PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
    CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB)`);
  const wal = join(dir, 'a.db-wal');
  for (let n = 0; n < transactions; n += 1) insert(db);
  const log = await readFile(wal);
  let copies = 0;
  return {
    db,
    wal,
    changed: async (change) => {
      copies += 1;
      const copy = join(dir, `copy-${copies}`);
      await writeFile(copy, log);
      await change(copy, (await stat(copy)).size);
      return copy;
    },
  };
}

/** A transaction of several frames. */
const insert = (db: DatabaseSync): void =>
  db.exec('INSERT INTO t VALUES (NULL, randomblob(20000))');

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
  await file.write(Buffer.of(buffer[0]! ^ 0x10), 0, 1, at);
  await file.close();
}

test('a log that is whole, empty or not there has nothing wrong', async () => {
  const { wal, changed } = await written(3);
  expect(tailProblem(wal)).toBeUndefined();
  expect(tailProblem(await changed((path) => writeFile(path, '')))).toBeUndefined();
  expect(tailProblem(`${wal}.none`)).toBeUndefined();
});

test('frames of an unfinished transaction are no damage', async () => {
  const { db, wal } = await written(2);
  const before = (await stat(wal)).size;
  db.exec('PRAGMA cache_size = 2; BEGIN');
  for (let n = 0; n < 10; n += 1) insert(db);
  expect((await stat(wal)).size).toBeGreaterThan(before);
  expect(tailProblem(wal)).toBeUndefined();
});

test('frames of an earlier run of the log are no damage', async () => {
  const { db, wal } = await written(5);
  db.exec('PRAGMA wal_checkpoint(RESTART)');
  insert(db);
  expect((await stat(wal)).size).toBeGreaterThan(6 * FRAME_BYTES);
  expect(tailProblem(wal)).toBeUndefined();
});

test('a flipped bit is found, but in what tells the runs of the log apart', async () => {
  const { changed } = await written(4);
  await fc.assert(
    fc.asyncProperty(
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      async (part) => {
        let at = 0;
        const copy = await changed(async (path, size) => {
          at = Math.floor(size * part);
          await flip(path, at);
        });
        const frames = Math.floor((at - 32) / FRAME_BYTES);
        const inFrame = at < 32 ? -1 : at - 32 - frames * FRAME_BYTES;
        // With other salts the last frame looks like one of an earlier run: only the count tells.
        const isLast = 32 + (frames + 1) * FRAME_BYTES === (await stat(copy)).size;
        if (isLast && inFrame >= 8 && inFrame < 16) return;
        expect(tailProblem(copy)).toContain('damaged');
      },
    ),
    { numRuns: 200 },
  );
});

test('a log that ends within a frame or its header is damaged', async () => {
  const { changed } = await written(2);
  const shorter = (bytes: number) =>
    changed(async (path, size) => await truncate(path, size - bytes));
  expect(tailProblem(await shorter(1))).toContain('within a frame');
  expect(tailProblem(await shorter(FRAME_BYTES - 1))).toContain('within a frame');
  expect(tailProblem(await changed((path) => truncate(path, 20)))).toContain('header');
});
