/**
 * A verifiable random function: ECVRF-EDWARDS25519-SHA512-TAI (RFC 9381). A key has exactly one
 * output for an input, nobody can foretell it, and anyone can verify it. Keys are those of Ed25519
 * (RFC 8032), but no key is used for both. Not constant in time beyond what noble gives: the one
 * input is public, and it proves once in an epoch.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { assert } from '../assert.ts';
import { sha512 } from './hash.ts';
import { publicKeyOf } from './sign.ts';

const VRF_PROOF_BYTES = 80;
const SUITE = 0x03;

const { Point } = ed25519;
type Point = InstanceType<typeof Point>;

/** The public key (32 bytes) of a seed (32 bytes). */
export const vrfPublicKeyOf = (seed: Uint8Array): Uint8Array => publicKeyOf(seed);

const littleEndian = (bytes: Uint8Array): bigint =>
  BigInt(`0x${Buffer.from(bytes.toReversed()).toString('hex')}`);

const toLittleEndian = (value: bigint): Uint8Array =>
  Buffer.from(value.toString(16).padStart(64, '0'), 'hex').toReversed();

const order = Point.Fn.ORDER;
const scalarOf = (hash: Uint8Array): bigint => littleEndian(hash) % order;
/** `scalar` in 0 to order - 1; noble refuses zero. */
const times = (point: Point, scalar: bigint): Point =>
  scalar === 0n ? Point.ZERO : point.multiplyUnsafe(scalar);

/** String to point (5.1.3), strict: one encoding a point. */
function openPoint(bytes: Uint8Array): Point | undefined {
  try {
    return Point.fromBytes(bytes, false);
  } catch {
    return undefined;
  }
}

/** Encode to curve, try and increment (5.4.1.1). The salt is the public key. */
function encodeToCurve(publicKey: Uint8Array, alpha: Uint8Array): Point {
  for (let count = 0; count < 256; count += 1) {
    const input = Buffer.concat([
      Uint8Array.of(SUITE, 1),
      publicKey,
      alpha,
      Uint8Array.of(count, 0),
    ]);
    const point = openPoint(sha512(input).subarray(0, 32))?.clearCofactor();
    if (point !== undefined && !point.is0()) return point;
  }
  // The chance of this is 2^-256.
  throw new Error('no point was found');
}

/** Challenge (5.4.3): 16 bytes of a hash over five points. */
function challenge(points: readonly Point[]): bigint {
  const parts = points.map((point) => point.toBytes());
  const input = Buffer.concat([Uint8Array.of(SUITE, 2), ...parts, Uint8Array.of(0)]);
  return littleEndian(sha512(input).subarray(0, 16));
}

/** Proof (80 bytes) of the output for `alpha`. Section 5.1. */
export function proveVrf(seed: Uint8Array, alpha: Uint8Array): Uint8Array {
  assert(seed.length === 32, 'a VRF seed has 32 bytes');
  const { scalar, prefix, pointBytes, point } = ed25519.utils.getExtendedPublicKey(seed);
  const h = encodeToCurve(pointBytes, alpha);
  const gamma = h.multiply(scalar);
  // Nonce as in RFC 8032 (5.4.2.2).
  const k = scalarOf(sha512(Buffer.concat([prefix, h.toBytes()])));
  const c = challenge([point, h, gamma, times(Point.BASE, k), times(h, k)]);
  const s = (k + c * scalar) % order;
  const parts = [gamma.toBytes(), toLittleEndian(c).subarray(0, 16), toLittleEndian(s)];
  return new Uint8Array(Buffer.concat(parts));
}

/**
 * The output (64 bytes) that the proof shows, or undefined when it shows none: sections 5.2, 5.3,
 * and 5.4.5 for the key. Never throws on hostile bytes.
 */
export function verifyVrf(
  publicKey: Uint8Array,
  alpha: Uint8Array,
  proof: Uint8Array,
): Uint8Array | undefined {
  if (publicKey.length !== 32 || proof.length !== VRF_PROOF_BYTES) return undefined;
  const y = openPoint(publicKey);
  const gamma = openPoint(proof.subarray(0, 32));
  const c = littleEndian(proof.subarray(32, 48));
  const s = littleEndian(proof.subarray(48));
  if (y === undefined || y.isSmallOrder() || gamma === undefined || s >= order) return undefined;
  const h = encodeToCurve(publicKey, alpha);
  const u = times(Point.BASE, s).subtract(times(y, c));
  const v = times(h, s).subtract(times(gamma, c));
  if (challenge([y, h, gamma, u, v]) !== c) return undefined;
  return outputOf(gamma);
}

/**
 * The output of a proof that others have verified (section 5.2): of one that does not hold it says
 * nothing. A tenth of the work. Undefined for what is no proof.
 */
export function readVrfOutput(proof: Uint8Array): Uint8Array | undefined {
  const gamma = proof.length === VRF_PROOF_BYTES ? openPoint(proof.subarray(0, 32)) : undefined;
  return gamma === undefined ? undefined : outputOf(gamma);
}

function outputOf(gamma: NonNullable<ReturnType<typeof openPoint>>): Uint8Array {
  const output = gamma.clearCofactor().toBytes();
  return sha512(Buffer.concat([Uint8Array.of(SUITE, 3), output, Uint8Array.of(0)]));
}
