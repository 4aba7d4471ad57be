/**
 * What is signed travels as `{payload, signature}`: the payload stays the very bytes that were
 * signed and is never encoded again. The signature covers a domain before the payload, so that a
 * signature made for one type never fits another.
 */
import { verifyEd25519 } from '../crypto/sign.ts';
import { AegisError } from '../errors.ts';
import type { Signer } from '../ports.ts';
import { decode, encode } from './cbor.ts';
import { bytesOfText } from './record.ts';

export interface Signed {
  readonly payload: Uint8Array;
  /** Ed25519, 64 bytes, over `signedMessage(type, payload)`. */
  readonly signature: Uint8Array;
}

/** What has to be verified before a signed record counts. */
export interface SignatureCheck {
  /** Node id of whoever signed. */
  readonly author: string;
  /** How often the author's identity key had changed. */
  readonly keyEpoch: number;
  /** Verify with this key, and do not look it up. */
  readonly key?: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** What the envelope adds to its payload, at most. */
export const ENVELOPE_BYTES_MAX = 128;

/** The bytes under the signature: utf8("aegis/<type>/1\0") || payload. */
export function signedMessage(type: string, payload: Uint8Array): Uint8Array {
  const domain = bytesOfText(`aegis/${type}/1\0`);
  const message = new Uint8Array(domain.length + payload.length);
  message.set(domain);
  message.set(payload, domain.length);
  return message;
}

/** Signs a record; returns the encoded `Signed`. */
export function signRecord(
  record: { readonly v: number; readonly type: string } & Readonly<Record<string, unknown>>,
  signer: Signer,
): Uint8Array {
  const payload = encode(record);
  const signature = signer.sign(signedMessage(record.type, payload));
  return encode({ payload, signature });
}

/**
 * Splits signed bytes. The signature is not checked yet: the key may stand in the payload.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`.
 */
export const openSigned = (bytes: Uint8Array, limits: { readonly maxBytes: number }): Signed =>
  signedOf(decode(bytes, { maxBytes: limits.maxBytes + ENVELOPE_BYTES_MAX }));

/** The same, of decoded bytes. @throws {AegisError} `BAD_ENCODING`. */
export function signedOf(value: unknown): Signed {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 2) {
    throw new AegisError('BAD_ENCODING', 'the bytes are not a signed record');
  }
  const { payload, signature } = value as Record<string, unknown>;
  if (!(payload instanceof Uint8Array) || !(signature instanceof Uint8Array)) {
    throw new AegisError('BAD_ENCODING', 'the bytes are not a signed record');
  }
  if (signature.length !== 64) {
    throw new AegisError('BAD_ENCODING', 'the signature does not have 64 bytes');
  }
  return { payload, signature };
}

/** @throws {AegisError} `BAD_SIGNATURE` when the signature does not fit key, type and payload. */
export function checkSignature(type: string, signed: Signed, publicKey: Uint8Array): void {
  if (!verifyEd25519(publicKey, signedMessage(type, signed.payload), signed.signature)) {
    throw new AegisError('BAD_SIGNATURE', `the signature of the ${type} does not fit`);
  }
}

/** @throws {AegisError} `BAD_SIGNATURE` when the signature does not fit the key. */
export function checkHolds(
  type: string,
  { message, signature }: SignatureCheck,
  publicKey: Uint8Array | undefined,
): void {
  if (publicKey === undefined || !verifyEd25519(publicKey, message, signature)) {
    throw new AegisError('BAD_SIGNATURE', `the signature of the ${type} does not fit`);
  }
}
