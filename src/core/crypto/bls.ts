/**
 * BLS signatures on BLS12-381 (draft-irtf-cfrg-bls-signature-06), min-pk, proof-of-possession
 * scheme: public keys 48 bytes in G1, signatures 96 bytes in G2. blst does the work, about a
 * millisecond a verification; it is loaded when it is first needed, since most commands never are.
 */
import { createRequire } from 'node:module';
import type * as Blst from '@chainsafe/blst';
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { Memo } from './memo.ts';

const BLS_SECRET_BYTES = 32;
export const BLS_KEY_BYTES = 48;
export const BLS_SIGNATURE_BYTES = 96;

/** Blocks with a proof in them are executed more than once. */
const PROVED = new Memo<{ readonly holds: boolean }>(1024);
/** The check takes 67 us: ten times the verification where many sign, anew with each epoch. */
const OPENED = new Memo<BlsPublicKey>(1024);

type Native = typeof Blst;

/** A public key that has been decoded and checked: worth keeping where it verifies often. */
export type BlsPublicKey = Blst.PublicKey;

const load = createRequire(import.meta.url);

/** Loaded at the first call; afterwards this is a look into a table. */
function native(): Native {
  try {
    return load('@chainsafe/blst') as Native;
  } catch (error) {
    throw new AegisError('BAD_CONFIG', 'the BLS library cannot be loaded on this machine', {
      hint: 'Install aegis again, with its optional packages: npm install --include=optional',
      cause: error,
    });
  }
}

/** Secret key (32 bytes, big-endian) from at least 32 bytes of seed: KeyGen, section 2.3. */
export function blsSecretOf(seed: Uint8Array): Uint8Array {
  assert(seed.length >= 32, 'a BLS seed has at least 32 bytes');
  return native().SecretKey.fromKeygen(seed).toBytes();
}

function secretKeyOf(secret: Uint8Array) {
  assert(secret.length === BLS_SECRET_BYTES, 'a BLS secret has 32 bytes');
  return native().SecretKey.fromBytes(secret);
}

/** Public key (48 bytes) of a secret key. */
export const blsPublicKeyOf = (secret: Uint8Array): Uint8Array =>
  secretKeyOf(secret).toPublicKey().toBytes();

/** Signature (96 bytes) over any message. */
export const signBls = (secret: Uint8Array, message: Uint8Array): Uint8Array =>
  secretKeyOf(secret).sign(message).toBytes();

/** Undefined for what is not on the curve, not in the subgroup, or the identity (section 2.5). */
export function openBlsKey(bytes: Uint8Array): BlsPublicKey | undefined {
  if (bytes.length !== BLS_KEY_BYTES) return undefined;
  const { PublicKey } = native();
  return OPENED.get(bytes, () => attempt(() => PublicKey.fromBytes(bytes, true)));
}

/** Undefined for what is no point of the group, or the identity. */
function openSignature(bytes: Uint8Array): Blst.Signature | undefined {
  // The library also reads uncompressed points, which would be a second form of one signature.
  if (bytes.length !== BLS_SIGNATURE_BYTES) return undefined;
  const { Signature } = native();
  return attempt(() => Signature.fromBytes(bytes, true));
}

/** The library throws for hostile bytes; what it throws says nothing that a caller could use. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

/** False for anything malformed; never throws on hostile bytes. Section 2.7. */
export const verifyBls = (
  publicKey: Uint8Array | BlsPublicKey,
  message: Uint8Array,
  signature: Uint8Array,
): boolean => fastAggregateVerify([publicKey], message, signature);

/** Undefined when one of the keys is malformed. */
function openKeys(keys: readonly (Uint8Array | BlsPublicKey)[]): BlsPublicKey[] | undefined {
  const opened: BlsPublicKey[] = [];
  for (const key of keys) {
    const point = key instanceof Uint8Array ? openBlsKey(key) : key;
    if (point === undefined) return undefined;
    opened.push(point);
  }
  return opened;
}

/**
 * Whether `signature` aggregates one signature of each key over the same message. Sound against
 * rogue keys only when every key has proved its possession. Section 3.3.4.
 */
export function fastAggregateVerify(
  publicKeys: readonly (Uint8Array | BlsPublicKey)[],
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const point = openSignature(signature);
  if (point === undefined || publicKeys.length === 0) return false;
  const keys = openKeys(publicKeys);
  if (keys === undefined) return false;
  return attempt(() => native().fastAggregateVerify(message, keys, point, false)) ?? false;
}

/**
 * Whether `signature` aggregates one signature of each key over its own message. Messages may be
 * equal: sound when every key has proved its possession. Section 3.3 (AggregateVerify, 2.9).
 */
export function aggregateVerify(
  publicKeys: readonly (Uint8Array | BlsPublicKey)[],
  messages: readonly Uint8Array[],
  signature: Uint8Array,
): boolean {
  const point = openSignature(signature);
  if (point === undefined || publicKeys.length === 0) return false;
  const keys = publicKeys.length === messages.length ? openKeys(publicKeys) : undefined;
  if (keys === undefined) return false;
  const { aggregateVerify: verify } = native();
  return attempt(() => verify([...messages], keys, point, false, false)) ?? false;
}

/**
 * One signature (96 bytes) from many. Section 2.8.
 * @throws {AegisError} `BAD_SIGNATURE` when one of them is no point of the group, or none is given.
 */
export function aggregateBls(signatures: readonly Uint8Array[]): Uint8Array {
  const points = signatures.map(openSignature);
  const sound = points.filter((point) => point !== undefined);
  if (sound.length === 0 || sound.length < points.length) {
    throw new AegisError('BAD_SIGNATURE', 'a signature to aggregate is malformed');
  }
  return native().aggregateSignatures(sound, false).toBytes();
}

const POSSESSION = Buffer.from('aegis/possession/1\0');

/**
 * The draft (section 3.3.2) keeps proofs apart from signatures by another hash to the curve, which
 * blst's package does not offer; the prefix does the same, as no vote begins with it.
 */
const possessionMessage = (publicKey: Uint8Array): Uint8Array =>
  Buffer.concat([POSSESSION, publicKey]);

/** Proof (96 bytes) that the maker of a public key holds its secret. */
export const provePossession = (secret: Uint8Array): Uint8Array =>
  signBls(secret, possessionMessage(blsPublicKeyOf(secret)));

/** False for anything malformed. */
export function verifyPossession(publicKey: Uint8Array, proof: Uint8Array): boolean {
  if (publicKey.length !== BLS_KEY_BYTES || proof.length !== BLS_SIGNATURE_BYTES) return false;
  const compute = () => ({ holds: verifyBls(publicKey, possessionMessage(publicKey), proof) });
  return PROVED.get(Buffer.concat([publicKey, proof]), compute)?.holds ?? false;
}
