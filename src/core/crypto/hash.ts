/**
 * Hashes and key derivation from hashes. This room holds thin, named wrappers: it chooses no
 * parameters for its callers, keeps no state, makes no randomness and knows no formats.
 *
 * `blake3` here is for small inputs only (about 40 MB/s); bulk content is hashed by `storage/`.
 */
import { createHmac, hash as digest, hkdfSync } from 'node:crypto';
import { blake3 as nobleBlake3 } from '@noble/hashes/blake3.js';
import { assert } from '../assert.ts';

const plain = (buffer: Uint8Array): Uint8Array => new Uint8Array(buffer);

/** SHA-256, 32 bytes (FIPS 180-4). */
export const sha256 = (bytes: Uint8Array): Uint8Array => plain(digest('sha256', bytes, 'buffer'));

/** SHA-256 as hex. Three times as fast as the bytes: no buffer is made. */
export const sha256Hex = (bytes: Uint8Array): string => digest('sha256', bytes, 'hex');

/** SHA-256 as 32 characters, one a byte: for trees that keep very many of them. */
export const sha256Latin1 = (bytes: Uint8Array): string => digest('sha256', bytes, 'binary');

/** SHA-512, 64 bytes (FIPS 180-4). */
export const sha512 = (bytes: Uint8Array): Uint8Array => plain(digest('sha512', bytes, 'buffer'));

/** SHA3-256, 32 bytes (FIPS 202). */
export const sha3 = (bytes: Uint8Array): Uint8Array => plain(digest('sha3-256', bytes, 'buffer'));

/** BLAKE3, 32 bytes, for small inputs. */
export const blake3 = (bytes: Uint8Array): Uint8Array => nobleBlake3(bytes);

/** Keyed BLAKE3 with a key of 32 bytes, 32 bytes, for small inputs. */
export const blake3Keyed = (key: Uint8Array, bytes: Uint8Array): Uint8Array =>
  nobleBlake3(bytes, { key });

/**
 * HMAC-SHA-256 (RFC 2104) with one key of at most 64 bytes: a function from a text to the hex of 32
 * bytes. The key is prepared once.
 */
export function hmacSha256(key: Uint8Array): (text: string) => string {
  assert(key.length <= 64, 'a longer key would have to be hashed first');
  const inner = new Uint8Array(64).fill(0x36);
  const outer = new Uint8Array(64).fill(0x5c);
  for (const [at, byte] of key.entries()) {
    inner[at] = byte ^ 0x36;
    outer[at] = byte ^ 0x5c;
  }
  return (text) => {
    const message = Buffer.allocUnsafe(64 + Buffer.byteLength(text));
    message.set(inner);
    message.write(text, 64, 'utf8');
    const result = Buffer.allocUnsafe(64 + 32);
    result.set(outer);
    result.write(sha256Latin1(message), 64, 'latin1');
    return sha256Hex(result);
  };
}

/** HMAC-SHA-256 (RFC 2104) of bytes, once: 32 bytes. */
export const hmacSha256Of = (key: Uint8Array, bytes: Uint8Array): Uint8Array =>
  plain(createHmac('sha256', key).update(bytes).digest());

/** HKDF-SHA-256 (RFC 5869): `lengthBytes` bytes of key from key material. At most 8160 bytes. */
export const hkdfSha256 = (
  material: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  lengthBytes: number,
): Uint8Array => new Uint8Array(hkdfSync('sha256', material, salt, info, lengthBytes));
