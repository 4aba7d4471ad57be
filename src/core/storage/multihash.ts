/**
 * Multihashes of the two hashes that objects may have: code, length 32, digest. Both codes and the
 * length fit in one byte, so no varint is needed (multiformats/multihash).
 */
import { AegisError } from '../errors.ts';
import type { Hasher } from '../ports.ts';
import { BLAKE3_CODE, createHasher, SHA2_256_CODE } from './hasher.ts';

export type Hashers = Readonly<Record<'blake3' | 'sha2-256', Hasher>>;

const DIGEST_BYTES = 32;
export const MULTIHASH_BYTES = DIGEST_BYTES + 2;

export async function createHashers(): Promise<Hashers> {
  return { blake3: await createHasher('blake3'), 'sha2-256': await createHasher('sha2-256') };
}

export function multihashOf(hasher: Hasher, bytes: Uint8Array): Uint8Array {
  const multihash = new Uint8Array(MULTIHASH_BYTES);
  multihash[0] = hasher.code;
  multihash[1] = DIGEST_BYTES;
  multihash.set(hasher.digest(bytes), 2);
  return multihash;
}

/** @throws {AegisError} `BAD_DATA` for a hash that objects may not have. */
function checkMultihash(multihash: Uint8Array): void {
  const known = multihash[0] === BLAKE3_CODE || multihash[0] === SHA2_256_CODE;
  if (known && multihash[1] === DIGEST_BYTES && multihash.length === MULTIHASH_BYTES) return;
  throw new AegisError('BAD_DATA', 'objects are named by 32-byte blake3 or sha2-256 hashes only');
}

/** Whether `bytes` have the hash that `multihash` states. */
export function matches(multihash: Uint8Array, bytes: Uint8Array, hashers: Hashers): boolean {
  const hasher = multihash[0] === BLAKE3_CODE ? hashers.blake3 : hashers['sha2-256'];
  const digest = hasher.digest(bytes);
  return Buffer.compare(digest, multihash.subarray(2)) === 0;
}

/** Multihashes in one piece of memory: small arrays cost more to send than what is in them. */
export function packKeys(keys: readonly Uint8Array[]): Uint8Array {
  const packed = new Uint8Array(keys.length * MULTIHASH_BYTES);
  for (const [index, key] of keys.entries()) {
    checkMultihash(key);
    packed.set(key, index * MULTIHASH_BYTES);
  }
  return packed;
}

/** The other end of `packKeys`: views, no copies. */
export function unpackKeys(packed: Uint8Array): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (let at = 0; at < packed.length; at += MULTIHASH_BYTES) {
    keys.push(packed.subarray(at, at + MULTIHASH_BYTES));
  }
  return keys;
}
