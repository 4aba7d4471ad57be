/** A look into the stores of a home from outside, and what a bad disk would do to them. */
import {
  chmodSync,
  closeSync,
  cpSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CID } from 'multiformats/cid';
import { resolveHome } from '../../../src/core/config/home.ts';

const contentDb = (home: string): string => resolveHome({ home, env: {} }).contentDb;
const keyOf = (cid: string): Uint8Array => CID.parse(cid).multihash.bytes;

function read<T>(home: string, use: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(contentDb(home), { readOnly: true });
  try {
    return use(db);
  } finally {
    db.close();
  }
}

/** The bytes that stand under the multihash of `cid`, whatever they are. */
export function storedBytes(home: string, cid: string): Buffer | undefined {
  const row = read(home, (db) =>
    db.prepare('SELECT bytes FROM objects WHERE key = ?').get(keyOf(cid)),
  );
  return row === undefined ? undefined : Buffer.from(row['bytes'] as Uint8Array);
}

/** How many objects the store has set aside as damaged, of one multihash. */
export function setAside(home: string, cid: string): number {
  const row = read(home, (db) =>
    db.prepare('SELECT count(*) AS count FROM damaged WHERE key = ?').get(keyOf(cid)),
  );
  return Number(row?.['count']);
}

/** Flips one bit of a stored object, behind the back of a running node. */
export function flipBit(home: string, cid: string): void {
  const bytes = storedBytes(home, cid);
  if (bytes === undefined) throw new Error(`${cid} is not stored in ${home}`);
  bytes[Math.floor(bytes.length / 2)]! ^= 1;
  const db = new DatabaseSync(contentDb(home), { timeout: 5000 });
  try {
    db.prepare('UPDATE objects SET bytes = ? WHERE key = ?').run(bytes, keyOf(cid));
  } finally {
    db.close();
  }
}

const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

/**
 * Damages the end of the write-ahead log of `chain.db` of a node that was killed: the last frame of
 * the present run of the log and up to `frames` before it, so that SQLite drops their transactions.
 *
 * @returns the number of frames that were damaged; 0 when the log has none.
 */
export function damageTail(data: string, frames: number): number {
  const wal = join(data, 'chain.db-wal');
  const bytes = readFileSync(wal);
  if (bytes.length < WAL_HEADER_BYTES) return 0;
  const frameBytes = FRAME_HEADER_BYTES + bytes.readUInt32BE(8);
  const salts = bytes.subarray(16, 24);
  const starts: number[] = [];
  for (let at = WAL_HEADER_BYTES; at + frameBytes <= bytes.length; at += frameBytes) {
    if (bytes.subarray(at + 8, at + 16).equals(salts)) starts.push(at);
  }
  const damaged = starts.slice(-frames);
  const file = openSync(wal, 'r+');
  for (const at of damaged) {
    const middle = at + Math.floor(frameBytes / 2);
    writeSync(file, Uint8Array.of(bytes[middle]! ^ 1), 0, 1, middle);
  }
  closeSync(file);
  return damaged.length;
}

/** Copies the stores of a node that does not run, as a backup does. */
export function copyData(data: string, copy: string): void {
  cpSync(data, copy, { recursive: true, preserveTimestamps: true });
  chmodSync(copy, 0o700);
}

/** Puts a copy in the place of the stores of a node that does not run. */
export function takeData(copy: string, data: string): void {
  rmSync(data, { recursive: true });
  renameSync(copy, data);
}
