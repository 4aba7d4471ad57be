/**
 * Entries that are on their way to the disk, above the rows that are durable: so machines see at
 * once what they have given (W41). Whoever commits them says when they are below.
 */
import type { LogEntry } from './machine.ts';
import type { Row, Rows, RowsQuery } from './ports.ts';
import { rangeAbove, type Written } from './rows-above.ts';
import { SortedTable } from './sorted-table.ts';

interface Staged extends Written {
  /** Of which batch it is; a later one covers those before. */
  readonly batch: number;
}

export class StagedRows implements Rows {
  readonly #durable: Rows;
  readonly #tables = new Map<string, SortedTable<Staged>>();
  #batches = 0;

  constructor(durable: Rows) {
    this.#durable = durable;
  }

  /** @returns what to call when they are durable. */
  stage(entries: readonly LogEntry[]): () => void {
    this.#batches += 1;
    const batch = this.#batches;
    for (const { table, key, value } of entries) {
      let staged = this.#tables.get(table);
      if (staged === undefined) this.#tables.set(table, (staged = new SortedTable()));
      staged.set(key, { value, batch });
    }
    return () => this.#release(entries, batch);
  }

  get(table: string, key: string): Uint8Array | undefined {
    const staged = this.#tables.get(table)?.get(key);
    return staged === undefined ? this.#durable.get(table, key) : staged.value;
  }

  range(query: RowsQuery): readonly Row[] {
    return rangeAbove(this.#tables.get(query.table), this.#durable, query);
  }

  #release(entries: readonly LogEntry[], batch: number): void {
    for (const { table, key } of entries) {
      const staged = this.#tables.get(table);
      if (staged?.get(key)?.batch !== batch) continue;
      staged.delete(key);
      if (staged.size === 0) this.#tables.delete(table);
    }
  }
}
