/**
 * A Bloom filter of terms (W35): says of each term that it may be there, or that it is not. Seven
 * bits a term, so that a filter that is half full errs in 0.8 % of the cases. Nothing can be taken
 * out. Own code: of the libraries that were tried, one ignored its seeds, one had false negatives.
 */
import { assert } from '../../assert.ts';
import { AegisError } from '../../errors.ts';
import { FIND_LIMITS } from './limits.ts';
import { TERM_PATTERN } from './terms.ts';

const BITS_A_TERM = 7;
/** W35: at its design load; a filter that is fuller should be made anew, twice as large. */
const FILL_DESIGN = 0.5;
/** W35: a filter that is fuller is not believed. */
const FILL_MAX = 0.6;

export class Bloom {
  readonly bytes: Uint8Array;
  readonly #mask: number;
  #ones = 0;

  private constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#mask = bytes.length * 8 - 1;
    for (const byte of bytes) this.#ones += ONES[byte]!;
  }

  static empty(bits: number = FIND_LIMITS.filterBitsMin): Bloom {
    assert(isSize(bits), 'a filter has a power of two of bits');
    return new Bloom(new Uint8Array(bits / 8));
  }

  /** Takes the memory over. @throws {AegisError} `BAD_ENCODING` for another size. */
  static of(bytes: Uint8Array): Bloom {
    if (isSize(bytes.length * 8)) return new Bloom(bytes);
    throw new AegisError('BAD_ENCODING', `a filter does not have ${bytes.length} bytes`);
  }

  get bits(): number {
    return this.#mask + 1;
  }

  /** Bits that are set. */
  get ones(): number {
    return this.#ones;
  }

  /** Whether it should be made anew, twice as large. */
  get isFull(): boolean {
    return this.#ones > this.bits * FILL_DESIGN && this.bits < FIND_LIMITS.filterBitsMax;
  }

  get isTrusted(): boolean {
    return this.#ones <= this.bits * FILL_MAX;
  }

  /** @returns the bits that were not set before. */
  add(term: string): number[] {
    return this.#positions(term).filter((position) => this.set(position));
  }

  has(term: string): boolean {
    return this.#positions(term).every((position) => {
      return (this.bytes[position >>> 3]! & (1 << (position & 7))) !== 0;
    });
  }

  /** @returns whether the bit was not set before. */
  set(position: number): boolean {
    assert(position <= this.#mask, 'the bit lies in the filter');
    const bit = 1 << (position & 7);
    if ((this.bytes[position >>> 3]! & bit) !== 0) return false;
    this.bytes[position >>> 3]! |= bit;
    this.#ones += 1;
    return true;
  }

  /** Enhanced double hashing (Dillinger and Manolios, 2004) on the bits of the term itself. */
  #positions(term: string): number[] {
    assert(TERM_PATTERN.test(term), 'a term has 16 hex digits');
    let at = Number.parseInt(term.slice(0, 8), 16);
    let step = Number.parseInt(term.slice(8), 16) | 1;
    const positions: number[] = [];
    for (let n = 0; n < BITS_A_TERM; n += 1) {
      positions.push((at & this.#mask) >>> 0);
      at = (at + step) >>> 0;
      step = (step + n) >>> 0;
    }
    return positions;
  }
}

const ONES = Uint8Array.from({ length: 256 }, (_, byte) => {
  return byte.toString(2).replaceAll('0', '').length;
});

const isSize = (bits: number): boolean =>
  bits >= FIND_LIMITS.filterBitsMin &&
  bits <= FIND_LIMITS.filterBitsMax &&
  Number.isInteger(Math.log2(bits));
