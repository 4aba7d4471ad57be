/** X25519 (RFC 7748): key agreement for session keys. */
import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';

const X25519_KEY_BYTES = 32;

/** DER headers of RFC 8410 around 32 raw bytes. */
const SPKI_HEADER = Buffer.from('302a300506032b656e032100', 'hex');
const PKCS8_HEADER = Buffer.from('302e020100300506032b656e04220420', 'hex');

function privateKeyOf(secret: Uint8Array): KeyObject {
  assert(secret.length === X25519_KEY_BYTES, 'an X25519 secret has 32 bytes');
  const der = Buffer.concat([PKCS8_HEADER, secret]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  return key;
}

/** The public key (32 bytes) of a secret (32 bytes). */
export function agreementKeyOf(secret: Uint8Array): Uint8Array {
  const der = createPublicKey(privateKeyOf(secret)).export({ format: 'der', type: 'spki' });
  return new Uint8Array(der.subarray(SPKI_HEADER.length));
}

/**
 * The shared secret (32 bytes). Not a key yet: derive one from it and both public keys.
 * @throws {AegisError} `BAD_DATA` for a public key of the wrong length or of small order, which
 * would make the result known to everybody.
 */
export function agree(secret: Uint8Array, publicKey: Uint8Array): Uint8Array {
  if (publicKey.length !== X25519_KEY_BYTES) {
    throw new AegisError('BAD_DATA', 'an X25519 public key has 32 bytes');
  }
  const privateKey = privateKeyOf(secret);
  try {
    const der = Buffer.concat([SPKI_HEADER, publicKey]);
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    return new Uint8Array(diffieHellman({ privateKey, publicKey: key }));
  } catch (error) {
    throw new AegisError('BAD_DATA', 'the public key is of small order', { cause: error });
  }
}
