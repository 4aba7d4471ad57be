/** Keys and addresses of v3 onion services (Tor rend-spec-v3, sections 6 and 1.9). */
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { base32, fromBase32 } from './base32.ts';
import { sha3, sha512 } from './hash.ts';
import { publicKeyOf } from './sign.ts';

const VERSION = 3;
/** O12: where the service of every node listens. */
export const ONION_PORT = 4001;

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
  const publicKey = publicKeyOf(seed);
  return { expandedSecret, publicKey, address: onionAddressOf(publicKey) };
}

/** The onion address of a public key: base32(key || checksum || version) and `.onion`. */
export function onionAddressOf(publicKey: Uint8Array): string {
  const checksum = checksumOf(publicKey);
  return `${base32(Buffer.concat([publicKey, checksum, Uint8Array.of(VERSION)]))}.onion`;
}

function checksumOf(publicKey: Uint8Array): Uint8Array {
  assert(publicKey.length === 32, 'the public key of an onion service has 32 bytes');
  const text = Buffer.from('.onion checksum');
  return sha3(Buffer.concat([text, publicKey, Uint8Array.of(VERSION)])).subarray(0, 2);
}

/**
 * The public key (32 bytes) in an onion address: 56 characters, with or without `.onion`, in lower
 * or upper case. Whether the key is a point on the curve, Tor finds out.
 * @throws {AegisError} `BAD_ONION_ADDRESS`, also for a wrong checksum (O12) and for names below the
 * address.
 */
export function parseOnionAddress(text: string): Uint8Array {
  const [, name] = /^([a-z2-7]{56})(?:\.onion)?$/i.exec(text) ?? [];
  if (name === undefined) throw bad('it has not 56 characters of base32');
  const bytes = fromBase32(name.toLowerCase());
  const publicKey = bytes.slice(0, 32);
  if (bytes[34] !== VERSION) throw bad('it is not of version 3');
  if (Buffer.compare(bytes.subarray(32, 34), checksumOf(publicKey)) !== 0) {
    throw bad('its checksum is wrong');
  }
  return publicKey;
}

const bad = (why: string): AegisError =>
  new AegisError('BAD_ONION_ADDRESS', `this is no onion address: ${why}`);

/** O12: where the node with this onion key is dialled, as a multiaddr. */
export const onionMultiaddr = (publicKey: Uint8Array): string =>
  `/onion3/${onionAddressOf(publicKey).slice(0, 56)}:${ONION_PORT}`;
