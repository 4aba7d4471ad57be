/** Rows in memory, for the simulator and for tests: what is applied is there. */
import type { LogEntry } from './machine.ts';
import type { Row, Rows, RowsQuery } from './ports.ts';
import { SortedTable } from './sorted-table.ts';

export class MemoryRows implements Rows {
  readonly #tables = new Map<string, SortedTable<Uint8Array>>();

  constructor(entries: Iterable<LogEntry> = []) {
    this.apply(entries);
  }

  apply(entries: Iterable<LogEntry>): void {
    for (const { table, key, value } of entries) {
      let rows = this.#tables.get(table);
      if (rows === undefined) this.#tables.set(table, (rows = new SortedTable()));
      if (value === undefined) rows.delete(key);
      else rows.set(key, value);
    }
  }

  get(table: string, key: string): Uint8Array | undefined {
    return this.#tables.get(table)?.get(key);
  }

  range({ table, limit, ...span }: RowsQuery): readonly Row[] {
    const rows: Row[] = [];
    if (limit <= 0) return rows;
    for (const [key, value] of this.#tables.get(table)?.between(span) ?? []) {
      if (rows.push({ key, value }) >= limit) break;
    }
    return rows;
  }

  /** The names of the tables that have had rows. */
  tables(): string[] {
    return [...this.#tables.keys()].toSorted();
  }

  clear(): void {
    this.#tables.clear();
  }
}
