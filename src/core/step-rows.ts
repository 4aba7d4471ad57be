/**
 * What a machine has persisted within the step that runs, above the rows that it has given before
 * (W41). It persists nothing itself: what is set here must also be an entry of the step.
 */
import type { Row, Rows, RowsQuery } from './ports.ts';
import { rangeAbove, type Written } from './rows-above.ts';
import { SortedTable } from './sorted-table.ts';

export class StepRows implements Rows {
  readonly #below: Rows;
  readonly #tables = new Map<string, SortedTable<Written>>();

  constructor(below: Rows) {
    this.#below = below;
  }

  /** At the start of each step: what was written before is below by now. */
  begin(): void {
    this.#tables.clear();
  }

  /** @param value undefined: the key is gone. */
  set(table: string, key: string, value: Uint8Array | undefined): void {
    let written = this.#tables.get(table);
    if (written === undefined) this.#tables.set(table, (written = new SortedTable()));
    written.set(key, { value });
  }

  get(table: string, key: string): Uint8Array | undefined {
    const written = this.#tables.get(table)?.get(key);
    return written === undefined ? this.#below.get(table, key) : written.value;
  }

  range(query: RowsQuery): readonly Row[] {
    return rangeAbove(this.#tables.get(query.table), this.#below, query);
  }
}
