/** XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): nonces of 24 bytes may be chosen at random. */
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { AegisError } from '../errors.ts';

const AEAD_KEY_BYTES = 32;
export const AEAD_NONCE_BYTES = 24;
export const AEAD_TAG_BYTES = 16;

/** Encrypts; the result is 16 bytes longer. A nonce must never serve twice under one key. */
export const seal = (
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  associated: Uint8Array,
): Uint8Array => xchacha20poly1305(key, nonce, associated).encrypt(plaintext);

/**
 * Decrypts and authenticates the ciphertext together with the associated data.
 * @throws {AegisError} `BAD_DATA` when key, nonce, ciphertext or associated data do not fit.
 */
export function unseal(
  key: Uint8Array,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
  associated: Uint8Array,
): Uint8Array {
  if (key.length !== AEAD_KEY_BYTES || nonce.length !== AEAD_NONCE_BYTES) {
    throw new AegisError('BAD_DATA', 'the key or the nonce has the wrong length');
  }
  if (ciphertext.length < AEAD_TAG_BYTES) {
    throw new AegisError('BAD_DATA', 'the ciphertext is shorter than its tag');
  }
  try {
    return xchacha20poly1305(key, nonce, associated).decrypt(ciphertext);
  } catch (error) {
    throw new AegisError('BAD_DATA', 'the ciphertext is not authentic', { cause: error });
  }
}
