/** A look into a home's `content.db` from outside, and what a bad disk would do to it. */
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
