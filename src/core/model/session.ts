/**
 * The certificate of a session key (X25519): who talks to the node during the next day encrypts to
 * it. Signed by the identity key, gossiped, never anchored. Which of several counts, and when the
 * next is made, is for their keeper to say.
 */
import { AegisError } from '../errors.ts';
import type { Signer } from '../ports.ts';
import { type Verified, verified } from '../units.ts';
import { decode } from './cbor.ts';
import { isNodeId } from './identity.ts';
import { RecordReader } from './record.ts';
import { checkSignature, openSigned, signRecord } from './signed.ts';

/** Longest signed certificate. */
export const SESSION_BYTES_MAX = 512;
/** A session key lasts a day, and one more for what is under way. */
export const SESSION_LIFETIME_MAX_MS = 48 * 3600 * 1000;

export interface Session {
  readonly nodeId: string;
  /** Of the identity key that signs. */
  readonly keyEpoch: number;
  /** Counts the session keys of the node: 1, 2, 3, ... */
  readonly number: number;
  /** X25519, 32 bytes. */
  readonly sessionKey: Uint8Array;
  /** Milliseconds since the Unix epoch, by the clock of the node. */
  readonly startsAt: number;
  readonly expiresAt: number;
}

export interface SignedSession {
  readonly session: Session;
  /** The signed bytes, as they travel. */
  readonly bytes: Uint8Array;
}

const NAMES = ['nodeId', 'keyEpoch', 'number', 'sessionKey', 'startsAt', 'expiresAt'];

const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `the session ${why}`);

/** Makes a signed certificate. `signer` holds the identity key of its key epoch. */
export function createSession(session: Session, signer: Signer): Verified<SignedSession> {
  const { nodeId, keyEpoch, number, sessionKey, startsAt, expiresAt } = session;
  const fields = { nodeId, keyEpoch, number, sessionKey, startsAt, expiresAt };
  const bytes = signRecord({ v: 1, type: 'session', ...fields }, signer);
  return openSession(bytes, () => signer.publicKey);
}

/**
 * @param keyOf the identity key of a node in a key epoch, or undefined when it has none.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `DENIED` for a key that is not known,
 * `BAD_SIGNATURE`.
 */
export function openSession(
  bytes: Uint8Array,
  keyOf: (nodeId: string, keyEpoch: number) => Uint8Array | undefined,
): Verified<SignedSession> {
  const signed = openSigned(bytes, { maxBytes: SESSION_BYTES_MAX });
  const session = readSession(decode(signed.payload, { maxBytes: SESSION_BYTES_MAX }));
  const key = keyOf(session.nodeId, session.keyEpoch);
  if (key === undefined) {
    throw new AegisError('DENIED', `no key certifies the session of ${session.nodeId}`);
  }
  checkSignature('session', signed, key);
  return verified({ session, bytes });
}

function readSession(value: unknown): Session {
  const record = new RecordReader(value, 'session', NAMES);
  const nodeId = record.text('nodeId', { maxBytes: 64 });
  if (!isNodeId(nodeId)) throw bad('is of what is not a node id');
  const session: Session = {
    nodeId,
    keyEpoch: record.integer('keyEpoch', 0),
    number: record.integer('number', 1),
    sessionKey: record.bytes('sessionKey', { length: 32 }),
    startsAt: record.time('startsAt'),
    expiresAt: record.time('expiresAt'),
  };
  const lifetimeMs = session.expiresAt - session.startsAt;
  if (lifetimeMs <= 0 || lifetimeMs > SESSION_LIFETIME_MAX_MS) {
    throw bad('does not end within 48 hours of its start');
  }
  return session;
}
