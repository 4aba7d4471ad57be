/**
 * BLS signatures on BLS12-381 (draft-irtf-cfrg-bls-signature-06), min-pk: public keys 48 bytes in
 * G1, signatures 96 bytes in G2. Tens of milliseconds an operation: this is the reference and the
 * tool for key files, not the path of votes.
 */
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { hkdfSha256, sha256 } from './hash.ts';

export const BLS_SECRET_BYTES = 32;
export const BLS_KEY_BYTES = 48;
export const BLS_SIGNATURE_BYTES = 96;

/** The proof-of-possession scheme (section 4.2.3), which every caller but a test uses. */
export const BLS_DOMAIN = 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_';
const POSSESSION_DOMAIN = 'BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_';

const scheme = bls12_381.longSignatures;

/** Secret key (32 bytes, big-endian) from at least 32 bytes of seed: KeyGen, section 2.3. */
export function blsSecretOf(seed: Uint8Array): Uint8Array {
  assert(seed.length >= 32, 'a BLS seed has at least 32 bytes');
  const { Fn } = bls12_381.G1.Point;
  const material = Buffer.concat([seed, Uint8Array.of(0)]);
  const info = Uint8Array.of(0, 48);
  let salt = Buffer.from('BLS-SIG-KEYGEN-SALT-') as Uint8Array;
  for (;;) {
    salt = sha256(salt);
    const okm = hkdfSha256(material, salt, info, 48);
    const scalar = Fn.create(BigInt(`0x${Buffer.from(okm).toString('hex')}`));
    if (scalar !== 0n) return Fn.toBytes(scalar);
  }
}

/** Public key (48 bytes) of a secret key. */
export const blsPublicKeyOf = (secret: Uint8Array): Uint8Array =>
  scheme.getPublicKey(secret).toBytes();

/** Signature (96 bytes) over any message. */
export const signBls = (
  secret: Uint8Array,
  message: Uint8Array,
  domain: string = BLS_DOMAIN,
): Uint8Array => scheme.sign(scheme.hash(message, domain), secret).toBytes();

/** Refuses what is not on the curve, not in the subgroup, or the identity (section 2.5). */
function isSoundKey(publicKey: Uint8Array): boolean {
  if (publicKey.length !== BLS_KEY_BYTES) return false;
  const point = bls12_381.G1.Point.fromBytes(publicKey);
  point.assertValidity();
  return !point.is0();
}

/** False for anything malformed; never throws on hostile bytes. Section 2.7. */
export function verifyBls(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
  domain: string = BLS_DOMAIN,
): boolean {
  if (signature.length !== BLS_SIGNATURE_BYTES) return false;
  try {
    return (
      isSoundKey(publicKey) && scheme.verify(signature, scheme.hash(message, domain), publicKey)
    );
  } catch {
    return false;
  }
}

/**
 * Whether `signature` aggregates one signature of each key over its own message. Sound against
 * rogue keys only when every key has proved its possession. Section 2.9.
 */
export function verifyBlsAggregate(
  publicKeys: readonly Uint8Array[],
  messages: readonly Uint8Array[],
  signature: Uint8Array,
  domain: string = BLS_DOMAIN,
): boolean {
  if (publicKeys.length === 0 || publicKeys.length !== messages.length) return false;
  if (signature.length !== BLS_SIGNATURE_BYTES) return false;
  try {
    if (!publicKeys.every(isSoundKey)) return false;
    const items = publicKeys.map((publicKey, index) => ({
      publicKey,
      message: scheme.hash(messages[index]!, domain),
    }));
    return scheme.verifyBatch(signature, items);
  } catch {
    return false;
  }
}

/**
 * One signature (96 bytes) from many. Section 2.8.
 * @throws {AegisError} `BAD_SIGNATURE` when one of them is no point of the group, or none is given.
 */
export function aggregateBls(signatures: readonly Uint8Array[]): Uint8Array {
  try {
    return scheme.aggregateSignatures([...signatures]).toBytes();
  } catch (error) {
    throw new AegisError('BAD_SIGNATURE', 'a signature to aggregate is malformed', {
      cause: error,
    });
  }
}

/** Proof (96 bytes) that the maker of a public key holds its secret. Section 3.3.2. */
export const provePossession = (secret: Uint8Array): Uint8Array =>
  signBls(secret, blsPublicKeyOf(secret), POSSESSION_DOMAIN);

/** Section 3.3.3. False for anything malformed. */
export const verifyPossession = (publicKey: Uint8Array, proof: Uint8Array): boolean =>
  verifyBls(publicKey, publicKey, proof, POSSESSION_DOMAIN);
