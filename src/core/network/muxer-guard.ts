/**
 * Watches the frames of the muxer as they arrive. @libp2p/yamux collects a data frame whole before
 * it looks at its window, so a member could announce 4 GiB and be believed; here such a connection
 * ends at the header. It changes nothing and keeps nothing but the header.
 *
 * Frames as in the yamux specification: version u8, type u8, flags u16, stream u32, length u32.
 */
import type { MessageStream, StreamMessageEvent } from '@libp2p/interface';
import { AegisError, toAegisError } from '../errors.ts';

const HEADER_BYTES = 12;
const TYPE_AT = 1;
const LENGTH_AT = 8;
const DATA = 0;

/** Push parser over the headers. */
export class MuxerGuard {
  readonly #maxBytes: number;
  readonly #header = new Uint8Array(HEADER_BYTES);
  #have = 0;
  #skip = 0;

  /** @param options.maxBytes longest data frame: the largest window that we ever grant. */
  constructor(options: { maxBytes: number }) {
    this.#maxBytes = options.maxBytes;
  }

  /** @throws {AegisError} `TOO_LARGE`. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.byteLength) {
      const skipped = Math.min(this.#skip, chunk.byteLength - at);
      this.#skip -= skipped;
      at += skipped;
      const part = chunk.subarray(at, at + HEADER_BYTES - this.#have);
      if (this.#skip > 0 || part.byteLength === 0) return;
      this.#header.set(part, this.#have);
      this.#have += part.byteLength;
      at += part.byteLength;
      if (this.#have === HEADER_BYTES) this.#open();
    }
  }

  #open(): void {
    this.#have = 0;
    if (this.#header[TYPE_AT] !== DATA) return;
    const length = new DataView(this.#header.buffer).getUint32(LENGTH_AT);
    if (length > this.#maxBytes) {
      throw new AegisError(
        'TOO_LARGE',
        `a muxer frame of ${length} bytes is over the limit of ${this.#maxBytes}`,
      );
    }
    this.#skip = length;
  }
}

/** Ends the connection at the first frame that is too long. Call before the muxer is made. */
export function guardMuxer(stream: MessageStream, options: { maxBytes: number }): void {
  const guard = new MuxerGuard(options);
  const onMessage = (event: StreamMessageEvent): void => {
    const { data } = event;
    try {
      if (data instanceof Uint8Array) guard.push(data);
      else for (const part of data) guard.push(part);
    } catch (error) {
      stream.removeEventListener('message', onMessage);
      stream.abort(toAegisError(error));
    }
  };
  stream.addEventListener('message', onMessage);
}
