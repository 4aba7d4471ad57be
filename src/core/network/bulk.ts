/**
 * `/aegis/car/1`: one request frame, then one status byte and bytes until the end of the stream.
 * It moves bytes with back-pressure and notices a peer that stalls; what the bytes mean, and
 * whether they are true, is for the caller to verify.
 */
import type { Stream } from '@libp2p/interface';
import { AegisError, isAegisError, toAegisError } from '../errors.ts';
import { KIB, MIB } from '../units.ts';
import { BulkReader } from './bulk-reader.ts';
import { FrameChannel } from './frame-channel.ts';
import type { HostLimits } from './limits.ts';
import { encodeFailure } from './rpc-frame.ts';
import { cutOff, drained, sendTo } from './stream-io.ts';

export interface BulkOptions {
  readonly signal?: AbortSignal;
  /** @default HostLimits.bulkIdleTimeoutMs */
  readonly idleTimeoutMs?: number;
}

export interface BulkOut {
  /** Resolves when the next chunk may be written. @throws {AegisError} `STALLED` or cut. */
  write(chunk: Uint8Array): Promise<void>;
  /** Aborted when the other node has cancelled or is gone. */
  readonly signal: AbortSignal;
}

/** Throws an AegisError to tell the other node why, before the first byte or after. */
export type BulkHandler = (from: string, request: Uint8Array, out: BulkOut) => Promise<void>;

export interface BulkDeps {
  onTraffic(nodeId: string, bytesIn: number, bytesOut: number): void;
  onRefusal(nodeId: string, knob: keyof HostLimits): void;
}

/** Status bytes, written literally. */
export const STATUS = { ok: 0, failure: 1 } as const;

/** A writer waits when this much is on its way; below it the pipe to the peer may run dry. */
const WRITE_AHEAD_BYTES = MIB;
/** One write to the muxer; larger ones would keep small frames of other streams waiting. */
const SLICE_BYTES = 256 * KIB;
const REQUEST_PREFIX_BYTES = 4;

/** Counts streams under way, each direction apart, so that neither can starve the other. */
class Tally {
  readonly #byPeer = new Map<string, number>();
  readonly #limits: HostLimits;
  #total = 0;

  constructor(limits: HostLimits) {
    this.#limits = limits;
  }

  full(nodeId: string): keyof HostLimits | undefined {
    if (this.#total >= this.#limits.bulkTotal) return 'bulkTotal';
    const count = this.#byPeer.get(nodeId) ?? 0;
    return count >= this.#limits.bulkPerPeer ? 'bulkPerPeer' : undefined;
  }

  /** Returns the function that gives the place back; calling it again does nothing. */
  take(nodeId: string): () => void {
    this.#total += 1;
    this.#byPeer.set(nodeId, (this.#byPeer.get(nodeId) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#total -= 1;
      const left = (this.#byPeer.get(nodeId) ?? 1) - 1;
      if (left === 0) this.#byPeer.delete(nodeId);
      else this.#byPeer.set(nodeId, left);
    };
  }

  get total(): number {
    return this.#total;
  }
}

export class Bulk {
  readonly #limits: HostLimits;
  readonly #deps: BulkDeps;
  readonly #reading: Tally;
  readonly #writing: Tally;
  #handler: BulkHandler | undefined;

  constructor(options: { limits: HostLimits }, deps: BulkDeps) {
    this.#limits = options.limits;
    this.#deps = deps;
    this.#reading = new Tally(options.limits);
    this.#writing = new Tally(options.limits);
  }

  get streams(): number {
    return this.#reading.total + this.#writing.total;
  }

  handle(handler: BulkHandler): void {
    this.#handler = handler;
  }

  /**
   * @param open opens a fresh outbound stream to the peer.
   * @throws {AegisError} `BUSY`, `TOO_LARGE`, `NOT_REACHABLE`; while reading also `STALLED`,
   * `INTERRUPTED` and what the other node answers.
   */
  async open(
    nodeId: string,
    request: Uint8Array,
    options: BulkOptions,
    open: (signal?: AbortSignal) => Promise<Stream>,
  ): Promise<AsyncIterable<Uint8Array>> {
    const { bulkRequestMaxBytes, bulkIdleTimeoutMs, bulkMaxBytes } = this.#limits;
    if (request.byteLength > bulkRequestMaxBytes) {
      throw new AegisError('TOO_LARGE', `a bulk request of ${request.byteLength} bytes`);
    }
    const knob = this.#reading.full(nodeId);
    if (knob !== undefined) {
      throw new AegisError('BUSY', `too many bulk streams are open (${knob})`, {
        details: { knob },
      });
    }
    const release = this.#reading.take(nodeId);
    try {
      const stream = await open(options.signal);
      sendTo(stream, framed(request));
      void stream.close().catch(() => undefined);
      return new BulkReader(
        {
          idleTimeoutMs: options.idleTimeoutMs ?? bulkIdleTimeoutMs,
          maxBytes: bulkMaxBytes,
          ...(options.signal === undefined ? {} : { signal: options.signal }),
        },
        {
          stream,
          onBytes: (count) => this.#deps.onTraffic(nodeId, count, 0),
          onEnd: release,
        },
      );
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Takes over an inbound stream of a peer that has passed hello. */
  async serve(nodeId: string, stream: Stream): Promise<void> {
    const handler = this.#handler;
    const knob = this.#writing.full(nodeId);
    if (handler === undefined || knob !== undefined) {
      if (knob !== undefined) this.#deps.onRefusal(nodeId, knob);
      const message = `the other node serves no more bulk streams (${knob ?? 'none'})`;
      return refuse(stream, new AegisError('BUSY', message));
    }
    const release = this.#writing.take(nodeId);
    try {
      await this.#answer(nodeId, stream, handler);
    } finally {
      release();
    }
  }

  async #answer(nodeId: string, stream: Stream, handler: BulkHandler): Promise<void> {
    const { bulkRequestMaxBytes, bulkIdleTimeoutMs } = this.#limits;
    const channel = new FrameChannel({ maxBytes: bulkRequestMaxBytes }, stream);
    let request: Uint8Array;
    try {
      request = await channel.read(AbortSignal.timeout(bulkIdleTimeoutMs));
    } catch (error) {
      return stream.abort(toAegisError(error));
    }
    const controller = new AbortController();
    stream.addEventListener('close', () => controller.abort(cutOff()), { once: true });
    const writer = new Writer(stream, bulkIdleTimeoutMs, controller.signal, (count) =>
      this.#deps.onTraffic(nodeId, 0, count),
    );
    try {
      await handler(nodeId, request, writer);
      await writer.end();
    } catch (error) {
      if (writer.started || stream.status !== 'open') stream.abort(toAegisError(error));
      else await refuse(stream, error);
    } finally {
      channel.release();
    }
  }
}

class Writer implements BulkOut {
  readonly signal: AbortSignal;
  readonly #stream: Stream;
  readonly #idleMs: number;
  readonly #onBytes: (count: number) => void;
  started = false;

  constructor(
    stream: Stream,
    idleMs: number,
    signal: AbortSignal,
    onBytes: (count: number) => void,
  ) {
    this.#stream = stream;
    this.#idleMs = idleMs;
    this.signal = signal;
    this.#onBytes = onBytes;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#start();
    for (let at = 0; at < chunk.byteLength; at += SLICE_BYTES) {
      const slice = chunk.subarray(at, at + SLICE_BYTES);
      sendTo(this.#stream, slice);
      this.#onBytes(slice.byteLength);
      if (this.#stream.writeBufferLength > WRITE_AHEAD_BYTES) {
        await drained(this.#stream, { maxBytes: WRITE_AHEAD_BYTES, idleMs: this.#idleMs });
      }
    }
  }

  async end(): Promise<void> {
    this.#start();
    await drained(this.#stream, { maxBytes: 0, idleMs: this.#idleMs });
    await this.#stream.close({ signal: AbortSignal.timeout(this.#idleMs) });
  }

  #start(): void {
    if (this.started) return;
    this.started = true;
    sendTo(this.#stream, Uint8Array.of(STATUS.ok));
  }
}

function framed(request: Uint8Array): Uint8Array {
  const frame = new Uint8Array(REQUEST_PREFIX_BYTES + request.byteLength);
  new DataView(frame.buffer).setUint32(0, request.byteLength);
  frame.set(request, REQUEST_PREFIX_BYTES);
  return frame;
}

async function refuse(stream: Stream, error: unknown): Promise<void> {
  try {
    const body = encodeFailure(isAegisError(error) ? error : toAegisError(error));
    sendTo(stream, Buffer.concat([Uint8Array.of(STATUS.failure), body]));
    await stream.close({ signal: AbortSignal.timeout(5000) });
  } catch (failure) {
    stream.abort(toAegisError(failure));
  }
}
