import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { base32, fromBase32 } from '../../../src/core/crypto/base32.ts';
import { hasCode } from '../../../src/core/errors.ts';

test('the vectors of RFC 4648, section 10, in lower case without padding', () => {
  const vectors = { '': '', f: 'my', fo: 'mzxq', foo: 'mzxw6', foob: 'mzxw6yq', fooba: 'mzxw6ytb' };
  for (const [text, expected] of Object.entries(vectors)) {
    expect(base32(Buffer.from(text))).toBe(expected);
    expect(Buffer.from(fromBase32(expected)).toString()).toBe(text);
  }
});

test('there and back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(fromBase32(base32(bytes))).toEqual(bytes);
    }),
  );
});

test('a text is refused, or it is the only one of its bytes', () => {
  const alphabet = fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz234567A018=\n\u00e9'.split(''));
  fc.assert(
    fc.property(fc.string({ unit: alphabet, maxLength: 12 }), (text) => {
      try {
        expect(base32(fromBase32(text))).toBe(text);
      } catch (error) {
        expect(hasCode(error, 'BAD_ENCODING')).toBe(true);
      }
    }),
    { numRuns: 2000 },
  );
});
