import { existsSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { copyFile, mkdir, open, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { AegisError } from '../../../src/core/errors.ts';
import { ContentStore } from '../../../src/core/storage/content-store.ts';
import {
  type DatabaseSpec,
  integer,
  openDatabase,
  openReadOnly,
} from '../../../src/core/storage/database.ts';
import { openChain, openContent, randomBlock, scratch, silentLog } from './support/stores.ts';

const SPEC: DatabaseSpec = {
  applicationId: 0x61656754,
  schemaVersion: 1,
  pageSizeBytes: 4096,
  incrementalVacuum: true,
  cacheSizeBytes: 2 ** 20,
  schema: 'CREATE TABLE facts (key TEXT PRIMARY KEY, value BLOB) STRICT;',
  migrations: {},
  loss: 'what was lost and what to do',
};

const fresh = async (): Promise<string> => join(await scratch(), 'test.db');

function thrownBy(work: () => unknown): AegisError {
  try {
    work();
  } catch (error) {
    if (error instanceof AegisError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** Facts enough for a tree of several pages. */
function fill(db: DatabaseSync): void {
  const insert = db.prepare('INSERT INTO facts VALUES (?, ?)');
  db.exec('BEGIN');
  for (let n = 0; n < 500; n += 1) insert.run(`key ${n}`, new Uint8Array(200).fill(n));
  db.exec('COMMIT');
}

async function overwrite(path: string, at: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, at);
  await file.close();
}

test('a database is private, logged, synced, and marked as ours', async () => {
  const path = await fresh();
  const db = openDatabase(path, SPEC);
  fill(db);
  for (const suffix of ['', '-wal', '-shm']) {
    expect(statSync(path + suffix).mode & 0o777).toBe(0o600);
  }
  expect(db.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
  // 2 is FULL: https://www.sqlite.org/pragma.html#pragma_synchronous
  expect(integer(db, 'synchronous')).toBe(2);
  expect(integer(db, 'auto_vacuum')).toBe(2);
  expect(integer(db, 'page_size')).toBe(4096);
  expect(integer(db, 'application_id')).toBe(SPEC.applicationId);
  db.close();
});

test('both stores have the settings that they were measured with', async () => {
  const dir = await scratch();
  await openChain(join(dir, 'chain.db'));
  await openContent(join(dir, 'content.db'));
  const content = new DatabaseSync(join(dir, 'content.db'));
  expect(integer(content, 'page_size')).toBe(32_768);
  expect(integer(content, 'auto_vacuum')).toBe(2);
  content.close();
});

test.each([
  ['nonsense', async (path: string) => await writeFile(path, 'these are not the pages of a base')],
  ['zeroes', async (path: string) => await writeFile(path, new Uint8Array(8192))],
  [
    'another program',
    (path: string) => {
      const db = new DatabaseSync(path);
      db.exec('PRAGMA application_id = 7; CREATE TABLE theirs (a)');
      db.close();
      return Promise.resolve();
    },
  ],
])('a file of %s is set aside and explained, and the next open is fine', async (_, damage) => {
  const path = await fresh();
  await damage(path);
  const before = await readFile(path);
  const error = thrownBy(() => openDatabase(path, SPEC));
  expect(error).toMatchObject({ code: 'STORE_DAMAGED', exit: 65, hint: SPEC.loss });
  const aside = String(error.details['aside']);
  expect(aside).toMatch(/test\.db\.damaged-\d{8}T\d{6}Z$/);
  expect(error.message).toContain(aside);
  expect(await readFile(aside)).toEqual(before);
  openDatabase(path, SPEC).close();
});

test('a file cut short is set aside', async () => {
  const path = await fresh();
  const db = openDatabase(path, SPEC);
  fill(db);
  db.close();
  truncateSync(path, 5000);
  expect(thrownBy(() => openDatabase(path, SPEC)).code).toBe('STORE_DAMAGED');
});

test('after an unclean shutdown a small file is checked, a large one when it hurts', async () => {
  const path = await fresh();
  const db = openDatabase(path, SPEC);
  fill(db);
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  db.prepare('INSERT INTO facts VALUES (?, ?)').run('last', new Uint8Array(3));
  // As a killed process leaves it: the log is still there.
  const killed = join(await scratch(), 'killed.db');
  for (const suffix of ['', '-wal']) await copyFile(path + suffix, killed + suffix);
  db.close();
  for (let at = 4096 * 4; at < statSync(killed).size; at += 4096) {
    await overwrite(killed, at, new Uint8Array(100).fill(170));
  }
  const later = openDatabase(killed, SPEC, { quickCheckBytesMax: 0 });
  expect(() => later.prepare('SELECT * FROM facts').all()).toThrow('malformed');
  const copy = join(await scratch(), 'copy.db');
  for (const suffix of ['', '-wal']) await copyFile(killed + suffix, copy + suffix);
  later.close();
  expect(thrownBy(() => openDatabase(copy, SPEC)).code).toBe('STORE_DAMAGED');
});

test('damage found in use is reported, and the file is set aside at the next open', async () => {
  const dir = await scratch();
  const path = join(dir, 'content.db');
  const blocks = Array.from({ length: 2000 }, (_, n) => randomBlock(20 + n));
  const store = await openContent(path);
  await store.put(blocks, { verify: true });
  await store.close();
  const pages = statSync(path).size / 32_768;
  // Behind the first pages, which hold the small tables that an open reads.
  for (let page = 20; page < pages; page += 1) {
    await overwrite(path, page * 32_768, new Uint8Array(100).fill(170));
  }
  const second = await openContent(path);
  const cids = blocks.map(({ cid }) => cid);
  await expect(second.getMany(cids)).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
  await second.close();
  const third = ContentStore.open(path, { log: silentLog });
  await expect(third).rejects.toMatchObject({
    code: 'STORE_DAMAGED',
    hint: expect.stringContaining('Start the node again'),
  });
  expect(readdirSync(dir).filter((name) => name.includes('.damaged-')).length).toBe(1);
  expect((await (await openContent(path)).stat()).objects).toBe(0);
});

test('an older schema is migrated step by step, a newer one is left alone', async () => {
  const path = await fresh();
  openDatabase(path, SPEC).close();
  const migrations = {
    1: 'ALTER TABLE facts ADD COLUMN two INTEGER',
    2: 'ALTER TABLE facts ADD COLUMN three INTEGER',
  };
  const third = openDatabase(path, { ...SPEC, schemaVersion: 3, migrations });
  expect(integer(third, 'user_version')).toBe(3);
  third.exec(`INSERT INTO facts (key, two, three) VALUES ('a', 2, 3)`);
  third.close();
  for (const opener of [openDatabase, openReadOnly]) {
    const error = thrownBy(() => opener(path, { ...SPEC, schemaVersion: 2, migrations }));
    expect(error).toMatchObject({ code: 'HOME_TOO_NEW', exit: 78 });
  }
  const failing = { ...SPEC, schemaVersion: 4, migrations: { 3: 'DROP TABLE facts; NONSENSE' } };
  expect(thrownBy(() => openDatabase(path, failing)).code).toBe('BUG');
  const db = openDatabase(path, { ...SPEC, schemaVersion: 3, migrations });
  expect(db.prepare('SELECT two FROM facts').get()).toEqual({ two: 2 });
  db.close();
});

test('a path that cannot be a database is an error of the operator', async () => {
  const dir = await scratch();
  await mkdir(join(dir, 'folder'));
  expect(thrownBy(() => openDatabase(join(dir, 'folder'), SPEC)).code).toBe('DENIED');
  expect(thrownBy(() => openDatabase(join(dir, 'no', 'such'), SPEC)).code).toBe('NOT_FOUND');
  await writeFile(join(dir, 'elsewhere'), '');
  await symlink(join(dir, 'elsewhere'), join(dir, 'link.db'));
  expect(thrownBy(() => openDatabase(join(dir, 'link.db'), SPEC)).code).toBe('DENIED');
  expect(existsSync(join(dir, 'no'))).toBe(false);
});
