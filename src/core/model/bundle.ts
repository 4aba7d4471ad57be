/**
 * The public bundle of a node: what its operator hands to those who make a cluster. Signed by the
 * identity key, so that keys, addresses and weight cannot be changed on the way; whether the node
 * is the one that was meant, people check by its fingerprint over another channel. The proof of
 * possession keeps out consensus keys that were made from those of others, with which one node
 * could forge the certificates of many.
 */
import { BLS_KEY_BYTES, BLS_SIGNATURE_BYTES, verifyPossession } from '../crypto/bls.ts';
import { sha256 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import type { Signer } from '../ports.ts';
import { type Verified, verified } from '../units.ts';
import { fromArmour, toArmour } from './armour.ts';
import { decode } from './cbor.ts';
import { INCEPTION_BYTES_MAX, type Inception, openInception } from './identity.ts';
import { bytesOfText, RecordReader } from './record.ts';
import { checkSignature, openSigned, signRecord } from './signed.ts';

export const ADDRESSES_MAX = 16;
export const ADDRESS_BYTES_MAX = 256;
const STORAGE_WEIGHT_MAX = 1000;
/** Longest signed bundle. */
const BUNDLE_BYTES_MAX = 8192;
/** 1 had no role and no keys of consensus. */
const BUNDLE_VERSION = 2;

/** Custodians vote on what becomes final; agents keep, copy and ask. */
const ROLES = ['custodian', 'agent'] as const;
export type Role = (typeof ROLES)[number];

/** The keys of consensus, as everybody may know them. */
export interface ConsensusKeys {
  /** BLS12-381, 48 bytes: votes. */
  readonly consensusKey: Uint8Array;
  /** Proof (96 bytes) that the maker of the consensus key holds its secret. */
  readonly possession: Uint8Array;
  /** Edwards25519, 32 bytes: seeds of the order of leaders (L1). */
  readonly vrfKey: Uint8Array;
}

export interface Bundle extends ConsensusKeys {
  /** Signed inception bytes. */
  readonly inception: Uint8Array;
  readonly role: Role;
  /** Multiaddrs where the node can be dialled. */
  readonly addresses: readonly string[];
  /** Share of replicas that the node takes, 0 (none) to 1000. */
  readonly storageWeight: number;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
}

export interface OpenBundle {
  readonly bundle: Bundle;
  readonly inception: Inception;
  readonly nodeId: string;
  /** The signed bytes, as they travel. */
  readonly bytes: Uint8Array;
}

const NAMES = [
  'inception',
  'role',
  'consensusKey',
  'possession',
  'vrfKey',
  'addresses',
  'storageWeight',
  'createdAt',
];

/** Whether a text has the outer form of a multiaddr; the transports read the rest. */
export const isAddress = (text: string): boolean => /^(\/[\x21-\x2e\x30-\x7e]+)+$/.test(text);

/** Makes signed bundle bytes. `signer` holds the identity key of the inception. */
export function createBundle(bundle: Bundle, signer: Signer): Uint8Array {
  const { inception, role, consensusKey, possession, vrfKey } = bundle;
  const { addresses, storageWeight, createdAt } = bundle;
  const keys = { inception, role, consensusKey, possession, vrfKey };
  const record = { ...keys, addresses, storageWeight, createdAt };
  const bytes = signRecord({ v: BUNDLE_VERSION, type: 'bundle', ...record }, signer);
  openBundle(bytes);
  return bytes;
}

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `BAD_SIGNATURE`, `BAD_REQUEST`. */
export function openBundle(bytes: Uint8Array): Verified<OpenBundle> {
  const signed = openSigned(bytes, { maxBytes: BUNDLE_BYTES_MAX });
  const value = decode(signed.payload, { maxBytes: BUNDLE_BYTES_MAX });
  const record = new RecordReader(value, 'bundle', NAMES, BUNDLE_VERSION);
  const bundle: Bundle = {
    inception: record.bytes('inception', { maxBytes: INCEPTION_BYTES_MAX }),
    role: readRole(record.text('role', { maxBytes: 16 })),
    consensusKey: record.bytes('consensusKey', { length: BLS_KEY_BYTES }),
    possession: record.bytes('possession', { length: BLS_SIGNATURE_BYTES }),
    vrfKey: record.bytes('vrfKey', { length: 32 }),
    addresses: record.texts('addresses', ADDRESSES_MAX, { maxBytes: ADDRESS_BYTES_MAX }),
    storageWeight: record.integer('storageWeight', 0, STORAGE_WEIGHT_MAX),
    createdAt: record.time('createdAt'),
  };
  if (!bundle.addresses.every(isAddress)) {
    throw new AegisError('BAD_ENCODING', 'the bundle has an address that is not a multiaddr', {
      hint: 'Addresses look like /ip4/192.0.2.1/tcp/4001.',
    });
  }
  const { inception, nodeId } = openInception(bundle.inception);
  checkSignature('bundle', signed, inception.identityKey);
  if (!verifyPossession(bundle.consensusKey, bundle.possession)) {
    throw new AegisError(
      'BAD_SIGNATURE',
      'the bundle does not prove that its consensus key is its own',
    );
  }
  return verified({ bundle, inception, nodeId, bytes });
}

function readRole(text: string): Role {
  const role = ROLES.find((known) => known === text);
  if (role !== undefined) return role;
  throw new AegisError('BAD_ENCODING', 'the bundle has a role that this aegis does not know');
}

/** The text form, for files and mails. */
export const bundleToText = (bytes: Uint8Array): string => toArmour('BUNDLE', bytes);

/**
 * The signed bytes of a text form.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. The signature is checked by `openBundle`.
 */
export const bundleFromText = (text: string): Uint8Array =>
  fromArmour('BUNDLE', text, BUNDLE_BYTES_MAX + 128);

/** 128 bits of the hash of a node id, or of a cluster id, in groups of four, for reading aloud. */
export function fingerprint(id: string): string {
  const hex = Buffer.from(sha256(bytesOfText(id)).subarray(0, 16)).toString('hex');
  return (hex.match(/.{4}/g) ?? []).join(' ');
}
