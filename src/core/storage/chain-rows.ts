/**
 * `chain.db` as machines read it: at once, through a read-only connection of this thread, with the
 * entries that are on their way to the worker above it (W41). It writes nothing.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { LogEntry } from '../machine.ts';
import type { Row, Rows, RowsQuery } from '../ports.ts';
import { StagedRows } from '../staged-rows.ts';
import { MIB } from '../units.ts';
import { CHAIN_SPEC } from './chain-service.ts';
import { markSuspect, openReadOnly } from './database.ts';
import { explainSqlite, kindOf } from './sqlite-errors.ts';

/** The pages lie in memory as the kernel has them, too. */
const SPEC = { ...CHAIN_SPEC, cacheSizeBytes: 4 * MIB };

export class ChainRows implements Rows, Disposable {
  readonly #file: DurableRows;
  readonly #staged: StagedRows;

  /** @throws {AegisError} `NOT_FOUND`, `STORE_DAMAGED`, `HOME_TOO_NEW`. */
  constructor(path: string) {
    this.#file = new DurableRows(path);
    this.#staged = new StagedRows(this.#file);
  }

  /**
   * Entries that a machine has given, before any machine steps again.
   * @returns what to call when they are durable.
   */
  stage(entries: readonly LogEntry[]): () => void {
    return this.#staged.stage(entries);
  }

  /** @throws {AegisError} `STORE_DAMAGED`. */
  get(table: string, key: string): Uint8Array | undefined {
    return this.#staged.get(table, key);
  }

  /** @throws {AegisError} `STORE_DAMAGED`. */
  range(query: RowsQuery): readonly Row[] {
    return this.#staged.range(query);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

class DurableRows implements Rows, Disposable {
  readonly #path: string;
  protected readonly db: DatabaseSync;
  readonly #one: StatementSync;
  readonly #up: StatementSync;
  readonly #down: StatementSync;
  readonly #upAll: StatementSync;
  readonly #downAll: StatementSync;

  constructor(path: string) {
    this.#path = path;
    this.db = openReadOnly(path, SPEC);
    const select = 'SELECT key, value FROM entries WHERE room = ? AND key >= ?';
    this.#one = this.db.prepare('SELECT value FROM entries WHERE room = ? AND key = ?');
    this.#up = this.db.prepare(`${select} AND key < ? ORDER BY key LIMIT ?`);
    this.#down = this.db.prepare(`${select} AND key < ? ORDER BY key DESC LIMIT ?`);
    this.#upAll = this.db.prepare(`${select} ORDER BY key LIMIT ?`);
    this.#downAll = this.db.prepare(`${select} ORDER BY key DESC LIMIT ?`);
  }

  get(table: string, key: string): Uint8Array | undefined {
    return this.#read(() => this.#one.get(table, key)?.['value'] as Uint8Array | undefined);
  }

  range({ table, from, to, limit, isReverse = false }: RowsQuery): readonly Row[] {
    const rows = this.#read(() =>
      to === undefined
        ? (isReverse ? this.#downAll : this.#upAll).all(table, from, limit)
        : (isReverse ? this.#down : this.#up).all(table, from, to, limit),
    );
    return rows as unknown as Row[];
  }

  [Symbol.dispose](): void {
    this.db.close();
  }

  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      // The next open checks the whole file.
      if (kindOf(error) === 'damaged') markSuspect(this.#path);
      throw explainSqlite(error, this.#path);
    }
  }
}

/** As they were when this was made, whatever is written since. Not for long: the log grows. */
export class FrozenChainRows extends DurableRows {
  /** @throws {AegisError} `NOT_FOUND`, `STORE_DAMAGED`, `HOME_TOO_NEW`. */
  constructor(path: string) {
    super(path);
    this.db.exec('BEGIN');
  }
}
