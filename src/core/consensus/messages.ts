/**
 * The messages of consensus, in dag-cbor: a list that begins with the version and the type.
 * Decoding checks shapes and limits; signatures are checked by the replica, which knows when it
 * must.
 */
import { unreachable } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import {
  certificateValue,
  readCertificate,
  readTimeoutCertificate,
  timeoutCertificateValue,
} from './certificate.ts';
import { evidenceValue, readEvidence } from './evidence.ts';
import { Fields, fromHex, orNull, SHARE_BYTES, SIGNATURE_BYTES } from './fields.ts';
import { LIMITS } from './limits.ts';
import type { Certificate, Evidence, Phase, Share, TimeoutCertificate } from './types.ts';

export const CONSENSUS_PROTOCOL = 'consensus';

export interface ProposalMessage {
  readonly type: 'proposal';
  readonly height: number;
  readonly view: number;
  readonly digest: string;
  /** The block. */
  readonly payload: Uint8Array;
  /** That the block before is final; undefined at height 1. */
  readonly previous: Certificate | undefined;
  /** Of the view before; undefined in view 0. */
  readonly timeout: TimeoutCertificate | undefined;
  /** Ed25519, by the leader of the view. */
  readonly signature: Uint8Array;
}

export interface VoteMessage {
  readonly type: 'vote';
  readonly phase: Phase;
  readonly height: number;
  readonly view: number;
  readonly digest: string;
  readonly signature: Uint8Array;
  /** What the leader signed, so that a leader that told two stories is found out; in `prepare`. */
  readonly proposal: Uint8Array | undefined;
}

export interface TimeoutMessage {
  readonly type: 'timeout';
  readonly height: number;
  readonly view: number;
  /** The highest prepare certificate of the height that the sender knows; it signs its view. */
  readonly high: Certificate | undefined;
  readonly signature: Uint8Array;
}

export interface StatusMessage {
  readonly type: 'status';
  /** The first height that is not final, and the view in it. */
  readonly height: number;
  readonly view: number;
  /** That the height before is final; undefined at height 1. */
  readonly commit: Certificate | undefined;
  readonly high: Certificate | undefined;
  /** By which the sender came to its view. */
  readonly timeout: TimeoutCertificate | undefined;
  /** The last thing signed by the receiver that the sender has seen. */
  readonly seen: Share | undefined;
  /** Not 0: to be answered with a status whose `answer` is this number. */
  readonly ask: number;
  readonly answer: number;
}

export type ConsensusMessage =
  | ProposalMessage
  | VoteMessage
  | { readonly type: 'certificate'; readonly certificate: Certificate }
  | TimeoutMessage
  | { readonly type: 'timeout-certificate'; readonly certificate: TimeoutCertificate }
  | StatusMessage
  | { readonly type: 'evidence'; readonly evidence: Evidence };

/** The height that its sender works at, as far as it shows one. */
export function heightOf(message: ConsensusMessage): number | undefined {
  switch (message.type) {
    case 'evidence':
      return undefined;
    case 'certificate':
    case 'timeout-certificate':
      return message.certificate.height;
    default:
      return message.height;
  }
}

export function encodeMessage(message: ConsensusMessage): Uint8Array {
  return encode([1, message.type, ...fieldsOf(message)]);
}

function fieldsOf(message: ConsensusMessage): readonly unknown[] {
  switch (message.type) {
    case 'proposal': {
      const { height, view, digest, payload, previous, timeout, signature } = message;
      const proof = timeout === undefined ? null : timeoutCertificateValue(timeout);
      return [height, view, fromHex(digest), payload, orNullValue(previous), proof, signature];
    }
    case 'vote': {
      const { phase, height, view, digest, signature, proposal } = message;
      return [phase, height, view, fromHex(digest), signature, orNull(proposal)];
    }
    case 'certificate':
      return [certificateValue(message.certificate)];
    case 'timeout':
      return [message.height, message.view, orNullValue(message.high), message.signature];
    case 'timeout-certificate':
      return [timeoutCertificateValue(message.certificate)];
    case 'status': {
      const { height, view, commit, high, timeout, seen, ask, answer } = message;
      const proof = timeout === undefined ? null : timeoutCertificateValue(timeout);
      const share = seen === undefined ? null : shareValue(seen);
      return [height, view, orNullValue(commit), orNullValue(high), proof, share, ask, answer];
    }
    case 'evidence':
      return [evidenceValue(message.evidence)];
    default:
      return unreachable(message);
  }
}

const orNullValue = (certificate: Certificate | undefined): unknown =>
  certificate === undefined ? null : certificateValue(certificate);

export const shareValue = (share: Share): unknown => [
  share.kind,
  share.height,
  share.view,
  share.digest === undefined ? null : fromHex(share.digest),
  orNull(share.highView),
  share.signature,
];

/** @throws {AegisError} `BAD_ENCODING`. */
export function readShare(value: unknown): Share {
  const fields = new Fields(value, 6, 'share');
  const kind = fields.word(['prepare', 'commit', 'timeout']);
  const height = fields.height();
  const view = fields.view();
  const digest = fields.optional((bytes) => new Fields([bytes], 1, 'share').digest());
  const highView = fields.optional((high) => new Fields([high], 1, 'share').view());
  if ((digest === undefined) !== (kind === 'timeout')) throw fields.bad('is of another kind');
  if (digest !== undefined && highView !== undefined) throw fields.bad('is of two kinds');
  return { kind, height, view, digest, highView, signature: fields.bytes(SHARE_BYTES) };
}

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeMessage(body: Uint8Array): ConsensusMessage {
  const value = decode(body, { maxBytes: LIMITS.messageBytes });
  if (!Array.isArray(value) || value[0] !== 1) {
    throw new AegisError('BAD_ENCODING', 'a message of consensus has an unknown version');
  }
  const rest: unknown[] = value.slice(2);
  switch (value[1]) {
    case 'proposal':
      return readProposal(new Fields(rest, 7, 'proposal'));
    case 'vote':
      return readVote(new Fields(rest, 6, 'vote'));
    case 'certificate':
      return { type: 'certificate', certificate: readCertificate(only(rest)) };
    case 'timeout':
      return readTimeout(new Fields(rest, 4, 'timeout'));
    case 'timeout-certificate':
      return { type: 'timeout-certificate', certificate: readTimeoutCertificate(only(rest)) };
    case 'status':
      return readStatus(new Fields(rest, 8, 'status'));
    case 'evidence':
      return { type: 'evidence', evidence: readEvidence(only(rest)) };
    default:
      throw new AegisError('BAD_ENCODING', 'a message of consensus has an unknown type');
  }
}

/** Undefined, which no reader takes, when there is more than one. */
const only = (items: readonly unknown[]): unknown => (items.length === 1 ? items[0] : undefined);

function readProposal(fields: Fields): ProposalMessage {
  return {
    type: 'proposal',
    height: fields.height(),
    view: fields.view(),
    digest: fields.digest(),
    payload: fields.blob(LIMITS.payloadBytes),
    previous: fields.optional(readCertificate),
    timeout: fields.optional(readTimeoutCertificate),
    signature: fields.bytes(SIGNATURE_BYTES),
  };
}

function readVote(fields: Fields): VoteMessage {
  return {
    type: 'vote',
    phase: fields.word(['prepare', 'commit']),
    height: fields.height(),
    view: fields.view(),
    digest: fields.digest(),
    signature: fields.bytes(SHARE_BYTES),
    proposal: fields.optional((bytes) => new Fields([bytes], 1, 'vote').bytes(SIGNATURE_BYTES)),
  };
}

function readTimeout(fields: Fields): TimeoutMessage {
  return {
    type: 'timeout',
    height: fields.height(),
    view: fields.view(),
    high: fields.optional(readCertificate),
    signature: fields.bytes(SHARE_BYTES),
  };
}

function readStatus(fields: Fields): StatusMessage {
  return {
    type: 'status',
    height: fields.height(),
    view: fields.view(),
    commit: fields.optional(readCertificate),
    high: fields.optional(readCertificate),
    timeout: fields.optional(readTimeoutCertificate),
    seen: fields.optional(readShare),
    ask: fields.integer(0, Number.MAX_SAFE_INTEGER),
    answer: fields.integer(0, Number.MAX_SAFE_INTEGER),
  };
}
