/**
 * What `kb find` is asked (W33): words, `"phrases in quotes"`, and beginnings of words, `TERM*`.
 * All of them have to be there. Nothing else means anything: there are no operators, and what is no
 * letter or digit only separates words, so a query can say nothing to the database behind it.
 */
import { AegisError } from '../../errors.ts';
import { FIND_LIMITS } from './limits.ts';
import type { Terms } from './terms.ts';
import { START_CHARS_MIN, wordsOf } from './words.ts';

/** One term of a query, under the key: words that follow each other, then a beginning of one. */
export interface Phrase {
  readonly words: readonly string[];
  /** Of a word of the path or of the message; where it stands does not matter. */
  readonly start?: string;
}

interface Part {
  readonly text: string;
  readonly isStart: boolean;
}

/** A quoted term, to the end where the second quote is missing, or what stands between spaces. */
const PART = /"([^"]*)"?(\*?)|([^\s"]+)/gu;

/** @throws {AegisError} `BAD_REQUEST` for what asks for nothing, or too much. */
export function parseQuery(query: string, terms: Terms): Phrase[] {
  if (query.length > FIND_LIMITS.queryChars) throw tooMuch('characters', FIND_LIMITS.queryChars);
  const phrases = partsOf(query).map((part) => phraseOf(part, terms));
  const asking = phrases.filter(({ words, start }) => words.length > 0 || start !== undefined);
  if (asking.length === 0) {
    throw new AegisError('BAD_REQUEST', 'the query has no word: letters or digits', {
      hint: 'See: aegis kb find --help',
    });
  }
  if (asking.length > FIND_LIMITS.terms) throw tooMuch('terms', FIND_LIMITS.terms);
  if (termsOf(asking).length > FIND_LIMITS.words) throw tooMuch('words', FIND_LIMITS.words);
  return asking;
}

/** All that has to be there, by which a filter is asked (W34). */
export const termsOf = (phrases: readonly Phrase[]): string[] =>
  phrases.flatMap(({ words, start }) => (start === undefined ? words : [...words, start]));

function partsOf(query: string): Part[] {
  return Array.from(query.matchAll(PART), ([, quoted, star, bare]) => {
    const text = quoted ?? bare ?? '';
    return { text, isStart: star === '*' || (bare?.endsWith('*') ?? false) };
  });
}

function phraseOf({ text, isStart }: Part, terms: Terms): Phrase {
  const words = [...wordsOf(text)];
  if (!isStart) return { words: words.map((word) => terms.word(word)) };
  const last = words.pop();
  if (last === undefined) return { words: [] };
  if (last.length < START_CHARS_MIN) {
    const least = `at least ${START_CHARS_MIN} letters`;
    throw new AegisError('BAD_REQUEST', `a beginning of a word has ${least}`);
  }
  // What is longer is looked for by as much of it as is indexed.
  const start = terms.start(last.slice(0, FIND_LIMITS.startChars));
  return { words: words.map((word) => terms.word(word)), start };
}

const tooMuch = (what: string, max: number): AegisError =>
  new AegisError('BAD_REQUEST', `the query has more than ${max} ${what}`);
