import { argon2id as nobleArgon2id } from '@noble/hashes/argon2.js';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  argon2id,
  checkKdfCost,
  KDF_COST_DEFAULT,
  KDF_COST_MAX,
} from '../../../src/core/crypto/kdf.ts';
import { toHex } from '../../helpers/vectors.ts';

const salt = new Uint8Array(16).fill(5);

test('noble agrees', () => {
  const costs = [
    { memoryKib: 8, passes: 1, lanes: 1 },
    { memoryKib: 64, passes: 3, lanes: 2 },
    { memoryKib: 256, passes: 2, lanes: 4 },
  ];
  for (const cost of costs) {
    const { memoryKib: m, passes: t, lanes: p } = cost;
    for (const passphrase of ['x', 'correct horse', '\u00fcber \u{1f511}']) {
      const expected = nobleArgon2id(Buffer.from(passphrase), salt, { m, t, p, dkLen: 32 });
      expect(toHex(argon2id(passphrase, salt, cost))).toBe(toHex(expected));
    }
  }
});

test('a passphrase is the same however its accents were typed', () => {
  const cost = { memoryKib: 8, passes: 1, lanes: 1 };
  expect(argon2id('u\u0308ber', salt, cost)).toEqual(argon2id('\u00fcber', salt, cost));
});

test('the default is within the limits', () => {
  expect(() => checkKdfCost(KDF_COST_DEFAULT)).not.toThrow();
  expect(() => checkKdfCost(KDF_COST_MAX)).not.toThrow();
});

test('a cost beyond a limit is refused before anything is allocated', () => {
  const { memoryKib, passes, lanes } = KDF_COST_MAX;
  const beyond = [
    { memoryKib: memoryKib + 1, passes, lanes },
    { memoryKib, passes: passes + 1, lanes },
    { memoryKib, passes, lanes: lanes + 1 },
    { memoryKib: 7, passes: 1, lanes: 1 },
    { memoryKib: 16, passes: 1, lanes: 4 },
    { memoryKib: 64, passes: 0, lanes: 1 },
    { memoryKib: 64, passes: 1, lanes: 0 },
    { memoryKib: 64.5, passes: 1, lanes: 1 },
    { memoryKib: Number.NaN, passes: 1, lanes: 1 },
  ];
  for (const cost of beyond) {
    expect(() => argon2id('x', salt, cost)).toThrow('outside the limits');
  }
});

test('other salts and passphrases give other keys', () => {
  const cost = { memoryKib: 8, passes: 1, lanes: 1 };
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (a, b) => {
      fc.pre(a.normalize('NFC') !== b.normalize('NFC'));
      return toHex(argon2id(a, salt, cost)) !== toHex(argon2id(b, salt, cost));
    }),
    { numRuns: 30 },
  );
});
