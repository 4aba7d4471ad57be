/**
 * Reads `content.db`, in the reading worker of a node or in the process of a short command while a
 * node runs. It never writes: a damaged row is reported, and set aside by the writing worker.
 */
import type { DatabaseSync } from 'node:sqlite';
import { AegisError } from '../errors.ts';
import { CONTENT_SPEC } from './content-service.ts';
import { openReadOnly } from './database.ts';
import { type Hashers, matches, unpackKeys } from './multihash.ts';
import type { ContentReaderOperations, RootRow, Totals } from './protocol.ts';
import type { Service } from './service.ts';

export class ContentReader {
  readonly #db: DatabaseSync;
  readonly #hashers: Hashers;
  readonly #object;
  readonly #exists;
  readonly #root;

  constructor(path: string, hashers: Hashers) {
    this.#db = openReadOnly(path, CONTENT_SPEC);
    this.#hashers = hashers;
    this.#object = this.#db.prepare('SELECT bytes FROM objects WHERE key = ?');
    this.#exists = this.#db.prepare('SELECT 1 AS found FROM objects WHERE key = ?');
    this.#root = this.#db.prepare('SELECT cid, complete, size FROM roots WHERE cid = ?');
  }

  /** @throws {AegisError} `BAD_HASH` if `verify` is asked and the row is damaged. */
  get(key: Uint8Array, verify: boolean): Uint8Array | undefined {
    const bytes = this.#object.get(key)?.['bytes'] as Uint8Array | undefined;
    if (bytes !== undefined && verify && !matches(key, bytes, this.#hashers)) {
      throw new AegisError('BAD_HASH', 'a stored object is damaged');
    }
    return bytes;
  }

  /** The first keys, at least one, until their content passes `bytesMax`. */
  getMany(
    keys: readonly Uint8Array[],
    verify: boolean,
    bytesMax: number,
  ): (Uint8Array | undefined)[] {
    const found: (Uint8Array | undefined)[] = [];
    let bytes = 0;
    for (const key of keys) {
      if (bytes >= bytesMax) break;
      const object = this.#getNamed(key, verify, found.length);
      bytes += object?.length ?? 0;
      found.push(object);
    }
    return found;
  }

  has(keys: readonly Uint8Array[]): boolean[] {
    return keys.map((key) => this.#exists.get(key) !== undefined);
  }

  root(cid: Uint8Array): RootRow | undefined {
    const row = this.#root.get(cid);
    return row === undefined ? undefined : asRoot(row);
  }

  roots(): RootRow[] {
    return this.#db.prepare('SELECT cid, complete, size FROM roots').all().map(asRoot);
  }

  stat(): Totals {
    const row = this.#db
      .prepare('SELECT objects, bytes, (SELECT count(*) FROM roots) AS roots FROM totals')
      .get();
    return {
      objects: Number(row?.['objects']),
      bytes: Number(row?.['bytes']),
      roots: Number(row?.['roots']),
    };
  }

  close(): void {
    this.#db.close();
  }

  #getNamed(key: Uint8Array, verify: boolean, index: number): Uint8Array | undefined {
    try {
      return this.get(key, verify);
    } catch (error) {
      if (!(error instanceof AegisError)) throw error;
      throw new AegisError('BAD_HASH', error.message, { details: { index } });
    }
  }
}

export function contentReaderService(
  path: string,
  hashers: Hashers,
): Service<ContentReaderOperations> {
  // Opened by the first question, so that this worker starts while the other one makes the file.
  let reader: ContentReader | undefined;
  const open = (): ContentReader => {
    reader ??= new ContentReader(path, hashers);
    return reader;
  };
  return {
    handlers: {
      getMany: ({ keys, verify, bytesMax }) => open().getMany(unpackKeys(keys), verify, bytesMax),
      has: (keys) => open().has(unpackKeys(keys)),
      root: (cid) => open().root(cid),
      roots: () => open().roots(),
      stat: () => open().stat(),
      close: () => undefined,
    },
    close: () => reader?.close(),
  };
}

const asRoot = (row: Record<string, unknown>): RootRow => ({
  cid: row['cid'] as Uint8Array,
  complete: row['complete'] === 1,
  sizeBytes: Number(row['size']),
});
