/**
 * The public key of an onion key of which only the expanded secret is left: that takes the curve
 * itself, which whoever only reads addresses need not load.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { assert } from '../assert.ts';

/** The public key (32 bytes) of an expanded secret (64 bytes). */
export function onionPublicKeyOf(expandedSecret: Uint8Array): Uint8Array {
  assert(expandedSecret.length === 64, 'an expanded Ed25519 secret has 64 bytes');
  const { Fn, BASE } = ed25519.Point;
  const littleEndian = Buffer.from(expandedSecret.subarray(0, 32).toReversed());
  const scalar = BigInt(`0x${littleEndian.toString('hex')}`);
  littleEndian.fill(0);
  return BASE.multiply(Fn.create(scalar)).toBytes();
}
