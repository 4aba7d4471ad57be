/**
 * Hashes and key derivation from hashes. This room holds thin, named wrappers: it chooses no
 * parameters for its callers, keeps no state, makes no randomness and knows no formats.
 *
 * `blake3` here is for small inputs only (about 40 MB/s); bulk content is hashed by `storage/`.
 */
import { hash as digest, hkdfSync } from 'node:crypto';
import { blake3 as nobleBlake3 } from '@noble/hashes/blake3.js';

const plain = (buffer: Uint8Array): Uint8Array => new Uint8Array(buffer);

/** SHA-256, 32 bytes (FIPS 180-4). */
export const sha256 = (bytes: Uint8Array): Uint8Array => plain(digest('sha256', bytes, 'buffer'));

/** SHA-512, 64 bytes (FIPS 180-4). */
export const sha512 = (bytes: Uint8Array): Uint8Array => plain(digest('sha512', bytes, 'buffer'));

/** SHA3-256, 32 bytes (FIPS 202). */
export const sha3 = (bytes: Uint8Array): Uint8Array => plain(digest('sha3-256', bytes, 'buffer'));

/** BLAKE3, 32 bytes, for small inputs. */
export const blake3 = (bytes: Uint8Array): Uint8Array => nobleBlake3(bytes);

/** HKDF-SHA-256 (RFC 5869): `lengthBytes` bytes of key from key material. At most 8160 bytes. */
export const hkdfSha256 = (
  material: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  lengthBytes: number,
): Uint8Array => new Uint8Array(hkdfSync('sha256', material, salt, info, lengthBytes));
