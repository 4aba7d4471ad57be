/**
 * W22: what is asked and answered in an audit of possession. The question names an object and a
 * number that nobody knew before, so that the answer cannot be had without the bytes of the
 * object. Who asks whom for what, and what follows from it, is not known here.
 */
import type { CID } from 'multiformats/cid';
import { decode, encode } from '../model/cbor.ts';
import { RecordReader } from '../model/record.ts';
import type { Hasher } from '../ports.ts';

export interface Challenge {
  /** Confirmed by the node that is asked. */
  readonly root: CID;
  /** Of the root, or the root itself. */
  readonly object: CID;
  readonly nonce: Uint8Array;
}

export const NONCE_BYTES = 32;
export const CHALLENGE_BYTES_MAX = 512;
/** Answers that did not come, in a row, from a node that is connected. */
export const SILENCES_MAX = 3;

export const encodeChallenge = ({ root, object, nonce }: Challenge): Uint8Array =>
  encode({ v: 1, type: 'kb-challenge', root, object, nonce });

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeChallenge(bytes: Uint8Array): Challenge {
  const value = decode(bytes, { maxBytes: CHALLENGE_BYTES_MAX });
  const record = new RecordReader(value, 'kb-challenge', ['root', 'object', 'nonce']);
  return {
    root: record.cid('root'),
    object: record.cid('object'),
    nonce: record.bytes('nonce', { length: NONCE_BYTES }),
  };
}

/** `BLAKE3(nonce || object)` */
export const answerOf = (
  blake3: Pick<Hasher, 'digest'>,
  nonce: Uint8Array,
  object: Uint8Array,
): Uint8Array => blake3.digest(Buffer.concat([nonce, object]));

/** Counts, by node, audits in a row to which there was no answer. */
export class Silences {
  readonly #counts = new Map<string, number>();

  answered(nodeId: string): void {
    this.#counts.delete(nodeId);
  }

  /** @returns whether that was once too often. */
  silent(nodeId: string): boolean {
    const count = (this.#counts.get(nodeId) ?? 0) + 1;
    this.#counts.set(nodeId, count);
    return count >= SILENCES_MAX;
  }
}
