/**
 * Reads `content.db` through a connection of its own, so that it sees what is durable and nothing
 * else; in the worker of a node, or in the process of a short command while a node runs. It never
 * writes: a damaged row is reported, and whoever may write sets it aside.
 */
import type { DatabaseSync } from 'node:sqlite';
import { CONTENT_SPEC } from './content-schema.ts';
import { openReadOnly } from './database.ts';
import { type Hashers, matches } from './multihash.ts';
import type { PinRow, RootRow, Totals } from './protocol.ts';
import { scrubRows } from './scrub.ts';

export interface Portion {
  readonly found: (Uint8Array | undefined)[];
  /** Position of the damaged key that ended the portion. */
  readonly damaged: number | undefined;
}

export class ContentReader {
  readonly #db: DatabaseSync;
  readonly #hashers: Hashers;
  readonly #object;
  readonly #exists;
  readonly #root;

  constructor(path: string, hashers: Hashers) {
    this.#db = openReadOnly(path, CONTENT_SPEC);
    this.#hashers = hashers;
    this.#object = this.#db.prepare('SELECT id, bytes FROM objects WHERE key = ?');
    this.#exists = this.#db.prepare('SELECT id FROM objects WHERE key = ?');
    this.#root = this.#db.prepare('SELECT cid, complete, size FROM roots WHERE cid = ?');
  }

  /**
   * The first keys, at least one, until their content passes `bytesMax`; with `verify`, up to the
   * first damaged one, whose position is then said. `touch` hears of the rows that are there.
   */
  getMany(
    keys: readonly Uint8Array[],
    verify: boolean,
    bytesMax: number,
    touch: (id: number) => void = () => {},
  ): Portion {
    const found: (Uint8Array | undefined)[] = [];
    let bytes = 0;
    for (const key of keys) {
      if (bytes >= bytesMax) break;
      const row = this.#object.get(key);
      const object = row?.['bytes'] as Uint8Array | undefined;
      if (object !== undefined && verify && !matches(key, object, this.#hashers)) {
        return { found, damaged: found.length };
      }
      if (row !== undefined) touch(Number(row['id']));
      bytes += object?.length ?? 0;
      found.push(object);
    }
    return { found, damaged: undefined };
  }

  has(keys: readonly Uint8Array[], touch: (id: number) => void = () => {}): boolean[] {
    return keys.map((key) => {
      const row = this.#exists.get(key);
      if (row !== undefined) touch(Number(row['id']));
      return row !== undefined;
    });
  }

  root(cid: Uint8Array): RootRow | undefined {
    const row = this.#root.get(cid);
    return row === undefined ? undefined : asRoot(row);
  }

  /** Which of the roots are complete here. */
  areComplete(cids: readonly Uint8Array[]): boolean[] {
    return cids.map((cid) => this.root(cid)?.complete === true);
  }

  /** Of this file, whatever is in it. */
  identity(): string {
    const row = this.#db.prepare('SELECT hex(id) AS id FROM identity').get();
    return String(row?.['id']);
  }

  pin(cid: Uint8Array): PinRow | undefined {
    const row = this.#db.prepare('SELECT * FROM pins WHERE cid = ?').get(cid);
    return row === undefined ? undefined : asPin(row);
  }

  /** In the order of their CIDs. */
  pins(after: Uint8Array, limit: number): PinRow[] {
    const pins = this.#db.prepare('SELECT * FROM pins WHERE cid > ? ORDER BY cid LIMIT ?');
    return pins.all(after, limit).map(asPin);
  }

  stat(): Totals {
    const row = this.#db
      .prepare(
        `SELECT objects, bytes, (SELECT count(*) FROM roots) AS roots,
         (SELECT count(*) FROM pins) AS pins FROM totals`,
      )
      .get();
    return {
      objects: Number(row?.['objects']),
      bytes: Number(row?.['bytes']),
      roots: Number(row?.['roots']),
      pins: Number(row?.['pins']),
    };
  }

  /** W27 */
  scrubbing(db: DatabaseSync): ReturnType<typeof scrubRows> {
    return scrubRows(db, this.#db, this.#hashers);
  }

  close(): void {
    this.#db.close();
  }
}

const asRoot = (row: Record<string, unknown>): RootRow => ({
  cid: row['cid'] as Uint8Array,
  complete: row['complete'] === 1,
  sizeBytes: Number(row['size']),
});

const asPin = (row: Record<string, unknown>): PinRow => ({
  cid: row['cid'] as Uint8Array,
  name: row['name'] as string | null,
  path: row['path'] as string | null,
  isPublic: row['public'] === 1,
  sizeBytes: Number(row['size']),
  addedAt: Number(row['added_at']),
});
