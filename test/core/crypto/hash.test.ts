import { hkdf } from '@noble/hashes/hkdf.js';
import * as sha2 from '@noble/hashes/sha2.js';
import { sha3_256 } from '@noble/hashes/sha3.js';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { blake3, hkdfSha256, sha3, sha256, sha512 } from '../../../src/core/crypto/hash.ts';
import { fromHex, readVectors, toHex, wycheproof } from '../../helpers/vectors.ts';

test('BLAKE3 agrees with all vectors of its authors', () => {
  const { cases } = readVectors('blake3/test_vectors.json') as {
    cases: { input_len: number; hash: string }[];
  };
  expect(cases).toHaveLength(35);
  for (const { input_len: length, hash } of cases) {
    const input = Uint8Array.from({ length }, (_, index) => index % 251);
    expect(toHex(blake3(input)), `${length} bytes`).toBe(hash.slice(0, 64));
  }
});

test('HKDF-SHA-256 agrees with all verdicts of Wycheproof', () => {
  type Case = { ikm: string; salt: string; info: string; size: number; okm: string };
  for (const one of wycheproof<object, Case>('hkdf_sha256_test.json')) {
    const run = (): string =>
      toHex(hkdfSha256(fromHex(one.ikm), fromHex(one.salt), fromHex(one.info), one.size));
    // The invalid ones ask for more than 255 blocks; that is a mistake of the caller.
    if (one.result === 'valid') expect(run(), one.comment).toBe(one.okm);
    else expect(run, one.comment).toThrow();
  }
});

test('noble agrees with node:crypto', () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(toHex(sha256(a))).toBe(toHex(sha2.sha256(a)));
      expect(toHex(sha512(a))).toBe(toHex(sha2.sha512(a)));
      expect(toHex(sha3(a))).toBe(toHex(sha3_256(a)));
      expect(toHex(hkdfSha256(a, b, a, 64))).toBe(toHex(hkdf(sha2.sha256, a, b, a, 64)));
    }),
  );
});
