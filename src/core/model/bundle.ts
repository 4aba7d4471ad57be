/**
 * The public bundle of a node: what its operator hands to those who make a cluster. Signed by the
 * identity key that its succession ends with, so that keys, addresses and weight cannot be changed
 * on the way; whether the node is the one that was meant, people check by its fingerprint over
 * another channel. The proof of possession keeps out consensus keys that were made from those of
 * others, with which one node could forge the certificates of many.
 */
import { BLS_KEY_BYTES, BLS_SIGNATURE_BYTES, verifyPossession } from '../crypto/bls.ts';
import { sha256 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import type { Signer } from '../ports.ts';
import { type Verified, verified } from '../units.ts';
import { fromArmour, toArmour } from './armour.ts';
import { decode } from './cbor.ts';
import { INCEPTION_BYTES_MAX, type Inception, readInception } from './identity.ts';
import { bytesOfText, RecordReader } from './record.ts';
import {
  checkHolds,
  ENVELOPE_BYTES_MAX,
  openSigned,
  type SignatureCheck,
  signedMessage,
  signRecord,
} from './signed.ts';
import {
  followUnproved,
  type KeyState,
  originOf,
  readSuccession,
  type SignedSuccession,
  SUCCESSION_BYTES_MAX,
} from './succession.ts';

export const ADDRESSES_MAX = 16;
export const ADDRESS_BYTES_MAX = 256;
export const STORAGE_WEIGHT_MAX = 1000;
/** Longest signed bundle. */
export const BUNDLE_BYTES_MAX = 56 * 1024;
/** Most entries of the succession: all since the inception. */
export const BUNDLE_ENTRIES_MAX = 64;
/** 1 had no role and no keys of consensus; 2 no succession. */
const BUNDLE_VERSION = 3;

/** Custodians vote on what becomes final; agents keep, copy and ask. */
const ROLES = ['custodian', 'agent'] as const;
export type Role = (typeof ROLES)[number];

/** The keys of consensus that a node begins with, as everybody may know them. */
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
  /** Signed entries, all since the inception. */
  readonly succession: readonly Uint8Array[];
  /** R1: the signer agrees that a new cluster goes on from there. */
  readonly recovery?: Recovery;
}

/** From where a recovered cluster goes on. */
export interface Recovery {
  readonly clusterId: string;
  readonly height: number;
  /** Root of the state after that height, 32 bytes. */
  readonly stateRoot: Uint8Array;
}

/** What a bundle is made of. */
type BundleFields = Omit<Bundle, 'succession'> & {
  /** @default none */
  readonly succession?: readonly Uint8Array[];
};

export interface OpenBundle {
  readonly bundle: Bundle;
  readonly inception: Inception;
  readonly nodeId: string;
  /** The keys that the node began with. */
  readonly origin: KeyState;
  /** The keys that the succession ends with. */
  readonly keys: KeyState;
  /** The entries, in order. */
  readonly succession: readonly SignedSuccession[];
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
  'succession',
  'recovery',
];

/** Whether a text has the outer form of a multiaddr; the transports read the rest. */
export const isAddress = (text: string): boolean => /^(\/[\x21-\x2e\x30-\x7e]+)+$/.test(text);

/** Makes signed bundle bytes. `signer` holds the identity key that the succession ends with. */
export function createBundle(bundle: BundleFields, signer: Signer): Uint8Array {
  const { inception, role, consensusKey, possession, vrfKey } = bundle;
  const { addresses, storageWeight, createdAt, succession = [], recovery } = bundle;
  const keys = { inception, role, consensusKey, possession, vrfKey };
  const agreed = recovery === undefined ? {} : { recovery };
  const record = { ...keys, addresses, storageWeight, createdAt, succession, ...agreed };
  const bytes = signRecord({ v: BUNDLE_VERSION, type: 'bundle', ...record }, signer);
  openBundle(bytes);
  return bytes;
}

/**
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `BAD_SIGNATURE`, `BAD_REQUEST`, `BAD_DATA` for
 * entries that do not follow each other.
 */
export function openBundle(bytes: Uint8Array): Verified<OpenBundle> {
  const { opened, checks } = readBundle(bytes);
  for (const [what, check] of checks.entries()) {
    const type = what === 0 ? 'inception' : what < checks.length - 1 ? 'succession' : 'bundle';
    checkHolds(type, check, check.key);
  }
  const fault = possessionsFault(opened);
  if (fault !== undefined) throw new AegisError('BAD_SIGNATURE', `the bundle: ${fault}`);
  return verified(opened);
}

/**
 * Reads signed bundle bytes and follows the succession in them. Signatures are NOT verified, and
 * neither are proofs of possession: that is for `possessionsFault`, once the signatures hold.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `BAD_REQUEST`, `BAD_DATA`.
 */
export function readBundle(bytes: Uint8Array): {
  readonly opened: OpenBundle;
  /** Of the inception, of each entry, of the bundle; each with its key. */
  readonly checks: readonly SignatureCheck[];
} {
  const { payload, signature } = openSigned(bytes, { maxBytes: BUNDLE_BYTES_MAX });
  const bundle = readPayload(decode(payload, { maxBytes: BUNDLE_BYTES_MAX }));
  const first = readInception(bundle.inception);
  const { inception, nodeId } = first.opened;
  const { consensusKey, possession, vrfKey } = bundle;
  const inceptionBytes = bundle.inception;
  const origin = originOf({ nodeId, inception, inceptionBytes, consensusKey, possession, vrfKey });
  const entries = bundle.succession.map(readSuccession);
  const succession = entries.map(({ signed }) => signed);
  const state = succession.reduce(followUnproved, origin);
  const { keyEpoch, keys } = state;
  const message = signedMessage('bundle', payload);
  const own = { author: nodeId, keyEpoch, key: keys.identityKey, message, signature };
  return {
    opened: { bundle, inception, nodeId, origin, keys: state, succession, bytes },
    checks: [first.check, ...entries.map(({ check }) => check), own],
  };
}

function readPayload(value: unknown): Bundle {
  const record = new RecordReader(value, 'bundle', NAMES, BUNDLE_VERSION);
  const entryBytesMax = SUCCESSION_BYTES_MAX + ENVELOPE_BYTES_MAX;
  const bundle: Bundle = {
    inception: record.bytes('inception', { maxBytes: INCEPTION_BYTES_MAX + ENVELOPE_BYTES_MAX }),
    role: readRole(record.text('role', { maxBytes: 16 })),
    consensusKey: record.bytes('consensusKey', { length: BLS_KEY_BYTES }),
    possession: record.bytes('possession', { length: BLS_SIGNATURE_BYTES }),
    vrfKey: record.bytes('vrfKey', { length: 32 }),
    addresses: record.texts('addresses', ADDRESSES_MAX, { maxBytes: ADDRESS_BYTES_MAX }),
    storageWeight: record.integer('storageWeight', 0, STORAGE_WEIGHT_MAX),
    createdAt: record.time('createdAt'),
    succession: record.byteStrings('succession', BUNDLE_ENTRIES_MAX, entryBytesMax),
    ...(record.has('recovery') ? { recovery: readRecovery(record.item('recovery')) } : {}),
  };
  if (!bundle.addresses.every(isAddress)) {
    throw new AegisError('BAD_ENCODING', 'the bundle has an address that is not a multiaddr', {
      hint: 'Addresses look like /ip4/192.0.2.1/tcp/4001.',
    });
  }
  return bundle;
}

function readRecovery(value: unknown): Recovery {
  const names = ['clusterId', 'height', 'stateRoot'];
  const record = new RecordReader(value, 'recovery', names, null);
  return {
    clusterId: record.text('clusterId', { maxBytes: 64 }),
    height: record.integer('height', 0),
    stateRoot: record.bytes('stateRoot', { length: 32 }),
  };
}

/** Which proof of possession does not hold, among all consensus keys of a bundle; S5. */
export function possessionsFault({ bundle, succession }: OpenBundle): string | undefined {
  const entries = succession.filter((entry) => entry.succession.replaced.includes('consensus'));
  const all = [bundle, ...entries.map((entry) => entry.succession.keys)];
  return all.every((keys) => verifyPossession(keys.consensusKey, keys.possession))
    ? undefined
    : 'it does not prove that its consensus key is its own';
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
