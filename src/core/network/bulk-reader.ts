/**
 * The reading end of a bulk stream as an async iterable. Holds at most a window of bytes: when the
 * consumer is slow the stream is paused, and the sender stops when its window is used up.
 */
import type { Stream } from '@libp2p/interface';
import { AegisError, toAegisError } from '../errors.ts';
import { KIB, MIB } from '../units.ts';
import { BulkDecoder } from './bulk-frame.ts';
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

/** Fewer bytes than this in one idle time count as none: a drip would hold a stream for ever. */
const PROGRESS_BYTES = 64 * KIB;
const PAUSE_ABOVE_BYTES = 2 * MIB;
const RESUME_BELOW_BYTES = MIB;

export class BulkReader implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array, undefined> {
  readonly #options: BulkReaderOptions;
  readonly #deps: BulkReaderDeps;
  readonly #stream: Stream;
  readonly #stopReading: () => void;
  #chunks: Uint8Array[] = [];
  readonly #decoder: BulkDecoder;
  #heldBytes = 0;
  #progressBytes = 0;
  #finished = false;
  #failure: AegisError | undefined;
  #wake: (() => void) | undefined;
  #timer: NodeJS.Timeout;

  constructor(options: BulkReaderOptions, deps: BulkReaderDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#stream = deps.stream;
    this.#decoder = new BulkDecoder({ maxBytes: options.maxBytes });
    this.#timer = this.#arm();
    this.#stopReading = onBytes(deps.stream, (bytes) => this.#receive(bytes));
    deps.stream.addEventListener('end', this.#onEnd);
    deps.stream.addEventListener('close', this.#onClose);
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (options.signal?.aborted === true) this.#onAbort();
    else if (deps.stream.readableEnded) this.#onClose();
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
    this.#progressBytes += bytes.byteLength;
    if (this.#progressBytes >= PROGRESS_BYTES) {
      this.#progressBytes = 0;
      this.#timer.refresh();
    }
    this.#deps.onBytes(bytes.byteLength);
    let pieces: Uint8Array[];
    try {
      pieces = this.#decoder.push(bytes);
    } catch (error) {
      return this.#fail(toAegisError(error));
    }
    for (const piece of pieces) {
      this.#chunks.push(piece);
      this.#heldBytes += piece.byteLength;
    }
    if (this.#decoder.state === 'ended') return this.#finish();
    if (this.#heldBytes > PAUSE_ABOVE_BYTES && this.#stream.readStatus === 'readable') {
      this.#stream.pause();
      // From here on it is the consumer that is slow, not the peer.
      clearTimeout(this.#timer);
    }
    this.#notify();
  }

  #resume(): void {
    if (this.#finished || this.#failure !== undefined) return;
    if (this.#heldBytes > RESUME_BELOW_BYTES || this.#stream.readStatus !== 'paused') return;
    this.#timer = this.#arm();
    this.#stream.resume();
  }

  #arm(): NodeJS.Timeout {
    const { idleTimeoutMs } = this.#options;
    this.#progressBytes = 0;
    return setTimeout(() => {
      const what = `the other node sent next to nothing for ${idleTimeoutMs} ms`;
      this.#fail(new AegisError('STALLED', what));
    }, idleTimeoutMs);
  }

  /** No more bytes will come; without the sender's own end mark they were cut short. */
  readonly #onEnd = (): void => {
    this.#fail(this.#decoder.state === 'failed' ? this.#decoder.failure() : cutOff());
  };

  readonly #onClose = (): void => {
    if (this.#stream.readBufferLength === 0) this.#onEnd();
  };

  readonly #onAbort = (): void => {
    this.#fail(new AegisError('INTERRUPTED', 'the transfer was cancelled'));
  };

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
