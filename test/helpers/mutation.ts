/** Hostile variations of good input, for decoders. */
import * as fc from 'fast-check';
import { isAegisError } from '../../src/core/errors.ts';

/** Bytes that differ from `good` by flips, cuts, insertions or a repeated piece. */
export function mutated(good: Uint8Array): fc.Arbitrary<Uint8Array> {
  const at = fc.nat(Math.max(0, good.length - 1));
  const flip = fc.tuple(at, fc.integer({ min: 1, max: 255 })).map(([index, mask]) => {
    const bytes = Uint8Array.from(good);
    bytes[index]! ^= mask;
    return bytes;
  });
  const cut = at.map((index) => good.slice(0, index));
  const insert = fc
    .tuple(at, fc.uint8Array({ minLength: 1, maxLength: 9 }))
    .map(([index, extra]) => join(good.slice(0, index), extra, good.slice(index)));
  const drop = fc
    .tuple(at, fc.integer({ min: 1, max: 40 }))
    .map(([index, count]) => join(good.slice(0, index), good.slice(index + count)));
  const repeat = fc
    .tuple(at, at)
    .map(([from, to]) => join(good, good.slice(Math.min(from, to), Math.max(from, to) + 1)));
  return fc.oneof(flip, cut, insert, drop, repeat);
}

const join = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** Whether `run` either returns or throws an AegisError; anything else is thrown on. */
export function onlyAegisErrors(run: () => unknown): 'accepted' | 'refused' {
  try {
    run();
    return 'accepted';
  } catch (error) {
    if (!isAegisError(error) || error.code === 'BUG') throw error;
    return 'refused';
  }
}
