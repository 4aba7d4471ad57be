/**
 * What stands in a block beside intents and carries its own authority, so that anyone may hand it
 * in: a succession, evidence of two that contradict each other (S8), an admission, a departure, a
 * proposal, an approval, a readiness.
 * Here stands only whether the bytes are one, and what must be verified before it counts.
 */
import { unreachable } from '../assert.ts';
import { sha256Hex } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from './cbor.ts';
import {
  readAdmission,
  readDeparture,
  type SignedAdmission,
  type SignedDeparture,
} from './membership.ts';
import type { Names } from './names.ts';
import {
  readApproval,
  readProposal,
  readReadiness,
  type SignedApproval,
  type SignedProposal,
  type SignedReadiness,
} from './proposals.ts';
import { RecordReader } from './record.ts';
import { ENVELOPE_BYTES_MAX, type SignatureCheck } from './signed.ts';
import { readSuccession, type SignedSuccession, SUCCESSION_BYTES_MAX } from './succession.ts';

/** Longest evidence of duplicity. */
export const DUPLICITY_BYTES_MAX = 2 * (SUCCESSION_BYTES_MAX + ENVELOPE_BYTES_MAX) + 64;

export type Statement =
  | { readonly type: 'succession'; readonly signed: SignedSuccession }
  | {
      readonly type: 'duplicity';
      readonly nodeId: string;
      /** Both follow the same entry; the one with the lower digest stands first. */
      readonly a: SignedSuccession;
      readonly b: SignedSuccession;
    }
  | { readonly type: 'admission'; readonly signed: SignedAdmission }
  | { readonly type: 'departure'; readonly signed: SignedDeparture }
  | { readonly type: 'proposal'; readonly signed: SignedProposal }
  | { readonly type: 'approval'; readonly signed: SignedApproval }
  | { readonly type: 'readiness'; readonly signed: SignedReadiness };

export interface ReadStatement {
  readonly statement: Statement;
  /** Whose it is. */
  readonly nodeId: string;
  /** Milliseconds since the Unix epoch, by the clock of that node. */
  readonly time: number;
  /** SHA-256 of the bytes (hex). */
  readonly digest: string;
  readonly checks: readonly SignatureCheck[];
}

const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `the duplicity ${why}`);

/**
 * Evidence that one successor has signed two entries at one place; the order does not matter.
 * @throws {AegisError} `BAD_ENCODING` for entries that do not contradict each other.
 */
export function createDuplicity(one: SignedSuccession, other: SignedSuccession): Uint8Array {
  const [a, b] = one.digest < other.digest ? [one, other] : [other, one];
  const bytes = encode({ v: 1, type: 'duplicity', a: a.bytes, b: b.bytes });
  readDuplicity(decode(bytes, { maxBytes: DUPLICITY_BYTES_MAX }), bytes);
  return bytes;
}

/** The types of what is signed as a whole. */
const SIGNED_TYPES = [
  'succession',
  'admission',
  'departure',
  'proposal',
  'approval',
  'readiness',
] as const;
type SignedType = (typeof SIGNED_TYPES)[number];

const typeOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;

/** Whether decoded bytes are evidence of duplicity: unsigned as a whole, since its parts are. */
export const isDuplicity = (value: unknown): boolean => typeOf(value) === 'duplicity';

/** The type of a statement whose payload this is. */
export const statementTypeOf = (payload: unknown): SignedType | undefined =>
  SIGNED_TYPES.find((type) => type === typeOf(payload));

/** @throws {AegisError} `OTHER_CLUSTER`, `BAD_ENCODING`, `TOO_LARGE`, `BAD_DATA`. */
export function readStatement(
  type: SignedType,
  bytes: Uint8Array,
  context: { readonly clusterId: string; readonly names: Names },
): ReadStatement {
  const { clusterId } = context;
  switch (type) {
    case 'succession': {
      const { signed, check } = readSuccession(bytes);
      return asRead({ type, signed }, signed.succession.createdAt, [check]);
    }
    case 'admission': {
      const { signed, checks } = readAdmission(bytes, clusterId);
      return asRead({ type, signed }, signed.admission.time, checks, signed.admission.nodeId);
    }
    case 'departure': {
      const { signed, check } = readDeparture(bytes, clusterId);
      return asRead({ type, signed }, signed.departure.time, [check]);
    }
    case 'proposal': {
      const { signed, check } = readProposal(bytes, context);
      return asRead({ type, signed }, signed.proposal.createdAt, [check]);
    }
    case 'approval': {
      const { signed, check } = readApproval(bytes, clusterId);
      return asRead({ type, signed }, signed.approval.time, [check]);
    }
    case 'readiness': {
      const { signed, check } = readReadiness(bytes, clusterId);
      return asRead({ type, signed }, signed.readiness.time, [check]);
    }
    default:
      return unreachable(type);
  }
}

/** @param nodeId whose it is. @default whoever signs */
function asRead(
  statement: Extract<Statement, { signed: unknown }>,
  time: number,
  checks: readonly SignatureCheck[],
  nodeId = checks[0]!.author,
): ReadStatement {
  return { statement, nodeId, time, digest: statement.signed.digest, checks };
}

/**
 * @param value what `bytes` are the encoding of.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`.
 */
export function readDuplicity(value: unknown, bytes: Uint8Array): ReadStatement {
  const record = new RecordReader(value, 'duplicity', ['a', 'b']);
  const limits = { maxBytes: SUCCESSION_BYTES_MAX + ENVELOPE_BYTES_MAX };
  const [a, b] = [record.bytes('a', limits), record.bytes('b', limits)].map(readSuccession);
  const [one, other] = [a!.signed.succession, b!.signed.succession];
  if (one.nodeId !== other.nodeId) throw bad('has entries of two nodes');
  const isOnePlace =
    one.number === other.number && Buffer.compare(one.previous, other.previous) === 0;
  if (!isOnePlace) throw bad('has entries that follow different ones');
  if (Buffer.compare(one.revealed, other.revealed) !== 0) throw bad('has entries of two signers');
  // One duplicity has one encoding.
  if (a!.signed.digest >= b!.signed.digest) throw bad('has its entries out of order, or one twice');
  const { nodeId } = one;
  return {
    statement: { type: 'duplicity', nodeId, a: a!.signed, b: b!.signed },
    nodeId,
    time: Math.max(one.createdAt, other.createdAt),
    digest: sha256Hex(bytes),
    checks: [a!.check, b!.check],
  };
}
