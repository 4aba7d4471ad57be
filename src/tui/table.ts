/** A table as data: columns by priority, figures at the right, one row of text for each row. */
import type { Data } from './data.ts';
import { listRows } from './layout.ts';
import { BLANK, type Line, line, type Span, span, type Tone } from './line.ts';
import { initialView, matcher } from './list.ts';
import { fit } from './text.ts';
import type { List, ListView, Size, State } from './view.ts';

export interface Column<Row> {
  readonly id: string;
  readonly title: string;
  readonly columns: number;
  /** A column that grows shares the room that is left. @default false */
  readonly grows?: boolean;
  readonly align?: 'left' | 'right';
  /** Columns with the greatest number go first when the terminal is narrow; 0 always stays. */
  readonly drop: number;
  cell(row: Row, state: State): string;
  tone?(row: Row): Tone;
  /** What the column is sorted by; absent values sort last in either direction. */
  value(row: Row): string | number | null;
}

export interface TableSpec<Row> {
  readonly columns: readonly Column<Row>[];
  readonly sort: string;
  readonly descending: boolean;
  rows(data: Data): ReadonlyMap<string, Row>;
  /** The text that the filter looks at. */
  search(row: Row): string;
  /** What to say when there are no rows at all. */
  readonly empty: string;
}

const GAP = ' ';

export function listOf<Row>(spec: TableSpec<Row>): List {
  return {
    columns: spec.columns,
    sort: spec.sort,
    descending: spec.descending,
    source: (data) => spec.rows(data),
    arrange(data, view) {
      const column = spec.columns.find((one) => one.id === view.sort) ?? spec.columns[0];
      const matches = matcher(view.filter);
      const keyed: { key: string; value: string | number | null }[] = [];
      for (const [key, row] of spec.rows(data)) {
        if (view.filter !== '' && !matches(spec.search(row))) continue;
        keyed.push({ key, value: column?.value(row) ?? null });
      }
      const sign = view.descending ? -1 : 1;
      keyed.sort((a, b) => compare(a.value, b.value, sign) || (a.key < b.key ? -1 : 1));
      return keyed.map((one) => one.key);
    },
  };
}

function compare(a: string | number | null, b: string | number | null, sign: number): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  return a < b ? -sign : sign;
}

interface Placed<Row> {
  readonly column: Column<Row>;
  readonly columns: number;
}

/** Leaves out columns until the rest fits, then lets those that grow share what is left. */
export function place<Row>(columns: readonly Column<Row>[], width: number): Placed<Row>[] {
  let kept = [...columns];
  const needed = (): number =>
    kept.reduce((sum, column) => sum + column.columns, 0) + GAP.length * (kept.length - 1);
  while (needed() > width) {
    const worst = kept.reduce((a, b) => (b.drop > a.drop ? b : a));
    if (worst.drop === 0) break;
    kept = kept.filter((column) => column !== worst);
  }
  const spare = Math.max(0, width - needed());
  const growing = kept.filter((column) => column.grows).length;
  let given = 0;
  return kept.map((column) => {
    if (!column.grows) return { column, columns: column.columns };
    given += 1;
    const share = Math.floor(spare / growing) + (given === growing ? spare % growing : 0);
    return { column, columns: column.columns + share };
  });
}

function heading<Row>(placed: readonly Placed<Row>[], view: ListView, state: State): Line {
  const arrow = state.ascii ? (view.descending ? 'v' : '^') : view.descending ? '▼' : '▲';
  const cells = placed.map(({ column, columns }) => {
    const sorts = column.id === view.sort;
    return fit(sorts ? `${column.title}${arrow}` : column.title, columns, column.align);
  });
  return line(cells.join(GAP), 'strong');
}

function drawRow<Row>(placed: readonly Placed<Row>[], row: Row, state: State): Line {
  const out: Span[] = [];
  let run = '';
  for (const [i, { column, columns }] of placed.entries()) {
    if (i > 0) run += GAP;
    const text = fit(column.cell(row, state), columns, column.align);
    const tone = column.tone?.(row) ?? 'plain';
    if (tone === 'plain') {
      run += text;
      continue;
    }
    if (run !== '') out.push(span(run));
    out.push(span(text, tone));
    run = '';
  }
  if (run !== '') out.push(span(run));
  return out;
}

/** The selected row is one bar, so that it stands out without colour too. */
const selectedRow = (row: Line, width: number): Line =>
  line(fit(row.map((part) => part.text).join(''), width), 'selected');

/** The heading and the rows that fit. */
export function drawTable<Row>(
  spec: TableSpec<Row>,
  state: State,
  view: ListView,
  size: Size,
): Line[] {
  const placed = place(spec.columns, size.columns);
  const rows = spec.rows(state.shown);
  const out: Line[] = [heading(placed, view, state)];
  const all = rows.size;
  if (view.order.length === 0) {
    const why = all === 0 ? spec.empty : `none of ${all} rows has "${view.filter}"`;
    return [
      ...out,
      BLANK,
      line(state.shown.node === undefined ? 'waiting for the daemon' : why, 'faint'),
    ];
  }
  for (const key of view.order.slice(view.top, view.top + listRows(size))) {
    const row = rows.get(key);
    if (row === undefined) continue;
    const drawn = drawRow(placed, row, state);
    out.push(key === view.selected ? selectedRow(drawn, size.columns) : drawn);
  }
  return out;
}

/** The view of a list, also before the reducer has made one. */
export const viewOf = (state: State, id: State['page'], list: List): ListView =>
  state.lists[id] ?? initialView(list);
