/** Label and value rows, for the overview and for details. */
import { NOTHING } from '../format.ts';
import { type Line, span, type Tone } from '../line.ts';
import { cut, fit, head } from '../text.ts';

export const LABEL_COLUMNS = 14;

export type Fact = readonly [label: string, value: string | number | null | undefined, tone?: Tone];

/** Rows under one label, made of spans. */
export const labelled = (label: string, rows: readonly Line[]): Line[] =>
  rows.map((row, i) => [span(fit(i === 0 ? label : '', LABEL_COLUMNS), 'faint'), ...row]);

/** Facts under each other; `-` for no value. Each fills one row, or more if `wrapped`. */
export function facts(pairs: readonly Fact[], columns: number, wrapped = false): Line[] {
  const room = Math.max(8, columns - LABEL_COLUMNS);
  return pairs.flatMap(([label, value, tone]) => {
    const text = value === null || value === undefined || value === '' ? NOTHING : String(value);
    const parts = wrapped ? wrap(text, room) : [cut(text, room)];
    return parts.map((part, i) => [
      span(fit(i === 0 ? label : '', LABEL_COLUMNS), 'faint'),
      span(part, tone ?? 'plain'),
    ]);
  });
}

/** A value may fill this many rows; a stranger's error text must not push the rest away. */
const WRAPPED_ROWS_MAX = 4;

function wrap(text: string, columns: number): string[] {
  let rest = cut(text, columns * WRAPPED_ROWS_MAX);
  const out: string[] = [];
  while (rest !== '' && out.length < WRAPPED_ROWS_MAX) {
    const part = atWord(head(rest, columns), rest);
    out.push(part.trimEnd());
    rest = rest.slice(part.length).trimStart();
  }
  return out;
}

/** Ends a row behind a word, unless that leaves most of the row empty as with a long id. */
function atWord(part: string, rest: string): string {
  const space = part.lastIndexOf(' ') + 1;
  const whole = part.length === rest.length || rest[part.length] === ' ';
  return whole || space < part.length / 2 ? part : part.slice(0, space);
}
