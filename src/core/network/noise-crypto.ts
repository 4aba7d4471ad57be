/**
 * The ciphers behind Noise, as @libp2p/noise asks for them. Same algorithms and bytes as its own
 * (Noise_XX_25519_ChaChaPoly_SHA256); only faster for large messages: the secret key is prepared
 * once and not for each message, and a message that arrives in pieces is deciphered in one.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import type { ICryptoInterface } from '@libp2p/noise';
import { defaultCrypto } from '@libp2p/noise/crypto';
import { release } from './release.ts';

/** Below this the WebAssembly cipher of @libp2p/noise is faster than a call into OpenSSL. */
const NATIVE_ABOVE_BYTES = 1200;
const TAG_BYTES = 16;
const CIPHER = 'chacha20-poly1305';
const OPTIONS = { authTagLength: TAG_BYTES } as const;

type Encrypt = ICryptoInterface['chaCha20Poly1305Encrypt'];
type Decrypt = ICryptoInterface['chaCha20Poly1305Decrypt'];

export function noiseCrypto(): ICryptoInterface {
  const prepared = new WeakMap<Uint8Array, KeyObject>();
  const keyOf = (secret: Uint8Array): KeyObject => {
    let key = prepared.get(secret);
    if (key === undefined) {
      key = createSecretKey(secret);
      prepared.set(secret, key);
    }
    return key;
  };

  const encrypt: Encrypt = (plaintext, nonce, ad, secret) => {
    if (plaintext.byteLength < NATIVE_ABOVE_BYTES || ad.byteLength > 0) {
      return defaultCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, secret);
    }
    const cipher = createCipheriv(CIPHER, keyOf(secret), nonce, OPTIONS);
    if (plaintext instanceof Uint8Array) {
      const sealed = cipher.update(plaintext);
      cipher.final();
      return Buffer.concat([sealed, cipher.getAuthTag()]);
    }
    const sealed = plaintext.sublist(0, 0);
    for (const part of plaintext) sealed.append(cipher.update(part));
    cipher.final();
    sealed.append(cipher.getAuthTag());
    return sealed;
  };

  const decrypt: Decrypt = (ciphertext, nonce, ad, secret, dst) => {
    if (ciphertext.byteLength < NATIVE_ABOVE_BYTES || ad.byteLength > 0 || dst === undefined) {
      return defaultCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, secret, dst);
    }
    const decipher = createDecipheriv(CIPHER, keyOf(secret), nonce, OPTIONS);
    decipher.setAuthTag(ciphertext.subarray(ciphertext.byteLength - TAG_BYTES));
    // `dst` is the ciphertext without its tag, in one piece: @libp2p/noise has made the copy.
    const opened = decipher.update(dst);
    decipher.final();
    // A copy was made for this call only; where none was needed `dst` is a view, and stays.
    release(dst);
    return opened;
  };

  return { ...defaultCrypto, chaCha20Poly1305Encrypt: encrypt, chaCha20Poly1305Decrypt: decrypt };
}
