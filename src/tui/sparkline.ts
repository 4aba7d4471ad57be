/** A small chart in one row. Does not know where its values come from. */
import { type Line, span, type Tone } from './line.ts';
import { fit } from './text.ts';

const BARS = '▁▂▃▄▅▆▇█';
const BARS_ASCII = '_.-=+*#@';

/** The last `columns` values as bars between their own least and greatest; gaps stay empty. */
export function bars(values: readonly number[], columns: number, ascii: boolean): string {
  const shown = values.slice(-Math.max(0, columns));
  const known = shown.filter((value) => Number.isFinite(value));
  if (columns < 1 || known.length === 0) return '';
  const least = Math.min(...known);
  const range = Math.max(...known) - least;
  const set = ascii ? BARS_ASCII : BARS;
  return shown
    .map((value) => {
      if (!Number.isFinite(value)) return ' ';
      return set[range > 0 ? Math.min(7, Math.floor(((value - least) / range) * 8)) : 0] ?? ' ';
    })
    .join('');
}

export interface SparklineOptions {
  readonly label: string;
  readonly format: (value: number) => string;
  readonly columns: number;
  readonly ascii: boolean;
  readonly tone?: Tone;
}

const LABEL_COLUMNS = 9;
const FIGURE_COLUMNS = 11;
const RANGE_COLUMNS = 10 + 2 * FIGURE_COLUMNS;
const BARS_MAX = 120;

/** `label   figure  bars  min a max b`: the figure is the newest value. What does not fit goes. */
export function sparkline(values: readonly number[], options: SparklineOptions): Line {
  const { format, columns, ascii } = options;
  const label = fit(options.label, LABEL_COLUMNS);
  const newest = values.at(-1);
  const figure = fit(newest === undefined ? '-' : format(newest), FIGURE_COLUMNS, 'right');
  const room = columns - LABEL_COLUMNS - FIGURE_COLUMNS - 2;
  const row = [span(label, 'faint'), span(figure, 'strong')];
  if (room < 8) return row;
  const withRange = room >= 16 + RANGE_COLUMNS;
  const width = Math.min(BARS_MAX, withRange ? room - RANGE_COLUMNS : room);
  const shown = values.slice(-width);
  const known = shown.filter((value) => Number.isFinite(value));
  row.push(span('  '), span(fit(bars(values, width, ascii), width), options.tone ?? 'accent'));
  if (withRange && known.length > 0) {
    const least = fit(format(Math.min(...known)), FIGURE_COLUMNS, 'right');
    const greatest = fit(format(Math.max(...known)), FIGURE_COLUMNS, 'right');
    row.push(span(`  min${least}  max${greatest}`, 'faint'));
  }
  return row;
}
