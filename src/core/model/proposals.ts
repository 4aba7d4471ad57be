/**
 * How custodians decide (docs/history.md, E2 to E4, V2): the proposal of changes, the approval of
 * it by its digest, and the readiness of a program for a protocol version. Here stands only whether
 * the bytes are one; whether a change is possible, and who may ask for it, is for `chain/` to say.
 * Paths stand encrypted in the bytes.
 */
import { hex } from '../bytes.ts';
import { sha256Hex } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import type { Signer } from '../ports.ts';
import { DAY } from '../units.ts';
import { decode } from './cbor.ts';
import { checkCluster, readNodeId } from './membership.ts';
import type { Names } from './names.ts';
import {
  encodeProposedChange,
  type ProposedChange,
  readProposedChange,
} from './proposed-change.ts';
import { RecordReader } from './record.ts';
import {
  checkHolds,
  openSigned,
  type SignatureCheck,
  signedMessage,
  signRecord,
} from './signed.ts';

/** Longest signed proposal: a block takes it like an intent. */
export const PROPOSAL_BYTES_MAX = 64 * 1024;
export const APPROVAL_BYTES_MAX = 512;
export const READINESS_BYTES_MAX = 512;
/** Most changes of a proposal. */
export const PROPOSED_CHANGES_MAX = 16;
/** E4: longest time from the making of a proposal to its end. */
export const PROPOSAL_LIFETIME_MAX_MS = 30 * DAY;
const NONCE_BYTES = 16;

/** E2, E3. */
export interface Proposal {
  readonly clusterId: string;
  /** Node id of the custodian that signs; it approves by that. */
  readonly proposer: string;
  /** Of the proposer's identity key. */
  readonly keyEpoch: number;
  /** 16 random bytes, so that the same may be proposed again. */
  readonly nonce: Uint8Array;
  /** 1 to 16: all of them, or none. */
  readonly changes: readonly ProposedChange[];
  /** Height from which they hold; 0: as soon as they are decided. */
  readonly at: number;
  /** Milliseconds since the Unix epoch, by the proposer's clock. */
  readonly createdAt: number;
  /** Compared with the times of blocks. */
  readonly expiresAt: number;
}

export interface SignedProposal {
  readonly proposal: Proposal;
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes (hex): its id, by which it is approved. */
  readonly digest: string;
}

/** E2: a custodian agrees. */
export interface Approval {
  readonly clusterId: string;
  /** Id of the proposal. */
  readonly proposal: string;
  readonly nodeId: string;
  /** Of the identity key that signs. */
  readonly keyEpoch: number;
  readonly time: number;
}

export interface SignedApproval {
  readonly approval: Approval;
  readonly bytes: Uint8Array;
  readonly digest: string;
}

/** V2: the highest protocol version that the program of a custodian takes part in. */
export interface Readiness {
  readonly clusterId: string;
  readonly nodeId: string;
  /** Of the identity key that signs. */
  readonly keyEpoch: number;
  readonly protocol: number;
  readonly time: number;
}

export interface SignedReadiness {
  readonly readiness: Readiness;
  readonly bytes: Uint8Array;
  readonly digest: string;
}

/** A record that has been read, and what has to be verified before it counts. */
interface Read<T> {
  readonly signed: T;
  readonly check: SignatureCheck;
}

const PROPOSAL_NAMES = [
  'clusterId',
  'proposer',
  'keyEpoch',
  'nonce',
  'changes',
  'at',
  'createdAt',
  'expiresAt',
];
const APPROVAL_NAMES = ['clusterId', 'proposal', 'nodeId', 'keyEpoch', 'time'];
const READINESS_NAMES = ['clusterId', 'nodeId', 'keyEpoch', 'protocol', 'time'];

const badProposal = (why: string): AegisError =>
  new AegisError('BAD_ENCODING', `the proposal ${why}`);

/**
 * Makes a signed proposal. `signer` holds the identity key of the proposer.
 * @throws {AegisError} `BAD_ENCODING` for changes or times beyond the limits.
 */
export function createProposal(proposal: Proposal, names: Names, signer: Signer): SignedProposal {
  const { clusterId, proposer, keyEpoch, nonce, at, createdAt, expiresAt } = proposal;
  const changes = proposal.changes.map((change) => encodeProposedChange(change, names));
  const fields = { clusterId, proposer, keyEpoch, nonce, changes, at, createdAt, expiresAt };
  const bytes = signRecord({ v: 1, type: 'proposal', ...fields }, signer);
  const { signed, check } = readProposal(bytes, { clusterId, names });
  checkHolds('proposal', check, signer.publicKey);
  return signed;
}

/**
 * Reads signed proposal bytes. The signature is NOT verified.
 * @throws {AegisError} `OTHER_CLUSTER`, `BAD_ENCODING`, `TOO_LARGE`.
 */
export function readProposal(
  bytes: Uint8Array,
  context: { readonly clusterId: string; readonly names: Names },
): Read<SignedProposal> {
  const { payload, signature } = openSigned(bytes, { maxBytes: PROPOSAL_BYTES_MAX });
  const value = decode(payload, { maxBytes: PROPOSAL_BYTES_MAX });
  const record = new RecordReader(value, 'proposal', PROPOSAL_NAMES);
  const clusterId = checkCluster(record, 'proposal', context.clusterId);
  const changes = record.list('changes', PROPOSED_CHANGES_MAX);
  if (changes.length === 0) throw badProposal('changes nothing');
  const proposal: Proposal = {
    clusterId,
    proposer: readNodeId(record, 'proposal', 'proposer'),
    keyEpoch: record.integer('keyEpoch', 0),
    nonce: record.bytes('nonce', { length: NONCE_BYTES }),
    changes: changes.map((change) => readProposedChange(change, context.names)),
    at: record.integer('at', 0),
    createdAt: record.time('createdAt'),
    expiresAt: record.time('expiresAt'),
  };
  const lifetimeMs = proposal.expiresAt - proposal.createdAt;
  if (lifetimeMs <= 0) throw badProposal('ends before it begins');
  if (lifetimeMs > PROPOSAL_LIFETIME_MAX_MS) throw badProposal('is for more than 30 days');
  const { proposer: author, keyEpoch } = proposal;
  const message = signedMessage('proposal', payload);
  return {
    signed: { proposal, bytes, digest: sha256Hex(bytes) },
    check: { author, keyEpoch, message, signature },
  };
}

/** Makes a signed approval. `signer` holds the identity key of its key epoch. */
export function createApproval(approval: Approval, signer: Signer): SignedApproval {
  const { clusterId, nodeId, keyEpoch, time } = approval;
  const proposal = new Uint8Array(Buffer.from(approval.proposal, 'hex'));
  const fields = { clusterId, proposal, nodeId, keyEpoch, time };
  const bytes = signRecord({ v: 1, type: 'approval', ...fields }, signer);
  const { signed, check } = readApproval(bytes, clusterId);
  checkHolds('approval', check, signer.publicKey);
  return signed;
}

/**
 * Reads signed approval bytes. The signature is NOT verified.
 * @throws {AegisError} `OTHER_CLUSTER`, `BAD_ENCODING`, `TOO_LARGE`.
 */
export function readApproval(bytes: Uint8Array, clusterId: string): Read<SignedApproval> {
  const { payload, signature } = openSigned(bytes, { maxBytes: APPROVAL_BYTES_MAX });
  const value = decode(payload, { maxBytes: APPROVAL_BYTES_MAX });
  const record = new RecordReader(value, 'approval', APPROVAL_NAMES);
  const approval: Approval = {
    clusterId: checkCluster(record, 'approval', clusterId),
    proposal: hex(record.bytes('proposal', { length: 32 })),
    nodeId: readNodeId(record, 'approval'),
    keyEpoch: record.integer('keyEpoch', 0),
    time: record.time('time'),
  };
  const { nodeId: author, keyEpoch } = approval;
  const message = signedMessage('approval', payload);
  return {
    signed: { approval, bytes, digest: sha256Hex(bytes) },
    check: { author, keyEpoch, message, signature },
  };
}

/** Makes a signed readiness. `signer` holds the identity key of its key epoch. */
export function createReadiness(readiness: Readiness, signer: Signer): SignedReadiness {
  const { clusterId, nodeId, keyEpoch, protocol, time } = readiness;
  const fields = { clusterId, nodeId, keyEpoch, protocol, time };
  const bytes = signRecord({ v: 1, type: 'readiness', ...fields }, signer);
  const { signed, check } = readReadiness(bytes, clusterId);
  checkHolds('readiness', check, signer.publicKey);
  return signed;
}

/**
 * Reads signed readiness bytes. The signature is NOT verified.
 * @throws {AegisError} `OTHER_CLUSTER`, `BAD_ENCODING`, `TOO_LARGE`.
 */
export function readReadiness(bytes: Uint8Array, clusterId: string): Read<SignedReadiness> {
  const { payload, signature } = openSigned(bytes, { maxBytes: READINESS_BYTES_MAX });
  const value = decode(payload, { maxBytes: READINESS_BYTES_MAX });
  const record = new RecordReader(value, 'readiness', READINESS_NAMES);
  const readiness: Readiness = {
    clusterId: checkCluster(record, 'readiness', clusterId),
    nodeId: readNodeId(record, 'readiness'),
    keyEpoch: record.integer('keyEpoch', 0),
    protocol: record.integer('protocol', 1),
    time: record.time('time'),
  };
  const { nodeId: author, keyEpoch } = readiness;
  const message = signedMessage('readiness', payload);
  return {
    signed: { readiness, bytes, digest: sha256Hex(bytes) },
    check: { author, keyEpoch, message, signature },
  };
}
