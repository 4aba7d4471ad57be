/**
 * How a node becomes a member and stops being one (docs/keys.md, M1 to M3): the invitation of a
 * custodian, the admission that the invited node signs, and the departure of an agent. Here stands
 * only whether the bytes are one; whether the inviter may invite, whether an invitation has been
 * used or has ended, is for `chain/` to say.
 */
import { hex } from '../bytes.ts';
import { sha256Hex } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import type { Signer } from '../ports.ts';
import { BUNDLE_BYTES_MAX, type OpenBundle, possessionsFault, readBundle } from './bundle.ts';
import { decode } from './cbor.ts';
import { isNodeId } from './identity.ts';
import { RecordReader } from './record.ts';
import {
  checkHolds,
  ENVELOPE_BYTES_MAX,
  openSigned,
  type SignatureCheck,
  signedMessage,
  signRecord,
} from './signed.ts';

/** Longest signed invitation, and longest signed departure. */
export const INVITATION_BYTES_MAX = 1024;
export const DEPARTURE_BYTES_MAX = 512;
/** Longest signed admission: a block takes it like an intent. */
export const ADMISSION_BYTES_MAX = 64 * 1024;
const INVITATION_ID_BYTES = 16;

/** M1: lets one node in, once, until a stated time. */
export interface Invitation {
  readonly clusterId: string;
  /** 16 random bytes, hex. */
  readonly id: string;
  /** Node id of the custodian that signs. */
  readonly inviter: string;
  /** Of the inviter's identity key; the invitation dies with it. */
  readonly keyEpoch: number;
  /** Node id of whoever is invited. */
  readonly nodeId: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  /** Compared with the time of the block that would admit. */
  readonly expiresAt: number;
}

export interface SignedInvitation {
  readonly invitation: Invitation;
  readonly bytes: Uint8Array;
  readonly digest: string;
}

/** M2: what the invited node asks for. */
export interface Admission {
  readonly clusterId: string;
  readonly nodeId: string;
  /** Signed bundle bytes: an agent's, with its succession. */
  readonly bundle: Uint8Array;
  /** Signed invitation bytes. */
  readonly invitation: Uint8Array;
  /** Milliseconds since the Unix epoch, by the clock of the node. */
  readonly time: number;
}

export interface SignedAdmission {
  readonly admission: Admission;
  readonly bundle: OpenBundle;
  readonly invitation: SignedInvitation;
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes (hex): what a departure names. */
  readonly digest: string;
}

/** M3: an agent goes. */
export interface Departure {
  readonly clusterId: string;
  readonly nodeId: string;
  /** Of the identity key that signs. */
  readonly keyEpoch: number;
  /** Digest of the admission that it ends (hex); zeros for a member of the genesis. */
  readonly admission: string;
  readonly time: number;
}

export interface SignedDeparture {
  readonly departure: Departure;
  readonly bytes: Uint8Array;
  readonly digest: string;
}

/** Stands in place of the digest of an admission for members of the genesis. */
export const NO_ADMISSION = '0'.repeat(64);

const INVITATION_NAMES = [
  'clusterId',
  'id',
  'inviter',
  'keyEpoch',
  'nodeId',
  'createdAt',
  'expiresAt',
];
const ADMISSION_NAMES = ['clusterId', 'nodeId', 'bundle', 'invitation', 'time'];
const DEPARTURE_NAMES = ['clusterId', 'nodeId', 'keyEpoch', 'admission', 'time'];

const bytesOfHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

export function readNodeId(record: RecordReader, what: string, name = 'nodeId'): string {
  const nodeId = record.text(name, { maxBytes: 64 });
  if (isNodeId(nodeId)) return nodeId;
  throw new AegisError('BAD_ENCODING', `the ${what} names what is not a node id`);
}

/** Q3. */
export function checkCluster(
  record: RecordReader,
  what: string,
  clusterId: string | undefined,
): string {
  const found = record.text('clusterId', { maxBytes: 64 });
  if (clusterId === undefined || found === clusterId) return found;
  throw new AegisError('OTHER_CLUSTER', `the ${what} is for another cluster`);
}

/** Makes a signed invitation. `signer` holds the identity key of the inviter. */
export function createInvitation(invitation: Invitation, signer: Signer): SignedInvitation {
  const { clusterId, id, inviter, keyEpoch, nodeId, createdAt, expiresAt } = invitation;
  const fields = { clusterId, id: bytesOfHex(id), inviter, keyEpoch, nodeId, createdAt, expiresAt };
  const bytes = signRecord({ v: 1, type: 'invitation', ...fields }, signer);
  const { signed, check } = readInvitation(bytes);
  checkHolds('invitation', check, signer.publicKey);
  return signed;
}

/**
 * Reads signed invitation bytes. The signature is NOT verified.
 * @param clusterId the cluster that it must be for; any, when left out.
 * @throws {AegisError} `OTHER_CLUSTER`, `BAD_ENCODING`, `TOO_LARGE`.
 */
export function readInvitation(
  bytes: Uint8Array,
  clusterId?: string,
): { readonly signed: SignedInvitation; readonly check: SignatureCheck } {
  const { payload, signature } = openSigned(bytes, { maxBytes: INVITATION_BYTES_MAX });
  const value = decode(payload, { maxBytes: INVITATION_BYTES_MAX });
  const record = new RecordReader(value, 'invitation', INVITATION_NAMES);
  const invitation: Invitation = {
    clusterId: checkCluster(record, 'invitation', clusterId),
    id: hex(record.bytes('id', { length: INVITATION_ID_BYTES })),
    inviter: readNodeId(record, 'invitation', 'inviter'),
    keyEpoch: record.integer('keyEpoch', 0),
    nodeId: readNodeId(record, 'invitation'),
    createdAt: record.time('createdAt'),
    expiresAt: record.time('expiresAt'),
  };
  if (invitation.expiresAt <= invitation.createdAt) {
    throw new AegisError('BAD_ENCODING', 'the invitation ends before it begins');
  }
  const { inviter: author, keyEpoch } = invitation;
  const message = signedMessage('invitation', payload);
  return {
    signed: { invitation, bytes, digest: sha256Hex(bytes) },
    check: { author, keyEpoch, message, signature },
  };
}

/** Makes a signed admission. `signer` holds the identity key that the bundle ends with. */
export function createAdmission(admission: Admission, signer: Signer): SignedAdmission {
  const { clusterId, nodeId, bundle, invitation, time } = admission;
  const fields = { clusterId, nodeId, bundle, invitation, time };
  const bytes = signRecord({ v: 1, type: 'admission', ...fields }, signer);
  const { signed, checks } = readAdmission(bytes, clusterId);
  // The last is the inviter's, whose key may be known elsewhere only.
  for (const check of checks) if (check.key) checkHolds('admission', check, check.key);
  return signed;
}

/**
 * Reads signed admission bytes. Signatures are NOT verified, and neither are the proofs of
 * possession: `admissionFault` does that once the signatures hold.
 * @throws {AegisError} `OTHER_CLUSTER`, `BAD_ENCODING`, `TOO_LARGE`, `BAD_DATA` for entries that
 * do not follow.
 */
export function readAdmission(
  bytes: Uint8Array,
  clusterId: string,
): { readonly signed: SignedAdmission; readonly checks: readonly SignatureCheck[] } {
  const { payload, signature } = openSigned(bytes, { maxBytes: ADMISSION_BYTES_MAX });
  const value = decode(payload, { maxBytes: ADMISSION_BYTES_MAX });
  const record = new RecordReader(value, 'admission', ADMISSION_NAMES);
  const admission: Admission = {
    clusterId: checkCluster(record, 'admission', clusterId),
    nodeId: readNodeId(record, 'admission'),
    bundle: record.bytes('bundle', { maxBytes: BUNDLE_BYTES_MAX + ENVELOPE_BYTES_MAX }),
    invitation: record.bytes('invitation', { maxBytes: INVITATION_BYTES_MAX + ENVELOPE_BYTES_MAX }),
    time: record.time('time'),
  };
  const bundle = readBundle(admission.bundle);
  const invitation = readInvitation(admission.invitation, clusterId);
  checkParts(admission, bundle.opened, invitation.signed);
  const { nodeId: author, keyEpoch, keys } = bundle.opened.keys;
  const message = signedMessage('admission', payload);
  const own = { author, keyEpoch, key: keys.identityKey, message, signature };
  return {
    signed: {
      admission,
      bundle: bundle.opened,
      invitation: invitation.signed,
      bytes,
      digest: sha256Hex(bytes),
    },
    checks: [...bundle.checks, own, invitation.check],
  };
}

function checkParts({ nodeId }: Admission, opened: OpenBundle, signed: SignedInvitation): void {
  const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `the admission ${why}`);
  if (opened.nodeId !== nodeId) throw bad('has the bundle of another node');
  if (signed.invitation.nodeId !== nodeId) throw bad('has the invitation of another node');
  // M2, R3: whoever joins is an agent, and custodian by approval only.
  if (opened.bundle.role !== 'agent') throw bad('is not that of an agent');
  if (opened.bundle.recovery !== undefined) throw bad('has a bundle for a recovery');
}

/** Why an admission whose signatures hold cannot be executed anywhere; undefined when it can. */
export const admissionFault = ({ bundle }: SignedAdmission): string | undefined =>
  possessionsFault(bundle);

/** Makes a signed departure. `signer` holds the identity key of its key epoch. */
export function createDeparture(departure: Departure, signer: Signer): SignedDeparture {
  const { clusterId, nodeId, keyEpoch, time } = departure;
  const fields = { clusterId, nodeId, keyEpoch, admission: bytesOfHex(departure.admission), time };
  const bytes = signRecord({ v: 1, type: 'departure', ...fields }, signer);
  const { signed, check } = readDeparture(bytes, clusterId);
  checkHolds('departure', check, signer.publicKey);
  return signed;
}

/**
 * Reads signed departure bytes. The signature is NOT verified.
 * @throws {AegisError} `OTHER_CLUSTER`, `BAD_ENCODING`, `TOO_LARGE`.
 */
export function readDeparture(
  bytes: Uint8Array,
  clusterId: string,
): { readonly signed: SignedDeparture; readonly check: SignatureCheck } {
  const { payload, signature } = openSigned(bytes, { maxBytes: DEPARTURE_BYTES_MAX });
  const value = decode(payload, { maxBytes: DEPARTURE_BYTES_MAX });
  const record = new RecordReader(value, 'departure', DEPARTURE_NAMES);
  const departure: Departure = {
    clusterId: checkCluster(record, 'departure', clusterId),
    nodeId: readNodeId(record, 'departure'),
    keyEpoch: record.integer('keyEpoch', 0),
    admission: hex(record.bytes('admission', { length: 32 })),
    time: record.time('time'),
  };
  const { nodeId: author, keyEpoch } = departure;
  const message = signedMessage('departure', payload);
  return {
    signed: { departure, bytes, digest: sha256Hex(bytes) },
    check: { author, keyEpoch, message, signature },
  };
}
