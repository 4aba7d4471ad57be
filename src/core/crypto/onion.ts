/** Keys and addresses of v3 onion services (Tor rend-spec-v3, sections 6 and 1.9). */
import { ed25519 } from '@noble/curves/ed25519.js';
import { assert } from '../assert.ts';
import { base32 } from './base32.ts';
import { sha3, sha512 } from './hash.ts';

const VERSION = 3;

export interface OnionKey {
  /** Expanded Ed25519 secret, 64 bytes, in the form of `ADD_ONION ED25519-V3:`. */
  readonly expandedSecret: Uint8Array;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 56 characters and `.onion`. */
  readonly address: string;
}

/** The expanded key of an Ed25519 seed (32 bytes): its SHA-512, clamped as RFC 8032 says. */
export function onionKeyOf(seed: Uint8Array): OnionKey {
  assert(seed.length === 32, 'an Ed25519 seed has 32 bytes');
  const expandedSecret = sha512(seed);
  expandedSecret[0] = expandedSecret[0]! & 248;
  expandedSecret[31] = (expandedSecret[31]! & 63) | 64;
  const publicKey = onionPublicKeyOf(expandedSecret);
  return { expandedSecret, publicKey, address: onionAddressOf(publicKey) };
}

/** The public key (32 bytes) of an expanded secret (64 bytes). */
export function onionPublicKeyOf(expandedSecret: Uint8Array): Uint8Array {
  assert(expandedSecret.length === 64, 'an expanded Ed25519 secret has 64 bytes');
  const { Fn, BASE } = ed25519.Point;
  const littleEndian = Buffer.from(expandedSecret.subarray(0, 32).toReversed());
  const scalar = BigInt(`0x${littleEndian.toString('hex')}`);
  littleEndian.fill(0);
  return BASE.multiply(Fn.create(scalar)).toBytes();
}

/** The onion address of a public key: base32(key || checksum || version) and `.onion`. */
export function onionAddressOf(publicKey: Uint8Array): string {
  const text = Buffer.from('.onion checksum');
  const checksum = sha3(Buffer.concat([text, publicKey, Uint8Array.of(VERSION)])).subarray(0, 2);
  return `${base32(Buffer.concat([publicKey, checksum, Uint8Array.of(VERSION)]))}.onion`;
}
