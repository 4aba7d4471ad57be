/** What changes in `content.db`, as statements. It decides nothing about when they are durable. */
import type { DatabaseSync } from 'node:sqlite';
import { CONTENT_SPEC } from './content-schema.ts';
import { giveBack } from './database.ts';
import { type Hashers, matches } from './multihash.ts';
import type { PinRow } from './protocol.ts';

/** Damaged rows kept for a look; older ones go. */
const DAMAGED_ROWS_MAX = 256;
/** The changes that `content.db` knows. Each runs inside a transaction of the caller. */
export function contentRows(db: DatabaseSync) {
  const insert = db.prepare('INSERT OR IGNORE INTO objects (key, bytes) VALUES (?, ?)');
  const select = db.prepare('SELECT id, bytes FROM objects WHERE key = ?');
  const remove = db.prepare('DELETE FROM objects WHERE key = ? RETURNING length(bytes) AS size');
  const count = db.prepare('UPDATE totals SET objects = objects + ?, bytes = bytes + ?');
  const replace = db.prepare('UPDATE objects SET bytes = ? WHERE key = ?');
  const setAside = damagedRows(db);
  const drop = (keys: readonly Uint8Array[]): number => {
    let objects = 0;
    let bytes = 0;
    for (const key of keys) {
      const gone = remove.get(key);
      if (gone === undefined) continue;
      objects += 1;
      bytes += Number(gone['size']);
    }
    if (objects > 0) count.run(-objects, -bytes);
    return bytes;
  };
  /** What stands there may have rotted since: whoever puts is promised these very bytes. */
  const heal = (key: Uint8Array, blob: Uint8Array, touch: (id: number) => void): number => {
    const row = select.get(key);
    if (row === undefined) return 0;
    touch(Number(row['id']));
    const found = row['bytes'] as Uint8Array;
    if (Buffer.compare(found, blob) === 0) return 0;
    setAside(key, found);
    replace.run(blob, key);
    return blob.length - found.length;
  };
  return {
    ...rootRows(db),
    /** The bytes must be what their keys say. @param touch hears of rows that are there already. */
    insert(
      keys: readonly Uint8Array[],
      blobs: readonly Uint8Array[],
      touch: (id: number) => void,
    ): void {
      let objects = 0;
      let bytes = 0;
      for (const [index, key] of keys.entries()) {
        const blob = blobs[index] ?? new Uint8Array();
        const isNew = insert.run(key, blob).changes !== 0;
        objects += Number(isNew);
        bytes += isNew ? blob.length : heal(key, blob, touch);
      }
      if (objects > 0 || bytes !== 0) count.run(objects, bytes);
    },
    delete(keys: readonly Uint8Array[]): void {
      const bytes = drop(keys);
      const pages = Math.ceil(bytes / CONTENT_SPEC.pageSizeBytes);
      // In pieces as large as what has just gone.
      if (pages > 0) giveBack(db, pages);
    },
    giveBack: (pages: number): void => giveBack(db, pages),
    quarantine(keys: readonly Uint8Array[], hashers: Hashers): void {
      for (const key of keys) {
        const bytes = select.get(key)?.['bytes'] as Uint8Array | undefined;
        if (bytes === undefined || matches(key, bytes, hashers)) continue;
        setAside(key, bytes);
        drop([key]);
      }
    },
  };
}

/** What is said of roots, whether their objects are here or not. */
function rootRows(db: DatabaseSync) {
  const root = db.prepare(
    `INSERT INTO roots (cid, complete, size) VALUES (?, ?, ?) ON CONFLICT DO UPDATE
     SET complete = excluded.complete, size = excluded.size`,
  );
  const pin = db.prepare('INSERT OR REPLACE INTO pins VALUES (?, ?, ?, ?, ?, ?)');
  const unpin = db.prepare('DELETE FROM pins WHERE cid = ?');
  return {
    setRoot(cid: Uint8Array, complete: boolean, sizeBytes: number): void {
      root.run(cid, complete ? 1 : 0, sizeBytes);
    },
    setPin({ cid, name, path, isPublic, sizeBytes, addedAt }: PinRow): void {
      pin.run(cid, name, path, isPublic ? 1 : 0, sizeBytes, addedAt);
    },
    removePin: (cid: Uint8Array): boolean => unpin.run(cid).changes !== 0,
  };
}

/** Keeps damaged bytes for a look. */
function damagedRows(db: DatabaseSync): (key: Uint8Array, bytes: Uint8Array) => void {
  const insert = db.prepare('INSERT INTO damaged (key, bytes, found_at) VALUES (?, ?, ?)');
  const forget = db.prepare(
    `DELETE FROM damaged WHERE id <= (SELECT max(id) FROM damaged) - ${DAMAGED_ROWS_MAX}`,
  );
  return (key, bytes) => {
    insert.run(key, bytes, Date.now());
    forget.run();
  };
}
