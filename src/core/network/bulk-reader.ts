/**
 * The reading end of a bulk stream as an async iterable. Holds at most a window of bytes: when the
 * consumer is slow the stream is paused, and the sender stops when its window is used up.
 */
import type { Stream } from '@libp2p/interface';
import { AegisError, toAegisError } from '../errors.ts';
import { MIB } from '../units.ts';
import { openFailure } from './rpc-frame.ts';
import { cutOff, onBytes } from './stream-io.ts';

export interface BulkReaderOptions {
  readonly idleTimeoutMs: number;
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

export interface BulkReaderDeps {
  readonly stream: Stream;
  onBytes(count: number): void;
  /** Called once, when the stream is done with. */
  onEnd(): void;
}

const PAUSE_ABOVE_BYTES = 2 * MIB;
const RESUME_BELOW_BYTES = MIB;
const FAILURE_MAX_BYTES = 4096;

export class BulkReader implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array, undefined> {
  readonly #options: BulkReaderOptions;
  readonly #deps: BulkReaderDeps;
  readonly #stream: Stream;
  readonly #stopReading: () => void;
  #chunks: Uint8Array[] = [];
  readonly #failureParts: Uint8Array[] = [];
  #heldBytes = 0;
  #totalBytes = 0;
  /** `undefined` until the first byte has said how the stream goes on. */
  #failing: boolean | undefined;
  #finished = false;
  #sawEnd = false;
  #failure: AegisError | undefined;
  #wake: (() => void) | undefined;
  #timer: NodeJS.Timeout;

  constructor(options: BulkReaderOptions, deps: BulkReaderDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#stream = deps.stream;
    this.#timer = this.#arm();
    this.#stopReading = onBytes(deps.stream, (bytes) => this.#receive(bytes));
    deps.stream.addEventListener('remoteCloseWrite', this.#onRemoteEnd);
    deps.stream.addEventListener('end', this.#onEnd);
    deps.stream.addEventListener('close', this.#onClose);
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (options.signal?.aborted === true) this.#onAbort();
    else if (deps.stream.remoteWriteStatus === 'closed') this.#onRemoteEnd();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#heldBytes -= chunk.byteLength;
        this.#resume();
        return { done: false, value: chunk };
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#finished) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The consumer wants no more: the sender is told at once. */
  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#fail(new AegisError('INTERRUPTED', 'the transfer was cancelled'));
    this.#chunks = [];
    return { done: true, value: undefined };
  }

  #receive(bytes: Uint8Array): void {
    if (bytes.byteLength === 0 || this.#finished || this.#failure !== undefined) return;
    this.#timer.refresh();
    this.#deps.onBytes(bytes.byteLength);
    let body = bytes;
    if (this.#failing === undefined) {
      const status = bytes[0]!;
      if (status > 1) {
        return this.#fail(new AegisError('BAD_ENCODING', 'a bulk stream with a wrong status'));
      }
      this.#failing = status === 1;
      body = bytes.subarray(1);
    }
    this.#totalBytes += body.byteLength;
    const limit = this.#failing ? FAILURE_MAX_BYTES : this.#options.maxBytes;
    if (this.#totalBytes > limit) {
      return this.#fail(new AegisError('TOO_LARGE', `a bulk stream over its ${limit} bytes`));
    }
    if (body.byteLength === 0) return;
    if (this.#failing) {
      this.#failureParts.push(body);
      return;
    }
    this.#chunks.push(body);
    this.#heldBytes += body.byteLength;
    if (this.#heldBytes > PAUSE_ABOVE_BYTES && this.#stream.readStatus === 'readable') {
      this.#stream.pause();
      // From here on it is the consumer that is slow, not the peer.
      clearTimeout(this.#timer);
    }
    this.#notify();
  }

  #resume(): void {
    if (this.#heldBytes > RESUME_BELOW_BYTES || this.#stream.readStatus !== 'paused') return;
    this.#timer = this.#arm();
    this.#stream.resume();
  }

  #arm(): NodeJS.Timeout {
    const { idleTimeoutMs } = this.#options;
    return setTimeout(() => {
      this.#fail(new AegisError('STALLED', `the other node sent no byte for ${idleTimeoutMs} ms`));
    }, idleTimeoutMs);
  }

  readonly #onRemoteEnd = (): void => {
    this.#sawEnd = true;
    if (this.#stream.readBufferLength === 0) this.#onEnd();
  };

  /** All that was sent has been read; without the sender's own end mark it was cut short. */
  readonly #onEnd = (): void => {
    if (!this.#sawEnd) return this.#fail(cutOff());
    if (this.#failing === undefined) return this.#fail(cutOff());
    if (this.#failing) return this.#fail(this.#remoteFailure());
    this.#finish();
  };

  readonly #onClose = (): void => {
    if (!this.#sawEnd) this.#fail(cutOff());
    else if (this.#stream.readBufferLength === 0) this.#onEnd();
  };

  readonly #onAbort = (): void => {
    this.#fail(new AegisError('INTERRUPTED', 'the transfer was cancelled'));
  };

  #remoteFailure(): AegisError {
    try {
      return openFailure(Buffer.concat(this.#failureParts));
    } catch (error) {
      return toAegisError(error);
    }
  }

  #finish(): void {
    if (this.#finished || this.#failure !== undefined) return;
    this.#finished = true;
    this.#cleanUp();
  }

  #fail(error: AegisError): void {
    if (this.#finished || this.#failure !== undefined) return;
    this.#failure = error;
    this.#cleanUp();
    this.#stream.abort(error);
  }

  #cleanUp(): void {
    clearTimeout(this.#timer);
    this.#stopReading();
    this.#stream.removeEventListener('remoteCloseWrite', this.#onRemoteEnd);
    this.#stream.removeEventListener('end', this.#onEnd);
    this.#stream.removeEventListener('close', this.#onClose);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#deps.onEnd();
    this.#notify();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
