/**
 * A row of the screen as data: spans of text with a tone. Panes return rows; `app.tsx` draws them
 * and `once.ts` prints them, so what a pane shows can be tested without a terminal.
 */
import { clean, cut, toAscii, widthOf } from './text.ts';

/** What a text means, not which colour it has. A word always says the same without colour. */
export type Tone = 'plain' | 'strong' | 'faint' | 'good' | 'warn' | 'bad' | 'accent' | 'selected';

export interface Span {
  readonly text: string;
  readonly tone: Tone;
}

export type Line = readonly Span[];

/** The only maker of spans: whatever it is given comes out harmless. */
export const span = (text: string, tone: Tone = 'plain'): Span => ({ text: clean(text), tone });

export const line = (text: string, tone: Tone = 'plain'): Line => [span(text, tone)];

export const BLANK: Line = [];

export const plain = (row: Line): string => row.map((part) => part.text).join('');

export const lineWidth = (row: Line): number =>
  row.reduce((width, part) => width + widthOf(part.text), 0);

/** Cuts a row to at most `columns`. */
export function cutLine(row: Line, columns: number): Line {
  if (lineWidth(row) <= columns) return row;
  const out: Span[] = [];
  let left = columns;
  for (const part of row) {
    if (left <= 0) break;
    const text = cut(part.text, left);
    out.push({ text, tone: part.tone });
    left -= widthOf(part.text);
  }
  return out;
}

/** `left` at the left edge and `right` at the right edge; `left` is cut if both do not fit. */
export function spread(left: Line, right: Line, columns: number): Line {
  const rightWidth = lineWidth(right);
  if (rightWidth + 1 > columns) return cutLine(left, columns);
  const room = columns - rightWidth - 1;
  const cutLeft = cutLine(left, room);
  return [...cutLeft, span(' '.repeat(room - lineWidth(cutLeft) + 1)), ...right];
}

/** Exactly `rows` rows: cut at the end, or filled up with blank ones. */
export function fill(lines: readonly Line[], rows: number): Line[] {
  const out = lines.slice(0, Math.max(0, rows));
  while (out.length < rows) out.push(BLANK);
  return out;
}

export const sameLine = (a: Line, b: Line): boolean =>
  a === b ||
  (a.length === b.length &&
    a.every((part, i) => part.text === b[i]?.text && part.tone === b[i]?.tone));

const SGR: Readonly<Record<Tone, readonly [open: string, close: string]>> = {
  plain: ['', ''],
  strong: ['1', '22'],
  faint: ['2', '22'],
  good: ['32', '39'],
  warn: ['33', '39'],
  bad: ['31', '39'],
  accent: ['36', '39'],
  selected: ['7', '27'],
};

/** Tones that are no colour stay under NO_COLOR: bold, faint and the selection bar. */
const COLOURLESS: ReadonlySet<Tone> = new Set(['strong', 'faint', 'selected']);

export interface Paint {
  readonly color: boolean;
  readonly ascii: boolean;
}

/** One string for a row, with its SGR sequences. The only place that writes an escape character. */
export function paint(row: Line, how: Paint): string {
  let out = '';
  for (const { text, tone } of row) {
    const shown = how.ascii ? toAscii(text) : text;
    const [open, close] = SGR[tone];
    out +=
      open !== '' && (how.color || COLOURLESS.has(tone))
        ? `\u001b[${open}m${shown}\u001b[${close}m`
        : shown;
  }
  return out;
}
