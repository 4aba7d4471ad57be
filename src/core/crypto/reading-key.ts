/**
 * Keys that contents are sealed to (docs/knowledge-base.md, W44): X25519, written as age writes
 * them (age-encryption.org/v1). That of a node is its network key, as client-key.ts agrees with it,
 * and as soundly: age puts the shared secret into HKDF-SHA-256 under a label of its own.
 *
 * Neither files of age are made here, nor is it known who may read what.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { bech32 } from '@scure/base';
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { agreementKeyOf } from './agree.ts';
import { hkdfSha256, sha512 } from './hash.ts';

const KEY_BYTES = 32;
const FIRST_LABEL = Buffer.from('aegis/readers/1');
const NO_SALT = new Uint8Array();
/** `age1` and 58 characters. */
export const RECIPIENT_LENGTH = 62;

/** The public key (32 bytes) as age writes it. */
function recipientOf(publicKey: Uint8Array): string {
  assert(publicKey.length === KEY_BYTES, 'an X25519 key has 32 bytes');
  return bech32.encodeFromBytes('age', publicKey);
}

/** Of a secret (32 bytes). */
export const recipientOfSecret = (secret: Uint8Array): string =>
  recipientOf(agreementKeyOf(secret));

/** The secret (32 bytes) as age writes it. It is one itself. */
export function identityOf(secret: Uint8Array): string {
  assert(secret.length === KEY_BYTES, 'an X25519 secret has 32 bytes');
  return bech32.encodeFromBytes('AGE-SECRET-KEY-', secret).toUpperCase();
}

/** Whether a text is an X25519 recipient of age in its one form. */
export function isRecipient(text: string): boolean {
  if (text.length !== RECIPIENT_LENGTH || !text.startsWith('age1')) return false;
  try {
    const { prefix, bytes } = bech32.decodeToBytes(text);
    return prefix === 'age' && bytes.length === KEY_BYTES && recipientOf(bytes) === text;
  } catch {
    return false;
  }
}

/** The X25519 secret of a node, by the seed of its network key. Its user wipes it. */
export function readingSecretOf(networkSeed: Uint8Array): Uint8Array {
  assert(networkSeed.length === KEY_BYTES, 'an Ed25519 seed has 32 bytes');
  const expanded = sha512(networkSeed);
  const secret = expanded.slice(0, KEY_BYTES);
  expanded.fill(0);
  return secret;
}

/** The recipient that a node is. @throws {AegisError} `BAD_DATA` for what is no public key. */
export function readerOf(networkKey: Uint8Array): string {
  try {
    return recipientOf(ed25519.utils.toMontgomery(networkKey));
  } catch (error) {
    throw new AegisError('BAD_DATA', 'the public key is no point of Ed25519', { cause: error });
  }
}

/** W45: the secret of readers' epoch 0, which follows from the key of names. */
export const firstReadersSecret = (nameKey: Uint8Array): Uint8Array =>
  hkdfSha256(nameKey, NO_SALT, FIRST_LABEL, KEY_BYTES);
