/**
 * How a node and its signer talk: frames over a unix socket. A frame is its length (4 bytes, big
 * endian), the version (1), the number of the request (4), and a body in dag-cbor: a list. Number
 * 0 is for what nobody asked: the signer tells it when its keys change. This file opens no socket.
 */
import { AegisError } from '../errors.ts';
import type { ConsensusKeys } from '../model/bundle.ts';
import { decode, encode } from '../model/cbor.ts';

export const SIGNER_PROTOCOL = 1;
/** An intent has 64 KiB; nothing longer is signed. */
export const SIGNER_FRAME_BYTES_MAX = 72 * 1024;
/** The number of what was not asked for. */
export const NOTICE_ID = 0;

const LENGTH_BYTES = 4;
const HEAD_BYTES = 1 + 4;
const WHY_CHARS_MAX = 200;
const KEY_BYTES_MAX = 48;
const KEYS_MAX = 4;
/** Entries of a succession in one request. */
export const FOLLOW_ENTRIES_MAX = 16;

export const OPERATIONS = ['describe', 'vote', 'sign', 'prove', 'follow'] as const;
type Operation = (typeof OPERATIONS)[number];

/** Why nothing was signed. The connection stays. */
export const REFUSALS = ['DOUBLE_SIGN', 'UNKNOWN_KEY', 'BAD_FORM', 'LOCKED', 'RATE'] as const;
export type SignerRefusal = (typeof REFUSALS)[number];

export interface SignerRequest {
  readonly op: Operation;
  /** The public key to sign with; empty for `describe` and `follow`. */
  readonly key: Uint8Array;
  /** The message; empty for `describe`. For `follow` a list of signed entries. */
  readonly payload: Uint8Array;
}

export type SignerReply =
  | { readonly type: 'done'; readonly bytes: Uint8Array }
  | { readonly type: 'refused'; readonly refusal: SignerRefusal; readonly why: string };

/** What a signer holds, in public parts. */
export interface SignerDescription {
  readonly nodeId: string;
  /** The signed inception entry. */
  readonly inception: Uint8Array;
  /** The keys of consensus from before the first entry. */
  readonly origin: ConsensusKeys;
  /** Entries of the succession that the signer knows to be final. */
  readonly number: number;
  /** The signed entry of a rotation that is prepared there; empty: none is. */
  readonly pending: Uint8Array;
  readonly identity: readonly Uint8Array[];
  readonly consensus: readonly Uint8Array[];
  readonly vrf: readonly Uint8Array[];
}

export interface SignerFrame {
  readonly version: number;
  readonly id: number;
  readonly body: Uint8Array;
}

/** One frame as it travels. */
export function frameOf(id: number, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(LENGTH_BYTES + HEAD_BYTES + body.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, HEAD_BYTES + body.length);
  view.setUint8(LENGTH_BYTES, SIGNER_PROTOCOL);
  view.setUint32(LENGTH_BYTES + 1, id);
  frame.set(body, LENGTH_BYTES + HEAD_BYTES);
  return frame;
}

/** Cuts a stream into frames. */
export class SignerFrames {
  #rest: Buffer = Buffer.alloc(0);

  /** @throws {AegisError} `TOO_LARGE`, `BAD_ENCODING`: where the next frame begins is not known. */
  push(bytes: Buffer): SignerFrame[] {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const frames: SignerFrame[] = [];
    while (this.#rest.length >= LENGTH_BYTES) {
      const length = this.#rest.readUInt32BE(0);
      if (length > SIGNER_FRAME_BYTES_MAX) {
        throw new AegisError('TOO_LARGE', `a frame of a signer has ${length} bytes`);
      }
      if (length < HEAD_BYTES) {
        throw new AegisError('BAD_ENCODING', 'a frame of a signer has no head');
      }
      const end = LENGTH_BYTES + length;
      if (this.#rest.length < end) break;
      const version = this.#rest.readUInt8(LENGTH_BYTES);
      const id = this.#rest.readUInt32BE(LENGTH_BYTES + 1);
      const body = new Uint8Array(this.#rest.subarray(LENGTH_BYTES + HEAD_BYTES, end));
      frames.push({ version, id, body });
      this.#rest = this.#rest.subarray(end);
    }
    return frames;
  }
}

export const encodeRequest = ({ op, key, payload }: SignerRequest): Uint8Array =>
  encode([op, key, payload]);

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeRequest(body: Uint8Array): SignerRequest {
  const [op, key, payload] = listOf(body, 3);
  const known = OPERATIONS.find((name) => name === op);
  if (known === undefined) throw bad('asks for something unknown');
  return { op: known, key: bytesOf(key, KEY_BYTES_MAX), payload: bytesOf(payload) };
}

export const encodeReply = (reply: SignerReply): Uint8Array =>
  encode(
    reply.type === 'done'
      ? ['done', reply.bytes, null]
      : ['refused', reply.refusal, reply.why.slice(0, WHY_CHARS_MAX)],
  );

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeReply(body: Uint8Array): SignerReply {
  const [type, first, why] = listOf(body, 3);
  if (type === 'done') return { type, bytes: bytesOf(first) };
  const refusal = REFUSALS.find((name) => name === first);
  if (type !== 'refused' || refusal === undefined) throw bad('refuses in an unknown way');
  if (typeof why !== 'string' || why.length > WHY_CHARS_MAX) throw bad('tells no why');
  return { type, refusal, why };
}

export function encodeDescription(told: SignerDescription): Uint8Array {
  const { consensusKey, possession, vrfKey } = told.origin;
  const origin = [consensusKey, possession, vrfKey];
  const { nodeId, inception, number, pending, identity, consensus, vrf } = told;
  return encode([nodeId, inception, origin, number, pending, identity, consensus, vrf]);
}

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeDescription(bytes: Uint8Array): SignerDescription {
  const [nodeId, inception, origin, number, pending, identity, consensus, vrf] = listOf(bytes, 8);
  const [consensusKey, possession, vrfKey] = bytesList(origin, 3);
  if (!consensusKey || !possession || !vrfKey) throw bad('names no keys of consensus');
  if (typeof nodeId !== 'string' || nodeId.length > 128) throw bad('names no node');
  if (!Number.isSafeInteger(number) || (number as number) < 0) throw bad('has no number');
  return {
    nodeId,
    inception: bytesOf(inception),
    origin: { consensusKey, possession, vrfKey },
    number: number as number,
    pending: bytesOf(pending),
    identity: bytesList(identity, KEYS_MAX),
    consensus: bytesList(consensus, KEYS_MAX),
    vrf: bytesList(vrf, KEYS_MAX),
  };
}

export const encodeEntries = (entries: readonly Uint8Array[]): Uint8Array => encode(entries);

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export const decodeEntries = (payload: Uint8Array): readonly Uint8Array[] =>
  bytesList(decode(payload, { maxBytes: SIGNER_FRAME_BYTES_MAX }), FOLLOW_ENTRIES_MAX);

const bad = (why: string): AegisError =>
  new AegisError('BAD_ENCODING', `a message between a node and its signer ${why}`);

function listOf(bytes: Uint8Array, count: number): readonly unknown[] {
  const value = decode(bytes, { maxBytes: SIGNER_FRAME_BYTES_MAX });
  if (!Array.isArray(value) || value.length !== count) throw bad(`is no list of ${count}`);
  return value;
}

function bytesOf(value: unknown, maxBytes = SIGNER_FRAME_BYTES_MAX): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length > maxBytes) throw bad('lacks bytes');
  return value;
}

function bytesList(value: unknown, max: number): Uint8Array[] {
  if (!Array.isArray(value) || value.length > max) throw bad('lacks a list of bytes');
  return value.map((item) => bytesOf(item));
}
