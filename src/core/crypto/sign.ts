/**
 * Ed25519 (RFC 8032). `verifyEd25519` is the one verifier of the whole program: libraries differ
 * on malformed keys and signatures, and nodes that differ would split. Its verdicts on every
 * published edge case are frozen in a test.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { assert } from '../assert.ts';
import type { Signer } from '../ports.ts';
import { Memo } from './memo.ts';

const ED25519_KEY_BYTES = 32;
const ED25519_SIGNATURE_BYTES = 64;

/** DER headers of RFC 8410: SubjectPublicKeyInfo and PrivateKeyInfo around 32 raw bytes. */
const SPKI_HEADER = Buffer.from('302a300506032b6570032100', 'hex');
const PKCS8_HEADER = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * The y coordinates, little-endian, of the eight points of small order (0, 1, -1 and those of
 * order 8). With such a key one signature fits any message.
 */
const SMALL_ORDER_Y: readonly string[] = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
];

/** Whether `publicKey` is encoded canonically (y < 2^255 - 19) and is not of small order. */
function isSoundKey(publicKey: Uint8Array): boolean {
  const y = Buffer.from(publicKey);
  y[31] = y[31]! & 0x7f;
  const nearPrime = y[31] === 0x7f && y.subarray(1, 31).every((byte) => byte === 0xff);
  if (nearPrime && y[0]! >= 0xed) return false;
  return !SMALL_ORDER_Y.includes(y.toString('hex'));
}

/** Preparing a key costs half as much as verifying with it; members sign again and again. */
const PREPARED = new Memo<KeyObject>(1024);

/** Undefined for a key that is not sound, and so fits nothing. */
function prepare(publicKey: Uint8Array): KeyObject | undefined {
  if (!isSoundKey(publicKey)) return undefined;
  const der = Buffer.concat([SPKI_HEADER, publicKey]);
  return createPublicKey({ key: der, format: 'der', type: 'spki' });
}

/**
 * The one verifier: strict (canonical S, canonical R, canonical key not of small order) and
 * without cofactor. False for anything malformed; never throws on hostile bytes.
 */
export function verifyEd25519(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (publicKey.length !== ED25519_KEY_BYTES) return false;
  if (signature.length !== ED25519_SIGNATURE_BYTES) return false;
  try {
    const key = PREPARED.get(publicKey, prepare);
    return key !== undefined && verify(null, message, key, signature);
  } catch {
    return false;
  }
}

/** The same verdict, found by a thread of the pool: for many signatures at once. */
export function verifyEd25519InPool(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (publicKey.length !== ED25519_KEY_BYTES) return Promise.resolve(false);
  if (signature.length !== ED25519_SIGNATURE_BYTES) return Promise.resolve(false);
  return new Promise((resolve) => {
    try {
      const key = PREPARED.get(publicKey, prepare);
      if (key === undefined) resolve(false);
      else verify(null, message, key, signature, (error, isValid) => resolve(!error && isValid));
    } catch {
      resolve(false);
    }
  });
}

function privateKeyOf(seed: Uint8Array): KeyObject {
  assert(seed.length === ED25519_KEY_BYTES, 'an Ed25519 seed has 32 bytes');
  const der = Buffer.concat([PKCS8_HEADER, seed]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  return key;
}

function rawPublicKey(key: KeyObject): Uint8Array {
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return new Uint8Array(der.subarray(SPKI_HEADER.length));
}

/** The public key (32 bytes) of a secret seed (32 bytes). */
export const publicKeyOf = (seed: Uint8Array): Uint8Array => rawPublicKey(privateKeyOf(seed));

/** Signature (64 bytes) with a secret seed (32 bytes). Deterministic. */
export const signEd25519 = (seed: Uint8Array, message: Uint8Array): Uint8Array =>
  new Uint8Array(sign(null, message, privateKeyOf(seed)));

/** A signer over a secret seed (32 bytes), which prepares the key once. */
export function signerOf(seed: Uint8Array): Signer {
  const key = privateKeyOf(seed);
  return {
    publicKey: rawPublicKey(key),
    sign: (message) => new Uint8Array(sign(null, message, key)),
  };
}
