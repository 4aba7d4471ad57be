/**
 * Several fetch requests as one, for small roots: a stream for each would cost far more than their
 * bytes. The answer has one frame for each request, in their order: u32 length, and the CAR that
 * the request alone would get, cut after `batchRootBytes`. A holder may end after any frame; what
 * it has left out is asked for alone. Who may have what is not known here.
 */
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { LIMITS } from './limits.ts';
import { type FetchRequest, readFetchRequest } from './request.ts';

const PREFIX_BYTES = 4;
/** CBOR around each request, and around all. */
const OVERHEAD_BYTES = 8;
const OUTER_BYTES = 64;

/** Whether `request` fits into one batch with those of before, of so many bytes. */
export const fitsBatch = (count: number, bytes: number, request: Uint8Array): boolean =>
  count < LIMITS.batchRequests &&
  OUTER_BYTES + bytes + request.length + (count + 1) * OVERHEAD_BYTES <= LIMITS.requestBytes;

export function encodeFetchBatch(requests: readonly Uint8Array[]): Uint8Array {
  return encode({
    v: 1,
    type: 'kb-fetch-batch',
    requests: requests.map((bytes) => Uint8Array.from(bytes)),
  });
}

/**
 * Reads one request, or a batch of them.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`.
 */
export function decodeFetch(bytes: Uint8Array): { requests: FetchRequest[]; isBatch: boolean } {
  const value = decode(bytes, { maxBytes: LIMITS.requestBytes });
  const { v, type, requests } = (value ?? {}) as Record<string, unknown>;
  if (type !== 'kb-fetch-batch') return { requests: [readFetchRequest(value)], isBatch: false };
  if (v !== 1) throw bad('of an unknown version');
  if (!Array.isArray(requests) || requests.length === 0) throw bad('without requests');
  if (requests.length > LIMITS.batchRequests)
    throw bad(`with more than ${LIMITS.batchRequests} requests`);
  const read = requests.map((request: unknown) => {
    if (!(request instanceof Uint8Array)) throw bad('with a request that is none');
    return readFetchRequest(decode(request, { maxBytes: LIMITS.requestBytes }));
  });
  return { requests: read, isBatch: true };
}

const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `a fetch batch ${why}`);

/** The frame of one request: its CAR. */
export function encodeAnswer(car: readonly Uint8Array[]): Uint8Array {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(car.reduce((sum, chunk) => sum + chunk.length, 0));
  return Buffer.concat([prefix, ...car]);
}

/** Cuts an answer into its frames. After it has thrown it takes nothing more. */
export class BatchAnswers {
  /** Frames that are still to come. */
  #left: number;
  /** Bytes that may still come: no holder goes on for long after `batchAnswerBytes`. */
  #room: number = LIMITS.batchAnswerBytes + LIMITS.batchFrameBytes;
  #parts: Uint8Array[] = [];
  #heldBytes = 0;
  /** Of the frame that is coming; undefined until its prefix is here. */
  #frameBytes: number | undefined;

  constructor(count: number) {
    this.#left = count;
  }

  /** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#room -= chunk.length;
    if (this.#room < 0) throw new AegisError('TOO_LARGE', 'an answer beyond what a batch may get');
    if (this.#left === 0 && chunk.length > 0) throw bad('was answered with too many frames');
    this.#parts.push(chunk);
    this.#heldBytes += chunk.length;
    const frames: Uint8Array[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  /** @throws {AegisError} `BAD_ENCODING` when the answer ends within a frame. */
  end(): void {
    if (this.#heldBytes > 0 || this.#frameBytes !== undefined) throw bad('was answered in part');
  }

  #next(): Uint8Array | undefined {
    if (this.#frameBytes === undefined) {
      if (this.#heldBytes < PREFIX_BYTES) return undefined;
      if (this.#left === 0) throw bad('was answered with too many frames');
      this.#frameBytes = Buffer.from(this.#take(PREFIX_BYTES)).readUInt32BE();
      if (this.#frameBytes === 0) throw bad('was answered with an empty frame');
      if (this.#frameBytes > LIMITS.batchFrameBytes)
        throw new AegisError('TOO_LARGE', `a frame of ${this.#frameBytes} bytes`);
    }
    if (this.#heldBytes < this.#frameBytes) return undefined;
    const frame = this.#take(this.#frameBytes);
    this.#frameBytes = undefined;
    this.#left -= 1;
    return frame;
  }

  #take(length: number): Uint8Array {
    assert(length <= this.#heldBytes, 'no more is taken than has come');
    const all = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    const rest = all.subarray(length);
    this.#parts = rest.length === 0 ? [] : [rest];
    this.#heldBytes = rest.length;
    return all.subarray(0, length);
  }
}
