/** Digests of sets that grow: equal sets have equal digests, whatever the order. */
import { assert } from '../assert.ts';
import { type KbStore, TABLES } from './store.ts';

export const DIGEST_BYTES = 16;

/** A set of hashes, folded. */
export class SetDigest {
  readonly #bytes: Uint8Array;

  constructor(start: Uint8Array = new Uint8Array(DIGEST_BYTES)) {
    this.#bytes = Uint8Array.from(start);
  }

  /** Adds a member, or takes it out again. Its first bytes stand for it. */
  toggle(member: Uint8Array): void {
    for (let i = 0; i < DIGEST_BYTES; i += 1) this.#bytes[i]! ^= member[i]!;
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  equals(other: Uint8Array): boolean {
    return Buffer.compare(this.#bytes, other) === 0;
  }
}

/**
 * The digests of the beginnings of a long row of places, of which each may get another member late:
 * digests of blocks that are complete lie in rows, and those of larger blocks above them, so that
 * a change touches few rows, and a beginning is made of few.
 */
export type DigestTree = ReturnType<typeof digestTree>;

/** Places of one block; and blocks of one above. */
const WIDTH = 256;
const SIZES = [WIDTH, WIDTH * WIDTH] as const;

/** @param fold the digest of the places from the first to the last, both included; from 1. */
export function digestTree(
  store: KbStore,
  name: string,
  fold: (from: number, to: number) => SetDigest,
) {
  const keyOf = (level: number, block: number): string =>
    `${name}/${level}/${block.toString(16).padStart(8, '0')}`;
  const sumOf = (level: number, from: number, end: number): SetDigest => {
    const sum = new SetDigest();
    if (from >= end) return sum;
    const range = { from: keyOf(level, from), to: keyOf(level, end), limit: end - from };
    const rows = store.range({ table: TABLES.digests, ...range });
    assert(rows.length === end - from, 'the digests of complete blocks are there');
    for (const { value } of rows) sum.toggle(value);
    return sum;
  };
  return {
    /** There are so many places now, one more than before. */
    grown(places: number): void {
      for (const [level, size] of SIZES.entries()) {
        if (places % size !== 0) return;
        const block = places / size - 1;
        const digest =
          level === 0
            ? fold(places - size + 1, places)
            : sumOf(level - 1, block * WIDTH, (block + 1) * WIDTH);
        store.set(TABLES.digests, keyOf(level, block), digest.bytes);
      }
    },

    /** There are fewer places than before. */
    shrunk(before: number, places: number): void {
      for (const [level, size] of SIZES.entries()) {
        for (let block = Math.floor(places / size); block < Math.floor(before / size); block += 1) {
          store.set(TABLES.digests, keyOf(level, block), undefined);
        }
      }
    },

    /** A member has come to a place that was there already, of so many, or has gone from it. */
    toggle(place: number, places: number, member: Uint8Array): void {
      for (const [level, size] of SIZES.entries()) {
        const block = Math.floor((place - 1) / size);
        if ((block + 1) * size > places) return;
        const key = keyOf(level, block);
        const before = store.get(TABLES.digests, key);
        assert(before !== undefined, 'the digests of complete blocks are there');
        const digest = new SetDigest(before);
        digest.toggle(member);
        store.set(TABLES.digests, key, digest.bytes);
      }
    },

    /** Of the places up to this one. */
    prefix(to: number): Uint8Array {
      const [small, large] = SIZES;
      const blocks = Math.floor(to / small);
      const above = Math.floor(to / large);
      const digest = sumOf(1, 0, above);
      digest.toggle(sumOf(0, above * WIDTH, blocks).bytes);
      if (blocks * small < to) digest.toggle(fold(blocks * small + 1, to).bytes);
      return digest.bytes;
    },
  };
}
