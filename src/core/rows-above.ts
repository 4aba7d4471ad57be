/** Rows that were written lately, above those that lie below. */
import type { Row, Rows, RowsQuery } from './ports.ts';
import { compareKeys, type SortedTable } from './sorted-table.ts';

/** What was written; without a value the key is gone. */
export interface Written {
  readonly value: Uint8Array | undefined;
}

/** The rows of `query` as if what is `above` had been written below. */
export function rangeAbove(
  above: SortedTable<Written> | undefined,
  below: Rows,
  query: RowsQuery,
): readonly Row[] {
  const written = [...(above?.between(query) ?? [])];
  if (written.length === 0) return below.range(query);
  const sign = query.isReverse === true ? -1 : 1;
  const rows: Row[] = [];
  const rest = pages(below, query);
  let next = rest.next();
  for (const [key, { value }] of written) {
    for (; !next.done && sign * compareKeys(next.value.key, key) < 0; next = rest.next()) {
      if (rows.push(next.value) >= query.limit) return rows;
    }
    if (!next.done && next.value.key === key) next = rest.next();
    if (value !== undefined && rows.push({ key, value }) >= query.limit) return rows;
  }
  for (; !next.done && rows.length < query.limit; next = rest.next()) rows.push(next.value);
  return rows;
}

/** As many as are taken: some of those below may be covered by what was written. */
function* pages(below: Rows, query: RowsQuery): Generator<Row, undefined> {
  let [{ from, to }, limit] = [query, query.limit];
  for (;;) {
    const rows = below.range({ ...query, from, to, limit });
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < limit) return;
    if (query.isReverse === true) to = last.key;
    // No key lies between one and the same with a zero after it.
    else from = `${last.key}\0`;
    limit = Math.min(2 * limit, Math.max(query.limit, 256));
  }
}
