/**
 * How the parts of a sealed content are encrypted (docs/knowledge-base.md, W43): leaves and names,
 * each on its own and without randomness, so that the same under the same key is the same. A key
 * serves for one leaf only, since it follows from the leaf: a nonce is not needed.
 *
 * It keeps no keys, and knows neither objects nor who may read.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { assert } from '../assert.ts';
import { sameBytes } from '../bytes.ts';
import { AegisError } from '../errors.ts';
import { AEAD_NONCE_BYTES, AEAD_TAG_BYTES, seal, unseal } from './aead.ts';
import { blake3Keyed, hkdfSha256 } from './hash.ts';

export const CONTENT_KEY_BYTES = 32;
const SALT_BYTES = 32;
const TAG_BYTES = 16;
/** What sealing adds to a leaf. */
export const SEALED_LEAF_EXTRA_BYTES = SALT_BYTES + TAG_BYTES;
/** Longest name (UTF-8) that can be sealed: as base64url it has 1,024 characters. */
export const SEALED_NAME_BYTES_MAX = 768 - AEAD_NONCE_BYTES - AEAD_TAG_BYTES;

const NO_BYTES = new Uint8Array();
const NO_NONCE = new Uint8Array(12);

/** What follows from a content key. */
export interface LeafKeys {
  /** Of the salts of leaves. */
  readonly mac: Uint8Array;
  /** Of the keys of leaves. */
  readonly enc: Uint8Array;
  /** Of names: of their nonces, and that they are encrypted with. */
  readonly nameMac: Uint8Array;
  readonly nameEnc: Uint8Array;
}

const bad = (what: string, cause?: unknown): AegisError =>
  new AegisError('BAD_DATA', `${what} is not sealed under this key`, { cause });

/** @param key the content key `k`, 32 bytes. */
export function leafKeysOf(key: Uint8Array): LeafKeys {
  assert(key.length === CONTENT_KEY_BYTES, 'a content key has 32 bytes');
  const derive = (label: string): Uint8Array =>
    hkdfSha256(key, NO_BYTES, Buffer.from(label), CONTENT_KEY_BYTES);
  return {
    mac: derive('aegis/sealed/leaf-mac/1'),
    enc: derive('aegis/sealed/leaf-key/1'),
    nameMac: derive('aegis/sealed/name-mac/1'),
    nameEnc: derive('aegis/sealed/name-key/1'),
  };
}

/** @param salt the keyed BLAKE3 of the leaf under `mac`; who seals much computes it faster. */
export function sealLeaf(
  { mac, enc }: LeafKeys,
  leaf: Uint8Array,
  salt: Uint8Array = blake3Keyed(mac, leaf),
): Uint8Array {
  assert(salt.length === SALT_BYTES, 'a salt has 32 bytes');
  const key = blake3Keyed(enc, salt);
  const cipher = createCipheriv('chacha20-poly1305', key, NO_NONCE, { authTagLength: TAG_BYTES });
  const ciphertext = cipher.update(leaf);
  cipher.final();
  const object = new Uint8Array(leaf.length + SEALED_LEAF_EXTRA_BYTES);
  object.set(salt);
  object.set(ciphertext, SALT_BYTES);
  object.set(cipher.getAuthTag(), SALT_BYTES + leaf.length);
  return object;
}

/** @throws {AegisError} `BAD_DATA`. */
export function openLeaf({ enc }: LeafKeys, object: Uint8Array): Uint8Array {
  if (object.length < SEALED_LEAF_EXTRA_BYTES) throw bad('a leaf');
  const key = blake3Keyed(enc, object.subarray(0, SALT_BYTES));
  const opener = createDecipheriv('chacha20-poly1305', key, NO_NONCE, {
    authTagLength: TAG_BYTES,
  });
  opener.setAuthTag(object.subarray(-TAG_BYTES));
  const leaf = opener.update(object.subarray(SALT_BYTES, -TAG_BYTES));
  try {
    opener.final();
  } catch (error) {
    throw bad('a leaf', error);
  }
  return new Uint8Array(leaf.buffer, leaf.byteOffset, leaf.length);
}

/**
 * A name in a directory, as base64url.
 * @throws {AegisError} `TOO_LARGE` beyond 728 bytes.
 */
export function sealName({ nameMac, nameEnc }: LeafKeys, name: string): string {
  const bytes = Buffer.from(name);
  if (bytes.length > SEALED_NAME_BYTES_MAX) {
    const max = SEALED_NAME_BYTES_MAX;
    throw new AegisError('TOO_LARGE', `a name of more than ${max} bytes cannot be sealed`);
  }
  const nonce = blake3Keyed(nameMac, bytes).subarray(0, AEAD_NONCE_BYTES);
  const ciphertext = seal(nameEnc, nonce, bytes, NO_BYTES);
  return Buffer.concat([nonce, ciphertext]).toString('base64url');
}

/** @throws {AegisError} `BAD_DATA` for what `sealName` does not make under this key. */
export function openName({ nameMac, nameEnc }: LeafKeys, text: string): string {
  const sealed = Buffer.from(text, 'base64url');
  if (sealed.toString('base64url') !== text) throw bad('a name');
  const nonce = sealed.subarray(0, AEAD_NONCE_BYTES);
  const bytes = nameBytes(nameEnc, nonce, sealed.subarray(AEAD_NONCE_BYTES));
  // Who has the key could write one name in many ways.
  const own = blake3Keyed(nameMac, bytes).subarray(0, AEAD_NONCE_BYTES);
  if (!sameBytes(nonce, own)) throw bad('a name');
  try {
    return utf8.decode(bytes);
  } catch (error) {
    throw bad('a name', error);
  }
}

function nameBytes(key: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  try {
    return unseal(key, nonce, ciphertext, NO_BYTES);
  } catch (error) {
    throw bad('a name', error);
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
