/**
 * W46, in the worker: objects that are destroyed for good. Their bytes are overwritten in the file,
 * and objects of their names are refused from then on. Whether one is to go is decided elsewhere.
 */
import type { DatabaseSync } from 'node:sqlite';
import { AegisError } from '../errors.ts';
import type { SealedRoots } from './protocol.ts';

/** Of CIDs (version 1, dag-cbor), the first bytes; and the first after them all. */
const SEALED_FROM = Uint8Array.of(1, 0x71);
const SEALED_TO = Uint8Array.of(1, 0x72);

const textOf = (key: Uint8Array): string => Buffer.from(key).toString('latin1');

export class Shredding {
  readonly #db: DatabaseSync;
  readonly #gone = new Set<string>();
  readonly #sql;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#sql = {
      remember: db.prepare('INSERT OR IGNORE INTO shredded VALUES (?, ?)'),
      remove: db.prepare('DELETE FROM objects WHERE key = ? RETURNING length(bytes) AS size'),
      removeDamaged: db.prepare('DELETE FROM damaged WHERE key = ?'),
      count: db.prepare('UPDATE totals SET objects = objects - 1, bytes = bytes - ?'),
      roots: db.prepare('SELECT cid FROM roots WHERE cid > ? AND cid < ? ORDER BY cid LIMIT ?'),
      object: db.prepare('SELECT bytes FROM objects WHERE key = ?'),
    };
    for (const row of db.prepare('SELECT key FROM shredded').iterate()) {
      this.#gone.add(textOf(row['key'] as Uint8Array));
    }
  }

  /** @throws {AegisError} `NOT_KEPT`. */
  check(keys: readonly Uint8Array[]): void {
    if (this.#gone.size === 0) return;
    const index = keys.findIndex((key) => this.#gone.has(textOf(key)));
    if (index < 0) return;
    throw new AegisError('NOT_KEPT', 'an object has been shredded and is not taken in again', {
      hint: 'See: aegis kb shred --help',
      details: { index },
    });
  }

  /** Part of the caller's transaction; the log is to be emptied after it. */
  shred(keys: readonly Uint8Array[]): void {
    // Not always: it doubles what a collection writes.
    this.#db.exec('PRAGMA secure_delete = ON');
    try {
      for (const key of keys) {
        this.#sql.remember.run(key, Date.now());
        this.#gone.add(textOf(key));
        this.#sql.removeDamaged.run(key);
        const gone = this.#sql.remove.get(key);
        if (gone !== undefined) this.#sql.count.run(Number(gone['size']));
      }
    } finally {
      this.#db.exec('PRAGMA secure_delete = OFF');
    }
  }

  /** Sealed roots here whose bytes name an object, among the next `limit` of them. */
  rootsWith(object: Uint8Array, after: Uint8Array | undefined, limit: number): SealedRoots {
    const rows = this.#sql.roots.all(after ?? SEALED_FROM, SEALED_TO, limit);
    const cids = rows.map((row) => row['cid'] as Uint8Array);
    // A CID of this kind is its code and its multihash.
    const roots = cids.filter((cid) => {
      const bytes = this.#sql.object.get(cid.subarray(2))?.['bytes'] as Uint8Array | undefined;
      return bytes !== undefined && Buffer.from(bytes).includes(Buffer.from(object));
    });
    return { roots, next: rows.length < limit ? undefined : cids.at(-1) };
  }
}
