/**
 * Names that strangers chose, made safe for a terminal, and the room that text takes there.
 */

/** C0, DEL, C1, line and paragraph separators, and the characters that reorder or hide text. */
const UNSAFE = new RegExp(
  [
    '[\\u0000-\\u001f\\u007f-\\u009f]',
    '[\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ufff9-\\ufffb]',
    '\\p{Surrogate}',
  ].join('|'),
  'gu',
);
const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * Makes a name that a stranger chose safe to print on a terminal: control characters, escape
 * sequences and bidirectional overrides become visible escapes. A backslash stays as it is, so the
 * text is for reading; programs take `--json`.
 */
export const safeText = (text: string): string =>
  text.replace(UNSAFE, (c) => ESCAPES[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Combining marks take no room; East Asian wide characters and emoji take two cells. */
const NO_WIDTH = /^\p{M}$/u;
const WIDE = new RegExp(
  `^[${[
    '\\u1100-\\u115f\\u2e80-\\u303e\\u3041-\\ua4cf\\ua960-\\ua97c\\uac00-\\ud7a3\\uf900-\\ufaff',
    '\\ufe30-\\ufe6f\\uff00-\\uff60\\uffe0-\\uffe6\\u{1f300}-\\u{1faff}\\u{20000}-\\u{3fffd}',
  ].join('')}]$`,
  'u',
);
const COLOUR_CODES = /\u001b\[\d*m/g;

/** Cells that `text` takes on a terminal; our own colour codes take none. */
export function textWidth(text: string): number {
  let width = 0;
  for (const char of text.replace(COLOUR_CODES, '')) {
    if (!NO_WIDTH.test(char)) width += WIDE.test(char) ? 2 : 1;
  }
  return width;
}
