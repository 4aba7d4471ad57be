/**
 * `/aegis/car/1`: one request frame, then a bulk stream back (bulk-frame.ts).
 * It moves bytes with back-pressure and notices a peer that stalls; what the bytes mean, and
 * whether they are true, is for the caller to verify.
 */
import type { Stream } from '@libp2p/interface';
import { AegisError, toAegisError } from '../errors.ts';
import { BulkReader } from './bulk-reader.ts';
import { type BulkOut, BulkWriter } from './bulk-writer.ts';
import { FrameChannel } from './frame-channel.ts';
import type { HostLimits, Knob } from './limits.ts';
import { busyBy } from './refusals.ts';
import { cutOff, sendTo } from './stream-io.ts';

export interface BulkOptions {
  readonly signal?: AbortSignal;
  /** @default HostLimits.bulkIdleTimeoutMs */
  readonly idleTimeoutMs?: number;
}

/** Throws an AegisError to tell the other node why, before the first byte or after. */
export type BulkHandler = (from: string, request: Uint8Array, out: BulkOut) => Promise<void>;

export interface BulkDeps {
  onTraffic(nodeId: string, bytesIn: number, bytesOut: number): void;
  onRefusal(nodeId: string, knob: Knob): void;
}

const REQUEST_PREFIX_BYTES = 4;

/** Counts streams under way, each direction apart, so that neither can starve the other. */
class Tally {
  readonly #byPeer = new Map<string, number>();
  readonly #limits: HostLimits;
  #total = 0;

  constructor(limits: HostLimits) {
    this.#limits = limits;
  }

  full(nodeId: string): Knob | undefined {
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
    if (knob !== undefined) throw busyBy(knob, 'too many bulk streams are open');
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

  /**
   * Takes over an inbound stream of a peer that has passed hello.
   * @param streamMs for its request to come (O24).
   */
  async serve(nodeId: string, stream: Stream, streamMs: number): Promise<void> {
    const knob = this.#writing.full(nodeId);
    if (knob !== undefined) this.#deps.onRefusal(nodeId, knob);
    const release = knob === undefined ? this.#writing.take(nodeId) : undefined;
    const controller = new AbortController();
    stream.addEventListener('close', () => controller.abort(cutOff()), { once: true });
    const writer = new BulkWriter(
      { idleMs: this.#limits.bulkIdleTimeoutMs },
      {
        stream,
        signal: controller.signal,
        onBytes: (count) => this.#deps.onTraffic(nodeId, 0, count),
      },
    );
    try {
      await this.#answer(nodeId, stream, { writer, knob, streamMs });
    } catch (error) {
      await writer.fail(error).catch((failure: unknown) => stream.abort(toAegisError(failure)));
    } finally {
      release?.();
      // A reader closes its side with its request; one that has not does not keep the stream.
      const timer = setTimeout(() => stream.abort(cutOff()), this.#limits.bulkIdleTimeoutMs);
      if (stream.status === 'open') stream.addEventListener('close', () => clearTimeout(timer));
      else clearTimeout(timer);
    }
  }

  async #answer(
    nodeId: string,
    stream: Stream,
    { writer, knob, streamMs }: { writer: BulkWriter; knob: Knob | undefined; streamMs: number },
  ): Promise<void> {
    const { bulkRequestMaxBytes } = this.#limits;
    const handler = this.#handler;
    const channel = new FrameChannel({ maxBytes: bulkRequestMaxBytes }, stream);
    try {
      const request = await channel.read(AbortSignal.timeout(streamMs));
      // Refused only now: an answer that comes before the request has been written may be lost
      // in the negotiation of the stream at the other end.
      if (knob !== undefined) throw busyBy(knob, 'the other node serves no more bulk streams');
      if (handler === undefined) {
        throw new AegisError('NOT_FOUND', 'the other node serves no bulk streams');
      }
      await handler(nodeId, request, writer);
      await writer.end();
    } finally {
      channel.release();
    }
  }
}

function framed(request: Uint8Array): Uint8Array {
  const frame = new Uint8Array(REQUEST_PREFIX_BYTES + request.byteLength);
  new DataView(frame.buffer).setUint32(0, request.byteLength);
  frame.set(request, REQUEST_PREFIX_BYTES);
  return frame;
}
