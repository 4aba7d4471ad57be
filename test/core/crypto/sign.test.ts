import { createPublicKey, verify } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import {
  publicKeyOf,
  signEd25519,
  signerOf,
  verifyEd25519,
  verifyEd25519InPool,
} from '../../../src/core/crypto/sign.ts';
import { fromHex, readVectors, toHex, wycheproof } from '../../helpers/vectors.ts';
import verdicts from './ed25519-verdicts.json' with { type: 'json' };

const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 });
const messages = fc.uint8Array({ maxLength: 200 });

describe('verdicts of the one verifier', () => {
  test('all 914 CCTV vectors are as frozen', () => {
    const vectors = readVectors('cctv-ed25519/ed25519vectors.json') as {
      number: number;
      key: string;
      sig: string;
      msg: string;
    }[];
    const accepted = vectors
      .filter(({ key, msg, sig }) => verifyEd25519(fromHex(key), Buffer.from(msg), fromHex(sig)))
      .map(({ number }) => number);
    expect(vectors).toHaveLength(914);
    expect(accepted).toEqual(verdicts.cctvAccepted);
  });

  test('all 151 Wycheproof vectors are as frozen, and as Wycheproof says', () => {
    const vectors = wycheproof<{ publicKey: { pk: string } }, { msg: string; sig: string }>(
      'ed25519_test.json',
    );
    const accepted = vectors.filter(({ publicKey, msg, sig }) =>
      verifyEd25519(fromHex(publicKey.pk), fromHex(msg), fromHex(sig)),
    );
    expect(accepted.map(({ tcId }) => tcId)).toEqual(verdicts.wycheproofAccepted);
    const valid = vectors.filter(({ result }) => result === 'valid');
    expect(accepted).toEqual(valid);
  });

  test('no accepted CCTV vector has a key of small order or a non-canonical part', () => {
    const vectors = readVectors('cctv-ed25519/ed25519vectors.json') as {
      number: number;
      flags: string[] | null;
    }[];
    const refused = ['low_order_A', 'non_canonical_A', 'non_canonical_R', 'low_order_residue'];
    const accepted = new Set(verdicts.cctvAccepted);
    for (const { number, flags } of vectors.filter((vector) => accepted.has(vector.number))) {
      for (const flag of flags ?? []) expect(refused, String(number)).not.toContain(flag);
    }
  });
});

test('the pool gives the same verdicts on all 914 CCTV vectors, twice', async () => {
  const vectors = readVectors('cctv-ed25519/ed25519vectors.json') as {
    number: number;
    key: string;
    sig: string;
    msg: string;
  }[];
  for (const round of [1, 2]) {
    const found = await Promise.all(
      vectors.map(async ({ number, key, msg, sig }) => {
        const isValid = await verifyEd25519InPool(fromHex(key), Buffer.from(msg), fromHex(sig));
        return isValid ? [number] : [];
      }),
    );
    expect(found.flat(), `round ${round}`).toEqual(verdicts.cctvAccepted);
  }
});

test('the pool refuses hostile bytes of any length and throws nothing', async () => {
  const any = fc.uint8Array({ maxLength: 80 });
  await fc.assert(
    fc.asyncProperty(any, any, any, async (key, message, sig) => {
      expect(await verifyEd25519InPool(key, message, sig)).toBe(false);
    }),
  );
  const seed = new Uint8Array(32).fill(8);
  const message = new Uint8Array(3);
  const signature = signEd25519(seed, message);
  expect(await verifyEd25519InPool(publicKeyOf(seed), message, signature)).toBe(true);
  expect(await verifyEd25519InPool(publicKeyOf(seed), new Uint8Array(4), signature)).toBe(false);
});

test('a key that was forgotten for 1,024 others still verifies', () => {
  const seed = new Uint8Array(32).fill(9);
  const message = new Uint8Array(1);
  const signature = signEd25519(seed, message);
  const verifies = () => verifyEd25519(publicKeyOf(seed), message, signature);
  expect(verifies()).toBe(true);
  for (let count = 0; count < 1100; count += 1) {
    verifyEd25519(sha256(Uint8Array.of(count >> 8, count)), message, signature);
  }
  expect(verifies()).toBe(true);
});

test('noble agrees on keys, signatures and verdicts', () => {
  fc.assert(
    fc.property(seeds, messages, (seed, message) => {
      const publicKey = publicKeyOf(seed);
      const signature = signEd25519(seed, message);
      expect(toHex(publicKey)).toBe(toHex(ed25519.getPublicKey(seed)));
      expect(toHex(signature)).toBe(toHex(ed25519.sign(message, seed)));
      expect(verifyEd25519(publicKey, message, signature)).toBe(true);
    }),
    { numRuns: 20 },
  );
});

test('a signer signs as its seed does', () => {
  fc.assert(
    fc.property(seeds, messages, (seed, message) => {
      const signer = signerOf(seed);
      expect(signer.publicKey).toEqual(publicKeyOf(seed));
      expect(signer.sign(message)).toEqual(signEd25519(seed, message));
    }),
    { numRuns: 20 },
  );
});

test('one changed bit anywhere is refused', () => {
  const seed = new Uint8Array(32).fill(7);
  const message = new Uint8Array(40).fill(1);
  const parts = [publicKeyOf(seed), message, signEd25519(seed, message)] as const;
  fc.assert(
    fc.property(fc.nat(2), fc.nat(63), fc.nat(7), (which, at, bit) => {
      const changed = parts.map((part) => part.slice()) as [Uint8Array, Uint8Array, Uint8Array];
      const part = changed[which]!;
      part[at % part.length]! ^= 1 << bit;
      expect(verifyEd25519(...changed)).toBe(false);
    }),
    { numRuns: 300 },
  );
});

test('hostile bytes of any length are false and nothing else', () => {
  const any = fc.uint8Array({ maxLength: 80 });
  fc.assert(fc.property(any, any, any, (key, message, sig) => !verifyEd25519(key, message, sig)));
});

test('a key of small order fits no signature, whatever node:crypto says', () => {
  // The identity element, as key and as R with S = 0, satisfies the equation for any message.
  const identity = new Uint8Array(32);
  identity[0] = 1;
  const signature = new Uint8Array(64);
  signature[0] = 1;
  for (const y of [1, 0xee]) {
    const key = y === 1 ? identity : new Uint8Array(32).fill(0xff).with(0, y).with(31, 0x7f);
    expect(verifyEd25519(key, new Uint8Array(1), signature)).toBe(false);
  }
});

test('the frozen verdicts are not stricter than node:crypto on sound keys', () => {
  const header = Buffer.from('302a300506032b6570032100', 'hex');
  fc.assert(
    fc.property(seeds, messages, (seed, message) => {
      const der = Buffer.concat([header, publicKeyOf(seed)]);
      const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
      expect(verify(null, message, key, signEd25519(seed, message))).toBe(true);
    }),
    { numRuns: 20 },
  );
});
