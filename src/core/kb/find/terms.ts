/**
 * Words under a key (W34, W48): what stands in an index, in a filter and in a question of one node
 * to another. Who has the key can test words; who has not sees which are equal, and nothing else.
 * It is made from the key of names, which every member has, so that all nodes have the same terms.
 */
import { assert } from '../../assert.ts';
import { hmacSha256, hmacSha256Of } from '../../crypto/hash.ts';
import { bytesOfText } from '../../model/record.ts';
import { startsOf, wordsOf } from './words.ts';

export const TERM_BYTES = 8;
/** Hex: a word of the index. */
const TERM_DIGITS = 2 * TERM_BYTES;
export const TERM_PATTERN = /^[0-9a-f]{16}$/;
const KEY_BYTES = 32;
/** Words of each of two generations; each has up to 64 characters. */
const REMEMBERED = 16_384;

export const termsKeyOf = (nameKey: Uint8Array): Uint8Array =>
  hmacSha256Of(nameKey, bytesOfText('aegis/words/1'));

export class Terms {
  readonly #hmac: (text: string) => string;
  /** What was asked for lately: words come again, and a hash costs as much as all else of them. */
  #young = new Map<string, string>();
  #old = new Map<string, string>();

  /** @param key that of `termsKeyOf`. */
  constructor(key: Uint8Array) {
    assert(key.length === KEY_BYTES, 'a key of terms has 32 bytes');
    this.#hmac = hmacSha256(key);
  }

  /** @param word as `wordsOf` gives it. */
  word(word: string): string {
    return this.#term('word', word);
  }

  /** @param start as `startsOf` gives it. Never equals the term of a word. */
  start(start: string): string {
    return this.#term('start', start);
  }

  /** What a path is called where its name must not stand. */
  path(path: string): string {
    return this.#term('path', path);
  }

  /** The words of a text, in their order. */
  wordsOf(text: string): string[] {
    return Array.from(wordsOf(text), (word) => this.word(word));
  }

  /** The beginnings of all words of a text, each once. */
  startsOf(text: string): string[] {
    const starts = new Set<string>();
    for (const word of wordsOf(text)) for (const start of startsOf(word)) starts.add(start);
    return Array.from(starts, (start) => this.start(start));
  }

  #term(kind: 'word' | 'start' | 'path', text: string): string {
    const name = `${kind}\0${text}`;
    const young = this.#young.get(name);
    if (young !== undefined) return young;
    const term = this.#old.get(name) ?? this.#hmac(name).slice(0, TERM_DIGITS);
    if (this.#young.size >= REMEMBERED) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(name, term);
    return term;
  }
}
