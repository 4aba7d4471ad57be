/** Plain tables: aligned by spaces, so that `awk` and eyes can both read them. */
import { safeText, textWidth } from './text.ts';

export interface Column<Row> {
  readonly title: string;
  /** The text of a cell. Made safe for the terminal unless `trusted`. */
  readonly cell: (row: Row) => string | number | undefined | null;
  /** @default 'left' */
  readonly align?: 'left' | 'right';
  /** The cell holds our own colour codes and no text of strangers. @default false */
  readonly trusted?: boolean;
}

const GAP = '  ';
const NOTHING = '-';

/** A header line and a line for each row; `undefined` and empty cells become `-`. */
export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  options: { readonly heading?: (text: string) => string } = {},
): string {
  const cells = rows.map((row) => columns.map((column) => cellText(row, column)));
  const widths = columns.map((column, i) =>
    Math.max(textWidth(column.title), ...cells.map((row) => textWidth(row[i]!))),
  );
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, i) => padCell(text, widths[i]!, columns[i]!.align))
      .join(GAP)
      .trimEnd();
  const heading = options.heading ?? ((text: string) => text);
  return [heading(line(columns.map((column) => column.title))), ...cells.map(line)].join('\n');
}

function cellText<Row>(row: Row, column: Column<Row>): string {
  const value = column.cell(row);
  if (value === undefined || value === null || value === '') return NOTHING;
  return column.trusted ? String(value) : safeText(String(value));
}

function padCell(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const room = ' '.repeat(Math.max(0, width - textWidth(text)));
  return align === 'left' ? text + room : room + text;
}

/** Facts under each other: `name   value`, the names padded to one width. */
export function facts(
  pairs: readonly (readonly [name: string, value: string | undefined])[],
): string {
  const shown = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined);
  const width = Math.max(0, ...shown.map(([name]) => textWidth(name)));
  return shown.map(([name, value]) => `${padCell(name, width)}${GAP}${value}`).join('\n');
}
