/**
 * The answer of a node that was asked to verify its chain (docs/history.md, Y8), signed by its
 * identity key, with the nonce of whoever asked. It says what that node found, no more: whoever
 * asked compares it with the own chain.
 */
import { hex } from '../bytes.ts';
import { AegisError } from '../errors.ts';
import type { Signer } from '../ports.ts';
import { decode, encode } from './cbor.ts';
import { checkCluster, readNodeId } from './membership.ts';
import { RecordReader } from './record.ts';
import {
  checkHolds,
  openSigned,
  type SignatureCheck,
  signedMessage,
  signRecord,
} from './signed.ts';

export const AUDIT_REQUEST_BYTES_MAX = 256;
/** Longest signed report. */
export const AUDIT_REPORT_BYTES_MAX = 2048;
/** Longest account of a fault. */
export const AUDIT_FAULT_BYTES_MAX = 512;
const NONCE_BYTES = 32;

export interface AuditRequest {
  readonly clusterId: string;
  /** 32 random bytes. */
  readonly nonce: Uint8Array;
}

export interface AuditReport {
  readonly clusterId: string;
  /** Who verified its chain, and signs. */
  readonly nodeId: string;
  /** Of the identity key that signs. */
  readonly keyEpoch: number;
  /** Of the request. */
  readonly nonce: Uint8Array;
  /** The lowest height whose block it has. */
  readonly base: number;
  /** The last one that is final there. */
  readonly height: number;
  /** Of the block of that height (hex). */
  readonly digest: string;
  /** Of the state after it, as it was computed anew: 32 bytes. */
  readonly stateRoot: Uint8Array;
  readonly verdict: 'sound' | 'damaged';
  /** What was damaged first; with that verdict only. */
  readonly fault?: AuditFault;
  /** Milliseconds since the Unix epoch, by the clock of the node. */
  readonly time: number;
}

export interface AuditFault {
  readonly height: number;
  /** Whoever prints it escapes it. */
  readonly what: string;
}

const REPORT_NAMES = [
  'clusterId',
  'nodeId',
  'keyEpoch',
  'nonce',
  'base',
  'height',
  'digest',
  'stateRoot',
  'verdict',
  'fault',
  'time',
];

const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `the audit report ${why}`);

export const encodeAuditRequest = ({ clusterId, nonce }: AuditRequest): Uint8Array =>
  encode({ v: 1, type: 'audit-request', clusterId, nonce });

/** @throws {AegisError} `OTHER_CLUSTER`, `BAD_ENCODING`, `TOO_LARGE`. */
export function readAuditRequest(bytes: Uint8Array, clusterId: string): AuditRequest {
  const value = decode(bytes, { maxBytes: AUDIT_REQUEST_BYTES_MAX });
  const record = new RecordReader(value, 'audit-request', ['clusterId', 'nonce']);
  return {
    clusterId: checkCluster(record, 'audit request', clusterId),
    nonce: record.bytes('nonce', { length: NONCE_BYTES }),
  };
}

/** Makes a signed report. `signer` holds the identity key of its key epoch. */
export function createAuditReport(report: AuditReport, signer: Signer): Uint8Array {
  const { clusterId, nodeId, keyEpoch, nonce, base, height, stateRoot, verdict } = report;
  const { fault, time } = report;
  const digest = new Uint8Array(Buffer.from(report.digest, 'hex'));
  const found = { base, height, digest, stateRoot, verdict, ...(fault && { fault }) };
  const fields = { clusterId, nodeId, keyEpoch, nonce, ...found, time };
  const bytes = signRecord({ v: 1, type: 'audit-report', ...fields }, signer);
  checkHolds('audit report', readAuditReport(bytes, clusterId).check, signer.publicKey);
  return bytes;
}

/**
 * Reads signed report bytes. The signature is NOT verified.
 * @throws {AegisError} `OTHER_CLUSTER`, `BAD_ENCODING`, `TOO_LARGE`.
 */
export function readAuditReport(
  bytes: Uint8Array,
  clusterId: string,
): { readonly report: AuditReport; readonly check: SignatureCheck } {
  const { payload, signature } = openSigned(bytes, { maxBytes: AUDIT_REPORT_BYTES_MAX });
  const value = decode(payload, { maxBytes: AUDIT_REPORT_BYTES_MAX });
  const record = new RecordReader(value, 'audit-report', REPORT_NAMES);
  const fault = record.has('fault') ? readFault(record.item('fault')) : undefined;
  const report: AuditReport = {
    clusterId: checkCluster(record, 'audit report', clusterId),
    nodeId: readNodeId(record, 'audit report'),
    keyEpoch: record.integer('keyEpoch', 0),
    nonce: record.bytes('nonce', { length: NONCE_BYTES }),
    base: record.integer('base', 0),
    height: record.integer('height', 0),
    digest: hex(record.bytes('digest', { length: 32 })),
    stateRoot: record.bytes('stateRoot', { length: 32 }),
    verdict: readVerdict(record),
    ...(fault === undefined ? {} : { fault }),
    time: record.time('time'),
  };
  if ((report.verdict === 'damaged') !== (fault !== undefined)) {
    throw bad('does not say what is damaged, or says it of what is sound');
  }
  const { nodeId: author, keyEpoch } = report;
  const message = signedMessage('audit-report', payload);
  return { report, check: { author, keyEpoch, message, signature } };
}

function readVerdict(record: RecordReader): AuditReport['verdict'] {
  const verdict = record.text('verdict', { maxBytes: 16 });
  if (verdict === 'sound' || verdict === 'damaged') return verdict;
  throw bad('has no verdict');
}

function readFault(value: unknown): AuditFault {
  const record = new RecordReader(value, 'fault', ['height', 'what'], null);
  const height = record.integer('height', 0);
  return { height, what: record.text('what', { maxBytes: AUDIT_FAULT_BYTES_MAX }) };
}
