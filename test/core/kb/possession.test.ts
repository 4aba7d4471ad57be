import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAegisError } from '../../../src/core/errors.ts';
import {
  answerOf,
  CHALLENGE_BYTES_MAX,
  decodeChallenge,
  encodeChallenge,
  NONCE_BYTES,
  SILENCES_MAX,
  Silences,
} from '../../../src/core/kb/possession.ts';
import { createHasher } from '../../../src/core/storage/hasher.ts';
import { contentOf } from './authors.ts';

const blake3 = await createHasher('blake3');
const nonce = new Uint8Array(NONCE_BYTES).fill(7);
const challenge = { root: contentOf('root'), object: contentOf('object'), nonce };

describe('W22: a challenge', () => {
  it('is read back as it was, within its limit', () => {
    const bytes = encodeChallenge(challenge);
    expect(bytes.length).toBeLessThan(CHALLENGE_BYTES_MAX);
    expect(decodeChallenge(bytes)).toEqual(challenge);
  });

  it('is refused with a nonce of another length, and when it is longer than any can be', () => {
    const short = encodeChallenge({ ...challenge, nonce: nonce.subarray(1) });
    expect(() => decodeChallenge(short)).toThrow(expect.objectContaining({ code: 'BAD_ENCODING' }));
    const long = new Uint8Array(CHALLENGE_BYTES_MAX + 1);
    expect(() => decodeChallenge(long)).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
  });

  it('throws nothing but AegisError, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeChallenge(bytes);
        } catch (error) {
          expect(isAegisError(error)).toBe(true);
        }
      }),
    );
  });

  it('has another answer for each nonce and each object', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 64 });
    fc.assert(
      fc.property(bytes, bytes, (object, other) => {
        fc.pre(Buffer.compare(object, other) !== 0);
        const answer = answerOf(blake3, nonce, object);
        expect(answer).toHaveLength(32);
        expect(answerOf(blake3, nonce, other)).not.toEqual(answer);
        expect(answerOf(blake3, new Uint8Array(NONCE_BYTES), object)).not.toEqual(answer);
      }),
    );
  });
});

it('W22: silence counts when it comes three times in a row from one node', () => {
  const silences = new Silences();
  const silent = (nodeId: string) => silences.silent(nodeId);
  expect(SILENCES_MAX).toBe(3);
  expect([silent('a'), silent('b'), silent('a')]).toEqual([false, false, false]);
  silences.answered('a');
  expect([silent('a'), silent('a'), silent('a'), silent('a')]).toEqual([false, false, true, true]);
});
