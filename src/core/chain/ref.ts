/**
 * What stands in the leaves of the state: refs and accounts, under keyed hashes of their names, so
 * that who holds a proof of one leaf learns no other name.
 */
import { CID } from 'multiformats/cid';
import { hmacSha256 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { bytesOfText, RecordReader } from '../model/record.ts';

export interface RefHead {
  readonly version: CID;
  readonly generation: number;
  readonly deleted?: boolean;
}

/** Where a path points. */
export interface RefState {
  /** At most 32, in the order of their text; more than one is a conflict that nobody has merged. */
  readonly heads: readonly RefHead[];
  /** The greatest that the ref has ever had. */
  readonly generation: number;
}

/** What the chain knows of an author. */
export interface Account {
  /** Of its last intent that was decided; 0 before the first. */
  readonly sequence: number;
}

export const HEADS_MAX = 32;
const STATE_VALUE_BYTES_MAX = 8192;

const keyOf = (clusterId: string, name: string): string =>
  Buffer.from(hmacSha256(bytesOfText(clusterId), bytesOfText(name))).toString('hex');

/** The key of a path in the state (hex): HMAC-SHA-256 keyed by the cluster id. */
export const refKey = (clusterId: string, path: string): string =>
  keyOf(clusterId, `aegis/ref/1\0${path}`);

/** The key of an author in the state (hex). */
export const accountKey = (clusterId: string, nodeId: string): string =>
  keyOf(clusterId, `aegis/account/1\0${nodeId}`);

export function encodeRef({ heads, generation }: RefState): Uint8Array {
  const list = heads.map((head) =>
    head.deleted === true ? [head.version, head.generation, true] : [head.version, head.generation],
  );
  return encode({ v: 1, type: 'ref', heads: list, generation });
}

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeRef(bytes: Uint8Array): RefState {
  const value = decode(bytes, { maxBytes: STATE_VALUE_BYTES_MAX });
  const record = new RecordReader(value, 'ref', ['heads', 'generation']);
  const heads = record.list('heads', HEADS_MAX).map(readHead);
  return { heads, generation: record.integer('generation', 1) };
}

function readHead(value: unknown): RefHead {
  const [version, generation, deleted, ...more] = Array.isArray(value) ? (value as unknown[]) : [];
  const cid = CID.asCID(version);
  const isSound = Number.isSafeInteger(generation) && (deleted === undefined || deleted === true);
  if (cid === null || !isSound || more.length > 0) {
    throw new AegisError('BAD_ENCODING', 'the ref has a head that is none');
  }
  return {
    version: cid,
    generation: generation as number,
    ...(deleted === true ? { deleted } : {}),
  };
}

export const encodeAccount = ({ sequence }: Account): Uint8Array =>
  encode({ v: 1, type: 'account', sequence });

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeAccount(bytes: Uint8Array): Account {
  const value = decode(bytes, { maxBytes: STATE_VALUE_BYTES_MAX });
  const record = new RecordReader(value, 'account', ['sequence']);
  return { sequence: record.integer('sequence', 1) };
}
