/**
 * Text as the words by which it is found (W33): compatibility forms, case and accents are folded.
 * Scripts that write no spaces count by the character, so that a query in them is a phrase. There
 * is no stemming, and there are no stop words: what is asked for is what is there.
 */
import { FIND_LIMITS } from './limits.ts';

/** Accents of Latin, Greek and Cyrillic; points of Hebrew; vowels of Arabic. */
const ACCENTS = /[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]/gu;

const UNSPACED = ['Han', 'Hiragana', 'Katakana', 'Thai', 'Lao', 'Khmer', 'Myanmar']
  .map((script) => `\\p{Script=${script}}`)
  .join('');

const WORD = new RegExp(`[${UNSPACED}]\\p{M}*|[[\\p{L}\\p{N}\\p{M}]--[${UNSPACED}]]+`, 'gv');

/** "Straße" and "STRASSE", "Δρόμος" and "δρομος", "ﬁ" and "fi" become one. */
export const fold = (text: string): string =>
  text
    .normalize('NFKD')
    .replaceAll(ACCENTS, '')
    .toUpperCase()
    .toLowerCase()
    .replaceAll('ς', 'σ')
    .normalize('NFC');

/** In their order, as often as they stand there. */
export function* wordsOf(text: string): Generator<string, void, undefined> {
  for (const [word] of fold(text).matchAll(WORD)) yield word.slice(0, FIND_LIMITS.wordChars);
}

/** With what a word begins, by which `TERM*` finds it. */
export function* startsOf(word: string): Generator<string, void, undefined> {
  const most = Math.min(word.length, FIND_LIMITS.startChars);
  for (let length = START_CHARS_MIN; length <= most; length += 1) yield word.slice(0, length);
}

/** One letter would name a large part of everything. */
export const START_CHARS_MIN = 2;
