/** The writing end of a bulk stream: waits while the other side takes nothing. */
import type { Stream } from '@libp2p/interface';
import { toAegisError } from '../errors.ts';
import { KIB, MIB } from '../units.ts';
import { MARK, prefix } from './bulk-frame.ts';
import { encodeFailure } from './rpc-frame.ts';
import { drained, sendTo } from './stream-io.ts';

export interface BulkOut {
  /** Resolves when the next chunk may be written. @throws {AegisError} `STALLED` or cut. */
  write(chunk: Uint8Array): Promise<void>;
  /** Aborted when the other node has cancelled or is gone. */
  readonly signal: AbortSignal;
}

/** A writer waits when this much is on its way; below it the pipe to the peer may run dry. */
const WRITE_AHEAD_BYTES = MIB;
/** One write to the muxer; larger ones would keep small frames of other streams waiting. */
const SLICE_BYTES = 256 * KIB;
/** Up to this size a copy is cheaper than a write of its own for the prefix. */
const JOIN_BELOW_BYTES = 16 * KIB;

export interface BulkWriterDeps {
  readonly stream: Stream;
  readonly signal: AbortSignal;
  onBytes(count: number): void;
}

export class BulkWriter implements BulkOut {
  readonly signal: AbortSignal;
  readonly #stream: Stream;
  readonly #idleMs: number;
  readonly #onBytes: (count: number) => void;
  /** A piece has been announced and not written to its end. */
  #torn = false;

  constructor(options: { idleMs: number }, deps: BulkWriterDeps) {
    this.#idleMs = options.idleMs;
    this.#stream = deps.stream;
    this.signal = deps.signal;
    this.#onBytes = (count) => deps.onBytes(count);
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (chunk.byteLength === 0) return;
    this.#torn = true;
    await this.#piece(chunk);
    this.#torn = false;
  }

  async #piece(chunk: Uint8Array): Promise<void> {
    if (chunk.byteLength < JOIN_BELOW_BYTES) {
      await this.#send(Buffer.concat([prefix(chunk.byteLength), chunk]));
      return;
    }
    sendTo(this.#stream, prefix(chunk.byteLength));
    for (let at = 0; at < chunk.byteLength; at += SLICE_BYTES) {
      await this.#send(chunk.subarray(at, at + SLICE_BYTES));
    }
  }

  /** Everything has been written: the reader may take it for whole. */
  async end(): Promise<void> {
    await this.#close(prefix(MARK.end));
  }

  /** Tells the reader why there is no more, or cuts the stream where it can no longer be told. */
  async fail(error: unknown): Promise<void> {
    if (this.#torn) return this.#stream.abort(toAegisError(error));
    await this.#close(Buffer.concat([prefix(MARK.failure), encodeFailure(error)]));
  }

  async #close(last: Uint8Array): Promise<void> {
    sendTo(this.#stream, last);
    await drained(this.#stream, { maxBytes: 0, idleMs: this.#idleMs });
    await this.#stream.close({ signal: AbortSignal.timeout(this.#idleMs) });
  }

  async #send(bytes: Uint8Array): Promise<void> {
    sendTo(this.#stream, bytes);
    this.#onBytes(bytes.byteLength);
    if (this.#stream.writeBufferLength > WRITE_AHEAD_BYTES) {
      await drained(this.#stream, { maxBytes: WRITE_AHEAD_BYTES, idleMs: this.#idleMs });
    }
  }
}
