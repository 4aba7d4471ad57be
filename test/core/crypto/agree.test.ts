import { x25519 } from '@noble/curves/ed25519.js';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { agree, agreementKeyOf } from '../../../src/core/crypto/agree.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { fromHex, toHex, wycheproof } from '../../helpers/vectors.ts';

const secrets = fc.uint8Array({ minLength: 32, maxLength: 32 });

test('X25519 agrees with all 518 verdicts of Wycheproof; what is known to all is refused', () => {
  type Case = { public: string; private: string; shared: string; flags: string[] };
  const cases = wycheproof<object, Case>('x25519_test.json');
  expect(cases).toHaveLength(518);
  let refused = 0;
  for (const one of cases) {
    const run = (): string => toHex(agree(fromHex(one.private), fromHex(one.public)));
    if (/^0*$/.test(one.shared)) {
      refused += 1;
      expect(run, one.comment).toThrow('small order');
    } else {
      expect(run(), one.comment).toBe(one.shared);
    }
  }
  expect(refused).toBe(31);
});

test('noble agrees, and both sides agree with each other', () => {
  fc.assert(
    fc.property(secrets, secrets, (a, b) => {
      expect(toHex(agreementKeyOf(a))).toBe(toHex(x25519.getPublicKey(a)));
      const shared = agree(a, agreementKeyOf(b));
      expect(shared).toEqual(agree(b, agreementKeyOf(a)));
      expect(toHex(shared)).toBe(toHex(x25519.getSharedSecret(a, x25519.getPublicKey(b))));
    }),
    { numRuns: 20 },
  );
});

test('public keys of any length throw nothing but BAD_DATA', () => {
  fc.assert(
    fc.property(secrets, fc.uint8Array({ maxLength: 40 }), (secret, publicKey) => {
      try {
        return agree(secret, publicKey).length === 32;
      } catch (error) {
        return hasCode(error, 'BAD_DATA');
      }
    }),
  );
});
