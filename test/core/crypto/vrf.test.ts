import { ed25519 } from '@noble/curves/ed25519.js';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha512 } from '../../../src/core/crypto/hash.ts';
import {
  proveVrf,
  readVrfOutput,
  verifyVrf,
  vrfPublicKeyOf,
} from '../../../src/core/crypto/vrf.ts';
import { fromHex, readVectors, toHex } from '../../helpers/vectors.ts';

interface Vector {
  readonly example: number;
  readonly suite: string;
  readonly SK: string;
  readonly PK: string;
  readonly alpha: string;
  readonly pi: string;
  readonly beta: string;
}

const vectors = readVectors('ecvrf/edwards25519.json') as readonly Vector[];
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

const pointOf = (encoded: Uint8Array) => {
  try {
    return ed25519.Point.fromBytes(encoded);
  } catch {
    return undefined;
  }
};

const seed = new Uint8Array(32).fill(3);
const key = vrfPublicKeyOf(seed);
const alpha = Buffer.from('epoch 7');
const proof = proveVrf(seed, alpha);

test('keys, proofs and outputs are those of RFC 9381, examples 16 to 18', () => {
  const ours = vectors.filter(({ suite }) => suite === 'ECVRF-EDWARDS25519-SHA512-TAI');
  expect(ours.map(({ example }) => example)).toEqual([16, 17, 18]);
  for (const { SK, PK, alpha: input, pi, beta } of ours) {
    expect(toHex(vrfPublicKeyOf(fromHex(SK)))).toBe(PK);
    expect(toHex(proveVrf(fromHex(SK), fromHex(input)))).toBe(pi);
    expect(toHex(verifyVrf(fromHex(PK), fromHex(input), fromHex(pi))!)).toBe(beta);
    expect(toHex(readVrfOutput(fromHex(pi))!)).toBe(beta);
    expect(readVrfOutput(fromHex(pi).subarray(1))).toBeUndefined();
  }
});

test('proofs of another suite show nothing', () => {
  const others = vectors.filter(({ suite }) => suite === 'ECVRF-EDWARDS25519-SHA512-ELL2');
  expect(others).toHaveLength(3);
  for (const { PK, alpha: input, pi } of others) {
    expect(verifyVrf(fromHex(PK), fromHex(input), fromHex(pi))).toBeUndefined();
  }
});

test('a proof shows its output to its key and input only', () => {
  fc.assert(
    fc.property(bytes(32), bytes(32), fc.uint8Array(), fc.uint8Array(), (one, other, a, b) => {
      fc.pre(toHex(one) !== toHex(other) && toHex(a) !== toHex(b));
      const made = proveVrf(one, a);
      expect(verifyVrf(vrfPublicKeyOf(one), a, made)).toHaveLength(64);
      expect(verifyVrf(vrfPublicKeyOf(other), a, made)).toBeUndefined();
      expect(verifyVrf(vrfPublicKeyOf(one), b, made)).toBeUndefined();
    }),
    { numRuns: 15 },
  );
});

test('one changed bit anywhere shows nothing', () => {
  fc.assert(
    fc.property(fc.nat(79), fc.nat(7), (at, bit) => {
      const changed = proof.with(at, proof[at]! ^ (1 << bit));
      expect(verifyVrf(key, alpha, changed)).toBeUndefined();
    }),
    { numRuns: 60 },
  );
});

test('a second form of the same proof shows nothing: s is less than the order', () => {
  const s = BigInt(`0x${toHex(proof.slice(48).toReversed())}`) + ed25519.Point.Fn.ORDER;
  const tail = fromHex(s.toString(16).padStart(64, '0')).toReversed();
  const again = new Uint8Array(Buffer.concat([proof.subarray(0, 48), tail]));
  expect(verifyVrf(key, alpha, proof)).toBeDefined();
  expect(verifyVrf(key, alpha, again)).toBeUndefined();
});

test('a key of small order shows nothing, though anybody could prove with it', () => {
  // With the identity as key and gamma, U = sB and V = sH for any challenge: take s = 0, so that
  // both are the identity too, and hash what the verifier will hash.
  const identity = new Uint8Array(32).with(0, 1);
  for (let count = 0; ; count += 1) {
    const parts = [Uint8Array.of(3, 1), identity, alpha, Uint8Array.of(count, 0)];
    const h = pointOf(sha512(Buffer.concat(parts)).subarray(0, 32))?.clearCofactor();
    if (h === undefined) continue;
    const points = [identity, h.toBytes(), identity, identity, identity];
    const input = Buffer.concat([Uint8Array.of(3, 2), ...points, Uint8Array.of(0)]);
    const challenge = sha512(input).subarray(0, 16);
    const forged = new Uint8Array(Buffer.concat([identity, challenge, new Uint8Array(32)]));
    expect(verifyVrf(identity, alpha, forged)).toBeUndefined();
    return;
  }
});

test('hostile bytes show nothing, and nothing is thrown', () => {
  const any = fc.uint8Array({ maxLength: 100 });
  fc.assert(fc.property(any, any, (k, p) => verifyVrf(k, alpha, p) === undefined));
  fc.assert(
    fc.property(bytes(32), bytes(80), (k, p) => {
      expect(verifyVrf(k, alpha, p)).toBeUndefined();
      expect(verifyVrf(key, alpha, p)).toBeUndefined();
    }),
    { numRuns: 40 },
  );
});
