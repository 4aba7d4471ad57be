/** Another implementation of BLS, by noble, that also knows other domains: the oracle for blst. */
import { bls12_381 } from '@noble/curves/bls12-381.js';

const scheme = bls12_381.longSignatures;

export const POP = 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_';

export const oraclePublicKeyOf = (secret: Uint8Array): Uint8Array =>
  scheme.getPublicKey(secret).toBytes();

export const oracleSign = (
  secret: Uint8Array,
  message: Uint8Array,
  domain: string = POP,
): Uint8Array => scheme.sign(scheme.hash(message, domain), secret).toBytes();

export const oracleAggregate = (signatures: readonly Uint8Array[]): Uint8Array =>
  scheme.aggregateSignatures([...signatures]).toBytes();

/** Whether the bytes are a point of the subgroup of keys, and not its identity. */
export function oracleIsKey(bytes: Uint8Array): boolean {
  try {
    const point = bls12_381.G1.Point.fromBytes(bytes);
    point.assertValidity();
    return bytes.length === 48 && !point.is0();
  } catch {
    return false;
  }
}

/** Whether the bytes are a point of the subgroup of signatures, and not its identity. */
export function oracleIsSignature(bytes: Uint8Array): boolean {
  try {
    const point = bls12_381.G2.Point.fromBytes(bytes);
    point.assertValidity();
    return bytes.length === 96 && !point.is0();
  } catch {
    return false;
  }
}

/** One key and message, or an aggregate over many. */
export function oracleVerify(
  keys: readonly Uint8Array[],
  messages: readonly Uint8Array[],
  signature: Uint8Array,
  domain: string = POP,
): boolean {
  if (keys.length === 0 || keys.length !== messages.length) return false;
  if (!oracleIsSignature(signature) || !keys.every(oracleIsKey)) return false;
  try {
    const items = keys.map((publicKey, index) => ({
      publicKey,
      message: scheme.hash(messages[index]!, domain),
    }));
    return scheme.verifyBatch(signature, items);
  } catch {
    return false;
  }
}
