/**
 * Reads the facts of a home's `chain.db` from another process, while its node runs or while it does
 * not. Small: for short commands.
 */
import type { DatabaseSync } from 'node:sqlite';
import { CHAIN_SPEC } from './chain-service.ts';
import { openReadOnly } from './database.ts';
import type { RangeQuery, TableRow } from './protocol.ts';

/**
 * Answers one question after the other, each by what is durable then: the log of a running node
 * moves on in between.
 */
export class ChainReader {
  readonly #db: DatabaseSync;
  readonly #one;
  readonly #between;

  /** @throws {AegisError} `NOT_FOUND`, `STORE_DAMAGED`, `HOME_TOO_NEW`. */
  constructor(path: string) {
    this.#db = openReadOnly(path, CHAIN_SPEC);
    this.#one = this.#db.prepare('SELECT value FROM entries WHERE room = ? AND key = ?');
    this.#between = this.#db.prepare(
      'SELECT key, value FROM entries WHERE room = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?',
    );
  }

  async get(table: string, key: string): Promise<Uint8Array | undefined> {
    return this.#one.get(table, key)?.['value'] as Uint8Array | undefined;
  }

  async getMany(table: string, keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return await Promise.all(keys.map((key) => this.get(table, key)));
  }

  async range({ table, from, to, limit }: RangeQuery): Promise<TableRow[]> {
    return this.#between.all(table, from, to, limit) as unknown as TableRow[];
  }

  close(): void {
    this.#db.close();
  }
}

/** Every row of some rooms, or of all but some, as of one moment. @throws as `readChainValue`. */
export function* chainRows(
  path: string,
  isWanted: (room: string) => boolean,
): Generator<{ readonly table: string; readonly key: string; readonly value: Uint8Array }> {
  const db = openReadOnly(path, CHAIN_SPEC);
  try {
    db.exec('BEGIN');
    const rooms = db.prepare('SELECT DISTINCT room FROM entries ORDER BY room').all();
    const rows = db.prepare('SELECT key, value FROM entries WHERE room = ? ORDER BY key');
    for (const { room } of rooms) {
      const table = room as string;
      if (!isWanted(table)) continue;
      for (const { key, value } of rows.iterate(table)) {
        yield { table, key: key as string, value: value as Uint8Array };
      }
    }
  } finally {
    db.close();
  }
}

/** One value. @throws {AegisError} `NOT_FOUND`, `STORE_DAMAGED`, `HOME_TOO_NEW`. */
export function readChainValue(path: string, room: string, key: string): Uint8Array | undefined {
  const db = openReadOnly(path, CHAIN_SPEC);
  try {
    const row = db.prepare('SELECT value FROM entries WHERE room = ? AND key = ?').get(room, key);
    return row?.['value'] as Uint8Array | undefined;
  } finally {
    db.close();
  }
}
