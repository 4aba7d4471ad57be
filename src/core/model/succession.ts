/**
 * How the keys of a node change hands: the entries that follow the inception, each signed by the
 * successor to which the entry before has committed (docs/keys.md, S1 to S5 and S7). Here stands
 * only what follows from the entries themselves: it does not decide which of two entries counts,
 * whether a key is taken by another node (S6), or who is told.
 */
import { sameBytes } from '../bytes.ts';
import { BLS_KEY_BYTES, BLS_SIGNATURE_BYTES, verifyPossession } from '../crypto/bls.ts';
import { sha256, sha256Hex } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import type { Signer } from '../ports.ts';
import { type Verified, verified } from '../units.ts';
import { decode } from './cbor.ts';
import { type Inception, isNodeId } from './identity.ts';
import { RecordReader, TIME_MAX } from './record.ts';
import {
  checkHolds,
  openSigned,
  type SignatureCheck,
  signedMessage,
  signRecord,
} from './signed.ts';

/** Longest signed entry. */
export const SUCCESSION_BYTES_MAX = 2048;
/** Most entries that a hello shows: the last ones. */
export const HELLO_ENTRIES_MAX = 32;
const DAY_MS = 24 * 3600 * 1000;
/** Longest time for which a replaced network key is still accepted (H2) and an onion key kept. */
export const GRACE_MAX_MS = 30 * DAY_MS;
const GRACE_DEFAULT_MS = DAY_MS;
/** From one change of a key until people are warned that the next is due (S7). */
const LIFETIMES_MS: Readonly<Record<CertifiedRole, number>> = {
  identity: 730 * DAY_MS,
  network: 365 * DAY_MS,
  consensus: 365 * DAY_MS,
  onion: 730 * DAY_MS,
};
/** 1 could lack an onion key. */
const SUCCESSION_VERSION = 2;

/** In the order in which an entry names them. Consensus stands for the VRF key, too (S5). */
export const CERTIFIED_ROLES = ['identity', 'network', 'consensus', 'onion'] as const;
export type CertifiedRole = (typeof CERTIFIED_ROLES)[number];
const REASONS = ['routine', 'compromised'] as const;
type Reason = (typeof REASONS)[number];

/** Keys that others go on taking for a while after they were replaced (H2, O18). */
export const canHaveGrace = (replaced: readonly CertifiedRole[]): boolean =>
  replaced.includes('network') || replaced.includes('onion');

/** All keys of a node that others rely on, as raw bytes. */
export interface KeySet {
  /** Ed25519, 32 bytes. */
  readonly identityKey: Uint8Array;
  /** SHA-256 of the successor's public key, 32 bytes. */
  readonly nextIdentityDigest: Uint8Array;
  /** Ed25519, 32 bytes: behind the libp2p peer id. */
  readonly networkKey: Uint8Array;
  /** BLS12-381, 48 bytes. */
  readonly consensusKey: Uint8Array;
  /** Proof (96 bytes) that the maker of the consensus key holds its secret. */
  readonly possession: Uint8Array;
  /** Edwards25519, 32 bytes. */
  readonly vrfKey: Uint8Array;
  /** Ed25519, 32 bytes: behind the onion address (O12). */
  readonly onionKey: Uint8Array;
}

/** Milliseconds since the Unix epoch. */
export type KeyTimes = Readonly<Record<CertifiedRole, number>>;

export interface Succession {
  readonly nodeId: string;
  /** 1 for the first after the inception. */
  readonly number: number;
  /** SHA-256 of the signed bytes of the entry before, or of the inception; 32 bytes. */
  readonly previous: Uint8Array;
  /** How often the identity key has changed. */
  readonly keyEpoch: number;
  /** Public key of the successor that signs this entry, 32 bytes. */
  readonly revealed: Uint8Array;
  /** All keys after this entry. */
  readonly keys: KeySet;
  /** Those that are new, in the order of `CERTIFIED_ROLES`. */
  readonly replaced: readonly CertifiedRole[];
  readonly expiresAt: KeyTimes;
  /** How long the network and onion keys before still count. 0 unless one of them is replaced. */
  readonly graceMs: number;
  readonly reason: Reason;
  /** With a new identity key: so many versions of the author count that an earlier one signed. */
  readonly sealed?: number;
  /** By the clock of the node's owner. */
  readonly createdAt: number;
}

export interface SignedSuccession {
  readonly succession: Succession;
  /** The signed bytes, as they travel. */
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes (hex). */
  readonly digest: string;
}

/** The keys of a node after one of its entries. */
export interface KeyState {
  readonly nodeId: string;
  /** That of the entry; 0 is the inception. */
  readonly number: number;
  readonly keyEpoch: number;
  /** SHA-256 (hex) of the signed bytes of the entry. */
  readonly digest: string;
  readonly keys: KeySet;
  readonly expiresAt: KeyTimes;
  /** Milliseconds since the Unix epoch, by the clock of the node's owner. */
  readonly changedAt: number;
  /** The entry, unless it is the inception. */
  readonly last?: Succession;
}

const NAMES = [
  'nodeId',
  'number',
  'previous',
  'keyEpoch',
  'revealed',
  'keys',
  'replaced',
  'expiresAt',
  'graceMs',
  'reason',
  'sealed',
  'createdAt',
];
const KEY_NAMES = [
  'identityKey',
  'nextIdentityDigest',
  'networkKey',
  'consensusKey',
  'possession',
  'vrfKey',
  'onionKey',
];

const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `the succession ${why}`);

/** The keys with which a node begins: those of its inception, and those of consensus beside it. */
export function originOf(node: {
  readonly nodeId: string;
  readonly inception: Inception;
  /** Signed. */
  readonly inceptionBytes: Uint8Array;
  readonly consensusKey: Uint8Array;
  readonly possession: Uint8Array;
  readonly vrfKey: Uint8Array;
}): KeyState {
  const { inception, consensusKey, possession, vrfKey } = node;
  const { identityKey, nextIdentityDigest, networkKey, onionKey, createdAt } = inception;
  const voting = { consensusKey, possession, vrfKey };
  return {
    nodeId: node.nodeId,
    number: 0,
    keyEpoch: 0,
    digest: sha256Hex(node.inceptionBytes),
    keys: { identityKey, nextIdentityDigest, networkKey, ...voting, onionKey },
    expiresAt: {
      identity: within(createdAt + LIFETIMES_MS.identity),
      network: within(createdAt + LIFETIMES_MS.network),
      consensus: within(createdAt + LIFETIMES_MS.consensus),
      onion: within(createdAt + LIFETIMES_MS.onion),
    },
    changedAt: createdAt,
  };
}

const within = (time: number): number => Math.min(time, TIME_MAX);

/**
 * Makes the entry that follows `before`. Keys that are not given stay; expiries of replaced keys
 * are a lifetime from now unless given; the grace of replaced network and onion keys is a day, and
 * none when they are compromised. The entry is never earlier than the one before, whatever the
 * clock says (S7).
 * @param successor holds the secret to which `before` has committed.
 * @throws {AegisError} `BAD_DATA` when the entry would not follow, `BAD_ENCODING` when it is none.
 */
export function createSuccession(
  before: KeyState,
  change: {
    readonly keys: Partial<KeySet>;
    readonly replaced: readonly CertifiedRole[];
    readonly expiresAt?: Partial<KeyTimes>;
    readonly graceMs?: number;
    readonly reason?: Reason;
    /** Needed with a new identity key. */
    readonly sealed?: number;
    readonly createdAt: number;
  },
  successor: Signer,
): Verified<SignedSuccession> {
  const { sealed, reason = 'routine' } = change;
  const replaced = CERTIFIED_ROLES.filter((role) => change.replaced.includes(role));
  const hasGrace = canHaveGrace(replaced) && reason === 'routine';
  const createdAt = Math.max(change.createdAt, before.changedAt);
  const record = {
    v: SUCCESSION_VERSION,
    type: 'succession',
    nodeId: before.nodeId,
    number: before.number + 1,
    previous: new Uint8Array(Buffer.from(before.digest, 'hex')),
    keyEpoch: before.keyEpoch + (replaced.includes('identity') ? 1 : 0),
    revealed: successor.publicKey,
    keys: { ...before.keys, ...change.keys },
    replaced,
    expiresAt: { ...before.expiresAt, ...renewed(replaced, createdAt), ...change.expiresAt },
    graceMs: change.graceMs ?? (hasGrace ? GRACE_DEFAULT_MS : 0),
    reason,
    ...(sealed === undefined ? {} : { sealed }),
    createdAt,
  };
  const signed = openSuccession(signRecord(record, successor));
  follow(before, signed);
  return signed;
}

/** The expiries of keys that are new, or extended, from then on. */
export const renewed = (replaced: readonly CertifiedRole[], from: number): Partial<KeyTimes> =>
  Object.fromEntries(replaced.map((role) => [role, within(from + LIFETIMES_MS[role])]));

/**
 * Reads signed entry bytes. The signature is NOT verified: that is the caller's, off the loop. It
 * is that of the key that the entry reveals; whether that is the successor, `successionFault` says.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`.
 */
export function readSuccession(bytes: Uint8Array): {
  readonly signed: SignedSuccession;
  readonly check: SignatureCheck;
} {
  const { payload, signature } = openSigned(bytes, { maxBytes: SUCCESSION_BYTES_MAX });
  const succession = readPayload(decode(payload, { maxBytes: SUCCESSION_BYTES_MAX }));
  const { nodeId, keyEpoch, revealed } = succession;
  const message = signedMessage('succession', payload);
  return {
    signed: { succession, bytes, digest: sha256Hex(bytes) },
    check: { author: nodeId, keyEpoch, key: revealed, message, signature },
  };
}

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `BAD_SIGNATURE`. */
export function openSuccession(bytes: Uint8Array): Verified<SignedSuccession> {
  const { signed, check } = readSuccession(bytes);
  checkHolds('succession', check, check.key);
  return verified(signed);
}

function readPayload(value: unknown): Succession {
  const record = new RecordReader(value, 'succession', NAMES, SUCCESSION_VERSION);
  const nodeId = record.text('nodeId', { maxBytes: 64 });
  if (!isNodeId(nodeId)) throw bad('is of what is not a node id');
  const keys = readKeys(record.item('keys'));
  const succession: Succession = {
    nodeId,
    number: record.integer('number', 1),
    previous: record.bytes('previous', { length: 32 }),
    keyEpoch: record.integer('keyEpoch', 0),
    revealed: record.bytes('revealed', { length: 32 }),
    keys,
    replaced: readRoles(record.texts('replaced', CERTIFIED_ROLES.length, { maxBytes: 16 })),
    expiresAt: readTimes(record.item('expiresAt')),
    graceMs: record.integer('graceMs', 0, GRACE_MAX_MS),
    reason: readReason(record.text('reason', { maxBytes: 16 })),
    ...(record.has('sealed') ? { sealed: record.integer('sealed', 0) } : {}),
    createdAt: record.time('createdAt'),
  };
  checkForm(succession);
  return succession;
}

function readKeys(value: unknown): KeySet {
  const record = new RecordReader(value, 'key set', KEY_NAMES, null);
  return {
    identityKey: record.bytes('identityKey', { length: 32 }),
    nextIdentityDigest: record.bytes('nextIdentityDigest', { length: 32 }),
    networkKey: record.bytes('networkKey', { length: 32 }),
    consensusKey: record.bytes('consensusKey', { length: BLS_KEY_BYTES }),
    possession: record.bytes('possession', { length: BLS_SIGNATURE_BYTES }),
    vrfKey: record.bytes('vrfKey', { length: 32 }),
    onionKey: record.bytes('onionKey', { length: 32 }),
  };
}

function readTimes(value: unknown): KeyTimes {
  const record = new RecordReader(value, 'list of expiries', CERTIFIED_ROLES, null);
  return {
    identity: record.time('identity'),
    network: record.time('network'),
    consensus: record.time('consensus'),
    onion: record.time('onion'),
  };
}

/** One entry has one encoding: each role once, in their order. */
function readRoles(texts: readonly string[]): readonly CertifiedRole[] {
  const roles = CERTIFIED_ROLES.filter((role) => texts.includes(role));
  if (roles.join() !== texts.join()) throw bad('names roles twice, unknown or out of order');
  return roles;
}

function readReason(text: string): Reason {
  const reason = REASONS.find((known) => known === text);
  if (reason === undefined) throw bad('has a reason that this aegis does not know');
  return reason;
}

/** What must hold within one entry, whatever it follows. */
function checkForm({ replaced, graceMs, reason, sealed }: Succession): void {
  if (graceMs > 0 && (!canHaveGrace(replaced) || reason === 'compromised')) {
    throw bad('grants a grace where there is none');
  }
  // A3: without the number, all versions from before would be lost, or forgeable for ever.
  if ((sealed === undefined) === replaced.includes('identity')) {
    throw bad('seals versions exactly when it replaces the identity key');
  }
}

/**
 * Why an entry does not follow the state `before` by S1 to S5 and S7; undefined when it does. It
 * takes a verified entry for a verdict that counts.
 */
export function successionFault(before: KeyState, next: Succession): string | undefined {
  return linkFault(before, next) ?? possessionFault(next);
}

/** All but the proof of possession, which takes the longest by far. */
const linkFault = (before: KeyState, next: Succession): string | undefined =>
  placeFault(before, next) ??
  identityFault(before, next) ??
  keysFault(before, next) ??
  timesFault(before, next);

function placeFault(before: KeyState, next: Succession): string | undefined {
  // S1
  if (next.nodeId !== before.nodeId) return 'it is of another node';
  if (next.number !== before.number + 1) return 'its number is not the next one';
  if (Buffer.from(next.previous).toString('hex') !== before.digest) {
    return 'it follows another entry';
  }
  // S2
  if (!sameBytes(sha256(next.revealed), before.keys.nextIdentityDigest)) {
    return 'it is not signed by the successor';
  }
  return undefined;
}

function identityFault(before: KeyState, next: Succession): string | undefined {
  const { identityKey, nextIdentityDigest } = next.keys;
  const isSameCommitment = sameBytes(nextIdentityDigest, before.keys.nextIdentityDigest);
  // S3
  if (next.replaced.includes('identity')) {
    if (!sameBytes(identityKey, next.revealed)) return 'the new identity key is not the successor';
    if (next.keyEpoch !== before.keyEpoch + 1) return 'its key epoch is not the next one';
    return isSameCommitment ? 'it commits to no other successor' : undefined;
  }
  if (next.keyEpoch !== before.keyEpoch) return 'its key epoch changed without the identity key';
  return isSameCommitment ? undefined : 'its commitment changed without the identity key';
}

/** The keys of each role; those of consensus change together (S5). */
const KEYS_OF: Readonly<Record<CertifiedRole, readonly (keyof KeySet)[]>> = {
  identity: ['identityKey'],
  network: ['networkKey'],
  consensus: ['consensusKey', 'possession', 'vrfKey'],
  onion: ['onionKey'],
};

function keysFault(before: KeyState, next: Succession): string | undefined {
  // S4
  for (const role of CERTIFIED_ROLES) {
    const isNew = next.replaced.includes(role);
    for (const name of KEYS_OF[role]) {
      if (sameBytes(before.keys[name], next.keys[name]) !== isNew) continue;
      return isNew ? `its ${role} key is not new` : `its ${role} key changed without being named`;
    }
  }
  return undefined;
}

function timesFault(before: KeyState, next: Succession): string | undefined {
  // S7
  if (next.createdAt < before.changedAt) return 'it is earlier than the entry before';
  // S4: without a new key, an expiry is only extended.
  for (const role of CERTIFIED_ROLES) {
    if (next.replaced.includes(role)) continue;
    if (next.expiresAt[role] < before.expiresAt[role]) {
      return `its ${role} key expires earlier than before`;
    }
  }
  return undefined;
}

function possessionFault({ replaced, keys }: Succession): string | undefined {
  // S5
  if (!replaced.includes('consensus')) return undefined;
  return verifyPossession(keys.consensusKey, keys.possession)
    ? undefined
    : 'it does not prove that its consensus key is its own';
}

/** @throws {AegisError} `BAD_DATA` with the fault. */
export function follow(before: KeyState, next: Verified<SignedSuccession>): KeyState {
  return stateAfter(before, next, successionFault(before, next.succession));
}

/**
 * The same for an entry whose signature and proof of possession (S5) are verified elsewhere: cheap
 * enough for bytes of which nothing is known yet.
 * @throws {AegisError} `BAD_DATA` with the fault.
 */
export function followUnproved(before: KeyState, next: SignedSuccession): KeyState {
  return stateAfter(before, next, linkFault(before, next.succession));
}

function stateAfter(before: KeyState, next: SignedSuccession, fault: string | undefined): KeyState {
  if (fault !== undefined) {
    throw new AegisError('BAD_DATA', `the succession does not follow: ${fault}`, {
      details: { nodeId: before.nodeId, number: next.succession.number },
    });
  }
  const { succession: last, digest } = next;
  const { nodeId, number, keyEpoch, keys, expiresAt, createdAt: changedAt } = last;
  return { nodeId, number, keyEpoch, digest, keys, expiresAt, changedAt, last };
}

/** @throws {AegisError} `BAD_DATA` at the first entry that does not follow. */
export const followAll = (
  origin: KeyState,
  entries: readonly Verified<SignedSuccession>[],
): KeyState => entries.reduce(follow, origin);
