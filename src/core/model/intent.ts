/**
 * An intent: what a member asks the cluster to do, signed by its identity key. It moves refs, all
 * of its changes or none. Here stands only whether the bytes are one; whether the changes apply is
 * for `chain/` to say. It names the cluster, so that it fits no other one. Statements stand in its
 * place in a block, with an authority of their own.
 */
import type { CID } from 'multiformats/cid';
import { sha256Hex } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import type { Signer } from '../ports.ts';
import { type Verified, verified } from '../units.ts';
import { decode, encode, fieldBytes } from './cbor.ts';
import { isNodeId } from './identity.ts';
import { PATH_BYTES_MAX, parsePath } from './path.ts';
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
import { checkParents, isVersionCid, PARENTS_MAX, sortParents } from './version.ts';

/** Longest signed intent. */
export const INTENT_BYTES_MAX = 64 * 1024;
export const CHANGES_MAX = 256;

/** One ref moves to one version. */
export interface Change {
  readonly path: string;
  /** The new head. */
  readonly version: CID;
  /** The versions that it follows, which are heads no more, in the order of their text. */
  readonly parents: readonly CID[];
  /** That of the version. */
  readonly generation: number;
  readonly deleted?: boolean;
  /** Compare-and-swap: the one head that must be there, or null when none may be. */
  readonly expected?: CID | null;
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
const CHANGE_NAMES = ['path', 'version', 'parents', 'generation', 'deleted', 'expected'];

const badIntent = (why: string): AegisError => new AegisError('BAD_ENCODING', `the intent ${why}`);

const canonical = (changes: readonly Change[]): Change[] =>
  changes.map((change) => ({ ...change, parents: sortParents(change.parents) }));

/** The id that the intent of an author with these changes has. */
export const intentIdOf = (clusterId: string, author: string, changes: readonly Change[]): string =>
  idOf(clusterId, author, encode(canonical(changes)));

/** Of the list of cluster, author and changes; these are encoded already. */
function idOf(clusterId: string, author: string, changes: Uint8Array): string {
  // The list stands last, so that its encoding ends that of the three.
  const head = encode([clusterId, author, 0]).slice(0, -1);
  return sha256Hex(Buffer.concat([head, changes]));
}

/** Makes a signed intent. `signer` holds the identity key of the author in its key epoch. */
export function createIntent(
  intent: IntentFields,
  clusterId: string,
  signer: Signer,
): Verified<SignedIntent> {
  const { author, sequence, time, keyEpoch = 0 } = intent;
  const changes = canonical(intent.changes);
  // Left out when it is 0, so that an intent has one encoding, and the same as ever.
  const epoch = keyEpoch === 0 ? {} : { keyEpoch };
  const record = { v: 1, type: 'intent', clusterId, author, sequence, time, changes, ...epoch };
  return verified(readIntent(signRecord(record, signer), clusterId).signed);
}

/** An intent or a statement that has been read, and what has to be verified before it counts. */
interface ReadIntent {
  readonly signed: SignedIntent;
  readonly checks: readonly SignatureCheck[];
}

/**
 * Reads the bytes of an intent or of a statement. No signature is verified: that is the caller's,
 * off the loop.
 * @throws {AegisError} `BAD_ENCODING` (also for one of another cluster), `TOO_LARGE`, `BAD_DATA`
 * for an admission with a succession that does not hang together.
 */
export function readIntent(bytes: Uint8Array, clusterId: string): ReadIntent {
  const whole = decode(bytes, { maxBytes: INTENT_BYTES_MAX + ENVELOPE_BYTES_MAX });
  if (isDuplicity(whole)) return asIntent(readDuplicity(whole, bytes), bytes);
  const { payload, signature } = signedOf(whole);
  const value = decode(payload, { maxBytes: INTENT_BYTES_MAX });
  const type = statementTypeOf(value);
  if (type !== undefined) return asIntent(readStatement(type, bytes, clusterId), bytes);
  const record = new RecordReader(value, 'intent', NAMES);
  if (record.text('clusterId', { maxBytes: 64 }) !== clusterId) {
    throw badIntent('is for another cluster');
  }
  const author = record.text('author', { maxBytes: 64 });
  if (!isNodeId(author)) throw badIntent('has an author that is not a node id');
  const changes = record.list('changes', CHANGES_MAX);
  const intent: Intent = {
    author,
    sequence: record.integer('sequence', 1),
    time: record.time('time'),
    changes: changes.map(readChange),
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

function readChange(value: unknown): Change {
  const record = new RecordReader(value, 'change', CHANGE_NAMES, null);
  const version = record.cid('version');
  if (!isVersionCid(version)) throw badIntent('moves a path to what is no version');
  const expected = record.has('expected') ? record.cidOrNull('expected') : undefined;
  if (expected && !isVersionCid(expected)) throw badIntent('expects what is no version');
  const deleted = record.has('deleted') ? record.flag('deleted') : undefined;
  return {
    path: readPath(record.text('path', { maxBytes: PATH_BYTES_MAX })),
    version,
    parents: checkParents(record.cids('parents', PARENTS_MAX), badIntent),
    generation: record.integer('generation', 1),
    ...(deleted === undefined ? {} : { deleted }),
    ...(expected === undefined ? {} : { expected }),
  };
}

/** What arrives is malformed; only what an operator gives is a bad request. */
function readPath(text: string): string {
  try {
    return parsePath(text);
  } catch (error) {
    throw badIntent(`has a bad path: ${(error as Error).message}`);
  }
}
