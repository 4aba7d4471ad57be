/**
 * Who a node is. The inception entry fixes the first keys; its hash is the node id for ever. It is
 * the entry 0 of the node's succession (`succession.ts`), the only one without one before.
 */
import { base58btc } from 'multiformats/bases/base58';
import { base32, fromBase32 } from '../crypto/base32.ts';
import { sha256 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import type { Signer } from '../ports.ts';
import { type Verified, verified } from '../units.ts';
import { decode } from './cbor.ts';
import { RecordReader } from './record.ts';
import {
  checkHolds,
  openSigned,
  type SignatureCheck,
  signedMessage,
  signRecord,
} from './signed.ts';

/** Longest signed inception entry. */
export const INCEPTION_BYTES_MAX = 2048;
/** 1 had no onion key. */
const INCEPTION_VERSION = 2;
/** Longest name, zone or region, in bytes of UTF-8. */
export const LABEL_BYTES_MAX = 64;

export interface Inception {
  /** Ed25519, 32 bytes: certifies all other keys of the node. */
  readonly identityKey: Uint8Array;
  /** SHA-256 of the public key that alone may succeed the identity key, 32 bytes. */
  readonly nextIdentityDigest: Uint8Array;
  /** Ed25519, 32 bytes: the key behind the libp2p peer id. */
  readonly networkKey: Uint8Array;
  /** Ed25519, 32 bytes: the key behind the onion address (O12). */
  readonly onionKey: Uint8Array;
  readonly name: string;
  /** The failure domain, as the operator names it. */
  readonly zone: string;
  readonly region: string;
  /** Milliseconds since the Unix epoch, by the clock of the node's maker. */
  readonly createdAt: number;
}

export interface OpenInception {
  readonly inception: Inception;
  readonly nodeId: string;
  /** The signed bytes, as they travel. */
  readonly bytes: Uint8Array;
}

const NAMES = [
  'identityKey',
  'nextIdentityDigest',
  'networkKey',
  'onionKey',
  'name',
  'zone',
  'region',
  'createdAt',
];
const NODE_ID = /^aegis1[a-z2-7]{52}$/;

/** The node id of signed inception bytes: `aegis1` and 52 characters of base32. */
export const nodeIdOf = (bytes: Uint8Array): string => `aegis1${base32(sha256(bytes))}`;

/** Whether `text` has the form of a node id. Says nothing about its existence. */
export function isNodeId(text: string): boolean {
  if (!NODE_ID.test(text)) return false;
  try {
    return fromBase32(text.slice(6)).length === 32;
  } catch {
    return false;
  }
}

/** The first 14 characters, for people. Never an identifier: use the whole id in data. */
export const shortId = (nodeId: string): string => nodeId.slice(0, 14);

/** The libp2p peer id (base58 text) of an Ed25519 network key (libp2p peer-ids specification). */
export function peerIdOf(networkKey: Uint8Array): string {
  // Identity multihash (0x00), 36 bytes: protobuf {1: KeyType Ed25519 = 1, 2: 32 key bytes}.
  const bytes = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20, ...networkKey);
  return base58btc.encode(bytes).slice(1);
}

/**
 * Names that people read on terminals and in logs: 1 to 64 bytes of printable text.
 * @throws {AegisError} `BAD_REQUEST` naming `what`.
 */
export function checkLabel(what: string, label: string): string {
  const sizeBytes = Buffer.byteLength(label);
  const printable = label.isWellFormed() && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(label);
  if (sizeBytes < 1 || sizeBytes > LABEL_BYTES_MAX || !printable || label.trim() !== label) {
    throw new AegisError(
      'BAD_REQUEST',
      `the ${what} must be 1 to ${LABEL_BYTES_MAX} bytes of printable text without outer spaces`,
    );
  }
  return label;
}

/** Makes signed inception bytes. `signer` holds the identity key. */
export function createInception(
  fields: Omit<Inception, 'identityKey'>,
  signer: Signer,
): Uint8Array {
  const { nextIdentityDigest, networkKey, onionKey, name, zone, region, createdAt } = fields;
  const identityKey = signer.publicKey;
  checkLabel('name', name);
  checkLabel('zone', zone);
  checkLabel('region', region);
  const keys = { identityKey, nextIdentityDigest, networkKey, onionKey };
  const labels = { name, zone, region };
  const record = { v: INCEPTION_VERSION, type: 'inception', ...keys, ...labels, createdAt };
  return signRecord(record, signer);
}

/**
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `BAD_SIGNATURE`, or `BAD_REQUEST` for a name
 * that must not be shown.
 */
export function openInception(bytes: Uint8Array): Verified<OpenInception> {
  const { opened, check } = readInception(bytes);
  checkHolds('inception', check, check.key);
  return verified(opened);
}

/**
 * Reads signed inception bytes. The signature is NOT verified: that is the caller's, off the loop.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `BAD_REQUEST`.
 */
export function readInception(bytes: Uint8Array): {
  readonly opened: OpenInception;
  readonly check: SignatureCheck;
} {
  const signed = openSigned(bytes, { maxBytes: INCEPTION_BYTES_MAX });
  const value = decode(signed.payload, { maxBytes: INCEPTION_BYTES_MAX });
  const record = new RecordReader(value, 'inception', NAMES, INCEPTION_VERSION);
  const inception: Inception = {
    identityKey: record.bytes('identityKey', { length: 32 }),
    nextIdentityDigest: record.bytes('nextIdentityDigest', { length: 32 }),
    networkKey: record.bytes('networkKey', { length: 32 }),
    onionKey: record.bytes('onionKey', { length: 32 }),
    name: checkLabel('name', record.text('name', { maxBytes: LABEL_BYTES_MAX })),
    zone: checkLabel('zone', record.text('zone', { maxBytes: LABEL_BYTES_MAX })),
    region: checkLabel('region', record.text('region', { maxBytes: LABEL_BYTES_MAX })),
    createdAt: record.time('createdAt'),
  };
  const nodeId = nodeIdOf(bytes);
  const { payload, signature } = signed;
  const message = signedMessage('inception', payload);
  const check = { author: nodeId, keyEpoch: 0, key: inception.identityKey, message, signature };
  return { opened: { inception, nodeId, bytes }, check };
}
