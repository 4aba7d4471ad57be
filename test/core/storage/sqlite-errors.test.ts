import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { explainSqlite, isFatal, kindOf } from '../../../src/core/storage/sqlite-errors.ts';

const path = join(tmpdir(), 'some.db');
/** As `node:sqlite` throws them; the numbers are of https://www.sqlite.org/rescode.html. */
const error = (errcode: number): Error => Object.assign(new Error('said'), { errcode });

test.each([
  ['SQLITE_FULL', 13, 'full', 'DISK_FULL'],
  ['SQLITE_CORRUPT', 11, 'damaged', 'STORE_DAMAGED'],
  ['SQLITE_CORRUPT_INDEX', 779, 'damaged', 'STORE_DAMAGED'],
  ['SQLITE_NOTADB', 26, 'damaged', 'STORE_DAMAGED'],
  ['SQLITE_BUSY_SNAPSHOT', 517, 'busy', 'BUSY'],
  ['SQLITE_CANTOPEN', 14, 'denied', 'DENIED'],
  ['SQLITE_READONLY_DBMOVED', 1032, 'denied', 'DENIED'],
  ['SQLITE_CONSTRAINT_UNIQUE', 2067, 'other', 'BUG'],
] as const)('%s', (_, code, kind, aegisCode) => {
  expect(kindOf(error(code))).toBe(kind);
  expect(explainSqlite(error(code), path)).toMatchObject({ code: aegisCode });
  expect(isFatal(error(code), path)).toBe(false);
});

test.each([
  ['SQLITE_IOERR_FSYNC', 1034],
  ['SQLITE_IOERR_DIR_FSYNC', 1290],
  ['SQLITE_IOERR_WRITE', 778],
])('%s ends the process: the fate of the write is unknown', (_, code) => {
  expect(isFatal(error(code), path)).toBe(true);
});

test('other errors are not made to look like those of the disk', () => {
  expect(kindOf(new Error('x'))).toBe('other');
  expect(isFatal(new TypeError('x'), path)).toBe(false);
  expect(kindOf(undefined)).toBe('other');
});
