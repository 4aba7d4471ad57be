/**
 * Bulk hashing of content. BLAKE3 comes from WebAssembly, and for anything but small inputs from
 * the native addon where its optional package is installed; SHA-256 from OpenSSL. For a few bytes
 * on a protocol floor use `crypto/hash.ts`, which needs no loading.
 *
 * Measured (MB/s at 1 KiB / 64 KiB / 1 MiB): hash-wasm 413 / 656 / 656, native 394 / 5235 / 5913,
 * SHA-256 669 / 1751 / 1763.
 */
import { hash } from 'node:crypto';
import type { Hasher } from '../ports.ts';
import { KIB } from '../units.ts';

/** Multicodec codes (multiformats/multicodec table.csv). */
export const BLAKE3_CODE = 0x1e;
export const SHA2_256_CODE = 0x12;

/** Below this size the crossing into the addon costs more than its speed gives back. */
const NATIVE_BYTES_MIN = 2 * KIB;

type Digest = (bytes: Uint8Array) => Uint8Array;

export interface HasherOptions {
  /** Use the addon when it is there. @default true */
  readonly native?: boolean;
}

/** A hasher whose digests are plain 32-byte arrays that share no memory with it. */
export async function createHasher(
  name: 'blake3' | 'sha2-256',
  options: HasherOptions = {},
): Promise<Hasher> {
  if (name === 'sha2-256') return { name, code: SHA2_256_CODE, digest: sha256 };
  const portable = await portableBlake3();
  const native = options.native === false ? undefined : await nativeBlake3();
  if (native === undefined) return { name, code: BLAKE3_CODE, digest: portable };
  const digest: Digest = (bytes) =>
    bytes.length < NATIVE_BYTES_MIN ? portable(bytes) : native(bytes);
  return { name, code: BLAKE3_CODE, digest };
}

const sha256: Digest = (bytes) => plain(hash('sha256', bytes, 'buffer'));

async function portableBlake3(): Promise<Digest> {
  const { createBLAKE3 } = await import('hash-wasm');
  const state = await createBLAKE3(256);
  // One expression: the state is shared by all callers and must never be left in the middle.
  return (bytes) => state.init().update(bytes).digest('binary');
}

async function nativeBlake3(): Promise<Digest | undefined> {
  try {
    const { blake3 } = await import('@napi-rs/blake-hash');
    return (bytes) => plain(blake3(bytes));
  } catch {
    // An optional package: absent on platforms without a build.
    return undefined;
  }
}

/** Copies out of Buffer, whose pooled memory would travel with the digest to other threads. */
const plain = (digest: Uint8Array): Uint8Array => Uint8Array.from(digest);
