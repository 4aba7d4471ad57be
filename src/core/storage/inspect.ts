/**
 * A look at a home's databases from outside, while its node runs or while it does not. It changes
 * nothing: what is wrong is set aside by the node when it opens the file.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { AegisError, toAegisError } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import { MIB } from '../units.ts';
import { CHAIN_SPEC } from './chain-service.ts';
import { CONTENT_SPEC } from './content-schema.ts';
import { openReadOnly } from './database.ts';
import { explainSqlite } from './sqlite-errors.ts';

export interface DatabaseReport {
  readonly path: string;
  readonly exists: boolean;
  /** What keeps a node from using it. */
  readonly problem: AegisError | undefined;
  /** Whether every page was read; large files are left to the node's own reads. */
  readonly checkedWhole: boolean;
  /** Objects that did not match their name and were set aside. */
  readonly damagedObjects: number;
  /** Files that were set aside earlier, by name. */
  readonly quarantined: readonly string[];
}

export interface InspectOptions {
  /** Files up to this size are read whole. @default 256 MiB */
  readonly wholeBytesMax?: number;
}

/** @param kind says which tables to expect. */
export async function inspectDatabase(
  path: string,
  kind: 'chain' | 'content',
  { wholeBytesMax = 256 * MIB }: InspectOptions = {},
): Promise<DatabaseReport> {
  const report = {
    path,
    exists: (await statIfPresent(path)) !== undefined,
    problem: undefined,
    checkedWhole: false,
    damagedObjects: 0,
    quarantined: await quarantinedBeside(path),
  };
  if (!report.exists) return report;
  try {
    const checkedWhole = (await stat(path)).size <= wholeBytesMax;
    const db = openReadOnly(path, kind === 'chain' ? CHAIN_SPEC : CONTENT_SPEC);
    try {
      if (checkedWhole) checkWhole(db, path);
      const damagedObjects = kind === 'content' ? count(db, 'damaged') : 0;
      return { ...report, checkedWhole, damagedObjects };
    } finally {
      db.close();
    }
  } catch (error) {
    return { ...report, problem: toAegisError(explainSqlite(error, path)) };
  }
}

async function quarantinedBeside(path: string): Promise<string[]> {
  const dir = dirname(path);
  if ((await statIfPresent(dir)) === undefined) return [];
  const prefix = `${basename(path)}.damaged-`;
  const names = (await readdir(dir)).filter((name) => name.startsWith(prefix));
  return names.filter((name) => !/-(wal|shm)$/.test(name)).toSorted();
}

function checkWhole(db: DatabaseSync, path: string): void {
  const row = db.prepare('PRAGMA quick_check(1)').get() ?? {};
  const verdict = String(Object.values(row)[0]);
  if (verdict !== 'ok') throw new AegisError('STORE_DAMAGED', `${path} is damaged: ${verdict}`);
}

const count = (db: DatabaseSync, table: 'damaged'): number =>
  Number(db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']);
