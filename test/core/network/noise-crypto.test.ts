import { randomBytes } from 'node:crypto';
import { defaultCrypto } from '@libp2p/noise/crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noiseCrypto } from '../../../src/core/network/noise-crypto.ts';

const NO_DATA = new Uint8Array(0);

describe('noiseCrypto', () => {
  it('seals and opens to the same bytes as the library that it replaces', () => {
    const ours = noiseCrypto();
    const key = randomBytes(32);
    fc.assert(
      fc.property(
        fc.constantFrom(0, 1, 100, 1199, 1200, 5000, 65_519),
        fc.uint8Array({ minLength: 12, maxLength: 12 }),
        fc.constantFrom(NO_DATA, Uint8Array.of(1, 2, 3)),
        (length, nonce, ad) => {
          const plain = randomBytes(length);
          const expected = defaultCrypto.chaCha20Poly1305Encrypt(plain, nonce, ad, key).subarray();
          const sealed = ours.chaCha20Poly1305Encrypt(plain, nonce, ad, key).subarray();
          expect(Buffer.compare(sealed, expected)).toBe(0);
          const dst = Buffer.from(sealed.subarray(0, -16));
          const opened = ours.chaCha20Poly1305Decrypt(sealed, nonce, ad, key, dst).subarray();
          expect(Buffer.compare(opened, plain)).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('opens nothing that was changed, wherever the change is', () => {
    const ours = noiseCrypto();
    const [key, nonce, plain] = [randomBytes(32), randomBytes(12), randomBytes(3000)];
    const sealed = Buffer.from(ours.chaCha20Poly1305Encrypt(plain, nonce, NO_DATA, key).subarray());
    fc.assert(
      fc.property(
        fc.nat({ max: sealed.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, flip) => {
          const bad = Buffer.from(sealed);
          bad[at]! ^= flip;
          const dst = Buffer.from(bad.subarray(0, -16));
          expect(() => ours.chaCha20Poly1305Decrypt(bad, nonce, NO_DATA, key, dst)).toThrow();
        },
      ),
    );
  });
});
