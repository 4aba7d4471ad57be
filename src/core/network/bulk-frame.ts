/**
 * How a bulk stream is written: pieces of u32 length and bytes, then the end mark or a failure.
 * The end of the libp2p stream itself proves nothing: a connection that closes in an orderly way
 * ends all its streams in the same way as a sender that has finished. Pure; big-endian.
 */
import { AegisError } from '../errors.ts';
import { openFailure } from './rpc-frame.ts';

/** In place of a length; written literally. */
export const MARK = { end: 0, failure: 0xffffffff } as const;

const PREFIX_BYTES = 4;
const FAILURE_MAX_BYTES = 4096;

export function prefix(value: number): Uint8Array {
  const bytes = new Uint8Array(PREFIX_BYTES);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

export type BulkState = 'open' | 'ended' | 'failed';

/** Push parser: gives the bytes of the pieces back without copying, and knows how it ended. */
export class BulkDecoder {
  readonly #maxBytes: number;
  readonly #prefix = new Uint8Array(PREFIX_BYTES);
  #have = 0;
  #missing = 0;
  #totalBytes = 0;
  #failure: Uint8Array[] = [];
  #failureBytes = 0;
  state: BulkState = 'open';

  /** @param options.maxBytes of all pieces together. */
  constructor(options: { maxBytes: number }) {
    this.#maxBytes = options.maxBytes;
  }

  /** @throws {AegisError} `TOO_LARGE`, `BAD_ENCODING`. */
  push(chunk: Uint8Array): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    let rest = chunk;
    while (rest.byteLength > 0) {
      if (this.state === 'ended') {
        throw new AegisError('BAD_ENCODING', 'bytes follow the end of a bulk stream');
      }
      if (this.state === 'failed') {
        this.#keepFailure(rest);
        return pieces;
      }
      if (this.#missing > 0) {
        const piece = rest.subarray(0, this.#missing);
        this.#missing -= piece.byteLength;
        pieces.push(piece);
        rest = rest.subarray(piece.byteLength);
      } else {
        const part = rest.subarray(0, PREFIX_BYTES - this.#have);
        this.#prefix.set(part, this.#have);
        this.#have += part.byteLength;
        rest = rest.subarray(part.byteLength);
        if (this.#have === PREFIX_BYTES) this.#open();
      }
    }
    return pieces;
  }

  /** What the sender gave as the reason. @returns an error in every case. */
  failure(): AegisError {
    try {
      return openFailure(Buffer.concat(this.#failure));
    } catch (error) {
      return new AegisError('BAD_ENCODING', 'a bulk stream failed without a readable reason', {
        cause: error,
      });
    }
  }

  #open(): void {
    this.#have = 0;
    const value = new DataView(this.#prefix.buffer).getUint32(0);
    if (value === MARK.end) this.state = 'ended';
    else if (value === MARK.failure) this.state = 'failed';
    else {
      this.#totalBytes += value;
      if (this.#totalBytes > this.#maxBytes) {
        throw new AegisError('TOO_LARGE', `a bulk stream over its ${this.#maxBytes} bytes`);
      }
      this.#missing = value;
    }
  }

  #keepFailure(bytes: Uint8Array): void {
    this.#failureBytes += bytes.byteLength;
    if (this.#failureBytes > FAILURE_MAX_BYTES) {
      throw new AegisError('TOO_LARGE', 'the reason of a failed bulk stream is too long');
    }
    this.#failure.push(bytes);
  }
}
