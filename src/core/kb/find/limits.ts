/** What search refuses or leaves out. Each line has a test, and a row in docs/formats.md. */
import { KIB, MIB } from '../../units.ts';

export const FIND_LIMITS = {
  /** UTF-16 units of a query. */
  queryChars: 1024,
  /** Terms of a query: words, phrases and beginnings of words. */
  terms: 16,
  /** Words of a query, in all of its terms. */
  words: 32,
  /** UTF-16 units of a word; what is longer counts up to here. */
  wordChars: 64,
  /** The beginnings of a word that are indexed have from 2 to so many UTF-16 units. */
  startChars: 16,
  /** Hits of one answer. */
  hits: 500,
  /** W33: text of one file that is indexed. Longer files are found by path and message only. */
  textBytes: MIB,
  /** Text of all files of one directory that is indexed, in their order. */
  versionBytes: 4 * MIB,
  /** Names of a directory that are indexed. */
  names: 10_000,
  /** W35: bits of a filter, a power of two each. */
  filterBitsMin: 1024,
  filterBitsMax: 2 ** 23,
  /** A question of one node to another, and the answer. */
  questionBytes: 4 * KIB,
  answerBytes: 64 * KIB,
  /** Bits that an addition to a filter sets; what has grown by more is sent whole. */
  additions: 65_536,
  /** Bytes of the filters of all peers that are kept. */
  filterBytes: 64 * MIB,
} as const;
