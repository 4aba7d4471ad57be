/**
 * Watches the frames of the muxer as they arrive. @libp2p/yamux collects a data frame whole before
 * it looks at its window, so a member could announce 4 GiB and be believed; here such a connection
 * ends at the header. Frames that open streams are counted: whoever opens too many is not read for
 * a while, and a connection that opens hundreds at once ends before the muxer answers each of
 * them. It changes nothing and keeps nothing but the header.
 *
 * Frames as in the yamux specification: version u8, type u8, flags u16, stream u32, length u32.
 */
import type { MessageStream, StreamMessageEvent } from '@libp2p/interface';
import { AegisError, toAegisError } from '../errors.ts';
import type { Clock } from '../ports.ts';
import { Brake } from './brake.ts';

const HEADER_BYTES = 12;
const TYPE_AT = 1;
const FLAGS_AT = 2;
const LENGTH_AT = 8;
const DATA = 0;
const WINDOW_UPDATE = 1;
/** The first frame of a stream. */
const SYN = 1;

/** Push parser over the headers. */
export class MuxerGuard {
  readonly #maxBytes: number;
  readonly #header = new Uint8Array(HEADER_BYTES);
  #have = 0;
  #skip = 0;
  #opened = 0;

  /** @param options.maxBytes longest data frame: the largest window that we ever grant. */
  constructor(options: { maxBytes: number }) {
    this.#maxBytes = options.maxBytes;
  }

  /** Streams that the other side has opened since this was asked last. */
  takeOpened(): number {
    const opened = this.#opened;
    this.#opened = 0;
    return opened;
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
    const type = this.#header[TYPE_AT];
    const view = new DataView(this.#header.buffer);
    const isOfStream = type === DATA || type === WINDOW_UPDATE;
    if (isOfStream && (view.getUint16(FLAGS_AT) & SYN) !== 0) this.#opened += 1;
    if (type !== DATA) return;
    const length = view.getUint32(LENGTH_AT);
    if (length > this.#maxBytes) {
      throw new AegisError(
        'TOO_LARGE',
        `a muxer frame of ${length} bytes is over the limit of ${this.#maxBytes}`,
      );
    }
    this.#skip = length;
  }
}

export interface MuxerGuardDeps {
  readonly clock: Clock;
  /** The other side has opened streams. @returns for how long it is not to be read. */
  opened(count: number): number;
}

/**
 * Ends the connection at the first frame that is too long. Call before the muxer is made.
 * @param options.openedMax streams that may be opened in what arrives at once.
 */
export function guardMuxer(
  stream: MessageStream,
  options: { maxBytes: number; openedMax: number },
  deps: MuxerGuardDeps,
): void {
  const guard = new MuxerGuard(options);
  const brake = new Brake(stream, deps);
  const onMessage = (event: StreamMessageEvent): void => {
    const { data } = event;
    try {
      if (data instanceof Uint8Array) guard.push(data);
      else for (const part of data) guard.push(part);
      const opened = guard.takeOpened();
      if (opened > 0) {
        const waitMs = deps.opened(opened);
        if (opened > options.openedMax) throw tooMany(opened, options.openedMax);
        if (waitMs > 0) brake.rest(waitMs);
      }
    } catch (error) {
      stream.removeEventListener('message', onMessage);
      event.stopImmediatePropagation();
      stream.abort(toAegisError(error));
    }
  };
  stream.addEventListener('message', onMessage);
}

const tooMany = (opened: number, most: number): AegisError =>
  new AegisError('TOO_LARGE', `${opened} streams opened at once, where ${most} may be`);
