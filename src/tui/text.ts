/**
 * Text for a terminal: names are made harmless, measured and fitted. Nothing here styles or
 * colours; that is `line.ts`.
 *
 * A name of a node or a path of a document was chosen by a stranger. Every text goes through
 * `clean` before it may reach the terminal, so that none can move the cursor, change colours,
 * retitle the window or reorder the row by bidirectional controls.
 */

const anyOf = (...ranges: readonly string[]): string => `[${ranges.join('')}]`;

/** Whatever could act on the terminal, reorder the row or hide in it. */
const UNSAFE_SET = anyOf(
  // Controls (C0, DEL, C1), halves of surrogate pairs, line and paragraph separators.
  String.raw`\p{Cc}\p{Cs}\p{Zl}\p{Zp}`,
  // Bidirectional and other invisible formatting, tags included.
  String.raw`\p{Cf}`,
);
const UNSAFE = new RegExp(UNSAFE_SET, 'u');
const UNSAFE_ALL = new RegExp(UNSAFE_SET, 'gu');

/** Scripts and symbols of two columns; an approximation of Unicode's East Asian Width (UAX 11). */
const WIDE = new RegExp(
  anyOf(
    String.raw`\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3`,
    String.raw`\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6`,
    String.raw`\u{16fe0}-\u{18aff}\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}`,
    String.raw`\p{Emoji_Presentation}`,
  ),
  'u',
);
const COMBINING = /[\p{Mn}\p{Me}\u{fe00}-\u{fe0f}]/u;
const PRINTABLE_ASCII = /^[\u0020-\u007e]*$/;

/** Longest text in UTF-16 units that is looked at; a terminal row is shorter than this. */
const TEXT_UNITS_MAX = 2048;

const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const escaped = (char: string): string => {
  const code = char.codePointAt(0) ?? 0;
  const hex = code.toString(16).padStart(4, '0');
  return SHORT_ESCAPES[char] ?? (code < 0x10000 ? `\\u${hex}` : `\\u{${hex}}`);
};

/** Shows what could act on a terminal as `\u001b` and so on. Cleaning twice changes nothing. */
export function clean(text: string): string {
  const short = text.length > TEXT_UNITS_MAX ? text.slice(0, TEXT_UNITS_MAX) : text;
  if (PRINTABLE_ASCII.test(short) || !UNSAFE.test(short)) return short;
  return short.replace(UNSAFE_ALL, escaped);
}

const charWidth = (char: string): 0 | 1 | 2 => {
  if (COMBINING.test(char)) return 0;
  return WIDE.test(char) ? 2 : 1;
};

/** Columns that a cleaned text takes. */
export function widthOf(text: string): number {
  if (PRINTABLE_ASCII.test(text)) return text.length;
  let width = 0;
  for (const char of text) width += charWidth(char);
  return width;
}

/** The longest beginning of a cleaned text that takes at most `columns`. */
export function head(text: string, columns: number): string {
  if (PRINTABLE_ASCII.test(text)) return text.slice(0, Math.max(0, columns));
  let width = 0;
  let end = 0;
  for (const char of text) {
    width += charWidth(char);
    if (width > columns) break;
    end += char.length;
  }
  return text.slice(0, end);
}

/** Cleans, and cuts to at most `columns`, the cut marked by a tilde. */
export function cut(text: string, columns: number): string {
  const safe = clean(text);
  if (widthOf(safe) <= columns) return safe;
  return columns < 1 ? '' : `${head(safe, columns - 1)}~`;
}

/** Cleans, cuts and pads to exactly `columns`. */
export function fit(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const short = cut(text, columns);
  const gap = ' '.repeat(Math.max(0, columns - widthOf(short)));
  return align === 'left' ? short + gap : gap + short;
}

/** For terminals without Unicode: every other character becomes as many `?` as it takes columns. */
export function toAscii(text: string): string {
  if (PRINTABLE_ASCII.test(text)) return text;
  let out = '';
  for (const char of text) out += PRINTABLE_ASCII.test(char) ? char : '?'.repeat(charWidth(char));
  return out;
}
