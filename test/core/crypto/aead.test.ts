import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { seal, unseal } from '../../../src/core/crypto/aead.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { fromHex, toHex, wycheproof } from '../../helpers/vectors.ts';

interface Case {
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
}

test('XChaCha20-Poly1305 agrees with all 315 verdicts of Wycheproof', () => {
  const cases = wycheproof<object, Case>('xchacha20_poly1305_test.json');
  expect(cases).toHaveLength(315);
  for (const one of cases) {
    const [key, nonce, aad] = [fromHex(one.key), fromHex(one.iv), fromHex(one.aad)];
    const open = (): string => toHex(unseal(key, nonce, fromHex(one.ct + one.tag), aad));
    if (one.result === 'valid') {
      expect(open(), one.comment).toBe(one.msg);
      expect(toHex(seal(key, nonce, fromHex(one.msg), aad))).toBe(one.ct + one.tag);
    } else {
      expect(open, `${one.tcId} ${one.comment}`).toThrow(
        expect.toSatisfy((error) => hasCode(error, 'BAD_DATA')) as Error,
      );
    }
  }
});

test('a change of any input is refused', () => {
  const inputs = [32, 24, 40, 10].map((length) => new Uint8Array(length).fill(length));
  const [key, nonce, plaintext, aad] = inputs as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const parts = [key, nonce, seal(key, nonce, plaintext, aad), aad];
  fc.assert(
    fc.property(fc.nat(3), fc.nat(60), fc.nat(7), (which, at, bit) => {
      const changed = parts.map((part) => part.slice());
      const part = changed[which]!;
      part[at % part.length]! ^= 1 << bit;
      const [k, n, c, a] = changed as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
      expect(() => unseal(k, n, c, a)).toThrow('not authentic');
    }),
  );
});

test('keys, nonces and ciphertexts of any length throw nothing but BAD_DATA', () => {
  const any = fc.uint8Array({ maxLength: 40 });
  fc.assert(
    fc.property(any, any, any, any, (key, nonce, ciphertext, aad) => {
      try {
        unseal(key, nonce, ciphertext, aad);
        return false;
      } catch (error) {
        return hasCode(error, 'BAD_DATA');
      }
    }),
  );
});
