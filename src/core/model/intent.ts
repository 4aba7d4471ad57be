/**
 * An intent: what a member asks the cluster to do, signed by its identity key: all of its changes
 * or none. Here stands only whether the bytes are one; whether the changes apply is
 * for `chain/` to say. It names the cluster, so that it fits no other one. Statements stand in its
 * place in a block, with an authority of their own.
 */
import { sha256Hex } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import type { Signer } from '../ports.ts';
import { type Verified, verified } from '../units.ts';
import { decode, encode, fieldBytes } from './cbor.ts';
import { type Change, encodeChanges, readChange } from './change.ts';
import { isNodeId } from './identity.ts';
import { checkCluster } from './membership.ts';
import type { Names } from './names.ts';
import { RecordReader } from './record.ts';
import {
  ENVELOPE_BYTES_MAX,
  type SignatureCheck,
  signedMessage,
  signedOf,
  signRecord,
} from './signed.ts';
import {
  isDuplicity,
  type ReadStatement,
  readDuplicity,
  readStatement,
  type Statement,
  statementTypeOf,
} from './statement.ts';

export type { Anchor, Change, Erase, Grant, Move, Revoke } from './change.ts';

/** Longest signed intent. */
export const INTENT_BYTES_MAX = 64 * 1024;
export const CHANGES_MAX = 256;
/** 1 had paths in the clear, and moves only. */
const INTENT_VERSION = 2;

/** What the bytes of a cluster are read and made with. */
export interface IntentContext {
  readonly clusterId: string;
  readonly names: Names;
}

export interface Intent {
  /** Node id. */
  readonly author: string;
  /** Counts what the author asked for: 1, 2, 3, ..., each next one exactly one more. */
  readonly sequence: number;
  /** Milliseconds since the Unix epoch, by the author's clock. */
  readonly time: number;
  /** At most 256. None: the sequence is used up and nothing happens. */
  readonly changes: readonly Change[];
  /** How often the author's identity key had changed when it signed (A2). */
  readonly keyEpoch: number;
}

/** What an intent is made of. */
type IntentFields = Omit<Intent, 'keyEpoch'> & {
  /** @default 0 */
  readonly keyEpoch?: number;
};

export interface SignedIntent {
  /** The same for the same request of the same author, whatever its sequence and time (hex). */
  readonly id: string;
  readonly intent: Intent;
  /** The signed bytes, as they travel. */
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes (hex). */
  readonly digest: string;
  /** It is no intent but this; sequence 0, no changes, key epoch 0, and its digest is its id. */
  readonly statement?: Statement;
}

const NAMES = ['clusterId', 'author', 'sequence', 'time', 'changes', 'keyEpoch'];
const badIntent = (why: string): AegisError => new AegisError('BAD_ENCODING', `the intent ${why}`);

/** The id that the intent of an author with these changes has. */
export const intentIdOf = (
  { clusterId, names }: IntentContext,
  author: string,
  changes: readonly Change[],
): string => idOf(clusterId, author, encode(encodeChanges(changes, names)));

/** Of the list of cluster, author and changes; these are encoded already. */
function idOf(clusterId: string, author: string, changes: Uint8Array): string {
  // The list stands last, so that its encoding ends that of the three.
  const head = encode([clusterId, author, 0]).slice(0, -1);
  return sha256Hex(Buffer.concat([head, changes]));
}

/** Makes a signed intent. `signer` holds the identity key of the author in its key epoch. */
export function createIntent(
  intent: IntentFields,
  context: IntentContext,
  signer: Signer,
): Verified<SignedIntent> {
  const { author, sequence, time, keyEpoch = 0 } = intent;
  const { clusterId, names } = context;
  const changes = encodeChanges(intent.changes, names);
  // Left out when it is 0, so that an intent has one encoding.
  const epoch = keyEpoch === 0 ? {} : { keyEpoch };
  const fields = { clusterId, author, sequence, time, changes, ...epoch };
  const bytes = signRecord({ v: INTENT_VERSION, type: 'intent', ...fields }, signer);
  return verified(readIntent(bytes, context).signed);
}

/** An intent or a statement that has been read, and what has to be verified before it counts. */
interface ReadIntent {
  readonly signed: SignedIntent;
  readonly checks: readonly SignatureCheck[];
}

/**
 * Reads the bytes of an intent or of a statement. No signature is verified: that is the caller's,
 * off the loop.
 * @throws {AegisError} `OTHER_CLUSTER`, `BAD_ENCODING`, `TOO_LARGE`, `BAD_DATA`
 * for an admission with a succession that does not hang together.
 */
export function readIntent(bytes: Uint8Array, context: IntentContext): ReadIntent {
  const whole = decode(bytes, { maxBytes: INTENT_BYTES_MAX + ENVELOPE_BYTES_MAX });
  if (isDuplicity(whole)) return asIntent(readDuplicity(whole, bytes), bytes);
  const { payload, signature } = signedOf(whole);
  const value = decode(payload, { maxBytes: INTENT_BYTES_MAX });
  const type = statementTypeOf(value);
  if (type !== undefined) return asIntent(readStatement(type, bytes, context), bytes);
  const record = new RecordReader(value, 'intent', NAMES, INTENT_VERSION);
  const clusterId = checkCluster(record, 'intent', context.clusterId);
  const author = record.text('author', { maxBytes: 64 });
  if (!isNodeId(author)) throw badIntent('has an author that is not a node id');
  const changes = record.list('changes', CHANGES_MAX);
  const intent: Intent = {
    author,
    sequence: record.integer('sequence', 1),
    time: record.time('time'),
    changes: changes.map((change) => readChange(change, context.names)),
    keyEpoch: record.has('keyEpoch') ? record.integer('keyEpoch', 1) : 0,
  };
  const id = idOf(clusterId, author, fieldBytes(payload, 'changes')!);
  return {
    signed: { id, intent, bytes, digest: sha256Hex(bytes) },
    checks: [
      { author, keyEpoch: intent.keyEpoch, message: signedMessage('intent', payload), signature },
    ],
  };
}

/** In the clothes of an intent, in which everything travels and waits. */
function asIntent(read: ReadStatement, bytes: Uint8Array): ReadIntent {
  const { statement, nodeId: author, time, digest, checks } = read;
  const intent: Intent = { author, sequence: 0, time, changes: [], keyEpoch: 0 };
  return { signed: { id: digest, intent, bytes, digest, statement }, checks };
}
