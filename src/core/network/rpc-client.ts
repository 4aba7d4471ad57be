/**
 * This node's half of `/aegis/rpc/1` with one peer: one outbound stream, opened when first needed
 * and again after a cut. Requests, pings and envelopes go out on it, replies come back.
 * It does not dial: without a connection every request fails at once.
 */
import type { Stream } from '@libp2p/interface';
import { AegisError, isAegisError, toAegisError } from '../errors.ts';
import { SECOND } from '../units.ts';
import type { HostLimits } from './limits.ts';
import {
  encodeEnvelope,
  encodeFrame,
  encodeRequest,
  type Frame,
  FrameDecoder,
  KIND,
  openFailure,
  REQUEST_OVERHEAD_BYTES,
} from './rpc-frame.ts';
import { cutOff, drained, onBytes, sendTo } from './stream-io.ts';

export interface RequestOptions {
  /** @default that of the class of the connection (O24) */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** @default HostLimits.rpcMaxBytes */
  readonly maxReplyBytes?: number;
}

export interface RpcClientDeps {
  /** Opens a fresh outbound stream to the peer. @throws {AegisError} `NOT_REACHABLE`. */
  open(): Promise<Stream>;
  onTraffic(bytesIn: number, bytesOut: number): void;
  /** Of a request that names no time. */
  timeoutMs(): number;
}

interface Pending {
  readonly maxReplyBytes: number;
  readonly resolve: (body: Uint8Array) => void;
  readonly reject: (error: AegisError) => void;
}

interface Session {
  readonly stream: Stream;
  readonly pending: Map<number, Pending>;
  /** Nothing goes out on it any more but what is under way. */
  retired: boolean;
}

const NOTHING = new Uint8Array(0);
/** What waits in a stream that is retired may take so long to leave. */
const CLOSE_MS = 10 * SECOND;

export class RpcClient {
  readonly #limits: HostLimits;
  readonly #deps: RpcClientDeps;
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;
  #nextId = 1;
  #renewals = 0;
  #inFlight = 0;
  /** Envelopes that wait for the stream to open. */
  #unopenedBytes = 0;
  readonly #waiting: (() => void)[] = [];
  #closed: AegisError | undefined;

  constructor(options: { limits: HostLimits }, deps: RpcClientDeps) {
    this.#limits = options.limits;
    this.#deps = deps;
  }

  /** Requests under way and waiting. */
  get load(): number {
    return this.#inFlight + this.#waiting.length;
  }

  /**
   * @throws {AegisError} `BUSY`, `TIMEOUT`, `INTERRUPTED`, `NOT_REACHABLE`, `TOO_LARGE`, and what
   * the other node answers.
   */
  async request(
    method: string,
    body: Uint8Array,
    options: RequestOptions = {},
  ): Promise<Uint8Array> {
    const { rpcMaxBytes } = this.#limits;
    if (body.byteLength > rpcMaxBytes) {
      throw new AegisError('TOO_LARGE', `a request of ${body.byteLength} bytes is too large`);
    }
    const timeoutMs = options.timeoutMs ?? this.#deps.timeoutMs();
    const maxReplyBytes = Math.min(options.maxReplyBytes ?? rpcMaxBytes, rpcMaxBytes);
    return this.#within(timeoutMs, `request ${method}`, options.signal, async (signal) => {
      await this.#place(signal);
      try {
        return await this.#exchange(
          (id) => encodeRequest(id, { method, timeoutMs, body }),
          maxReplyBytes,
          signal,
        );
      } finally {
        this.#inFlight -= 1;
        this.#waiting.shift()?.();
      }
    });
  }

  /** Milliseconds of one small frame there and back. Not queued behind requests. */
  async ping(timeoutMs: number): Promise<number> {
    const start = performance.now();
    await this.#within(timeoutMs, 'ping', undefined, (signal) =>
      this.#exchange((id) => encodeFrame(KIND.ping, id), 0, signal),
    );
    return performance.now() - start;
  }

  /** Best effort: `false` when the envelope was dropped because the peer is slow or gone. */
  send(protocol: string, body: Uint8Array): boolean {
    if (this.#closed !== undefined || body.byteLength > this.#limits.envelopeMaxBytes) return false;
    const frame = encodeEnvelope(protocol, body);
    const session = this.#session;
    if (session !== undefined) return this.#post(session, frame);
    // A peer that opens no stream gets no more of our memory than one that does not read.
    if (this.#unopenedBytes > this.#limits.rpcBufferBytes) return false;
    this.#unopenedBytes += frame.byteLength;
    void this.#connect()
      .then(
        (opened) => this.#post(opened, frame),
        () => false,
      )
      .finally(() => {
        this.#unopenedBytes -= frame.byteLength;
      });
    return true;
  }

  /**
   * What comes from now on goes out on a fresh stream, on the connection that is best now; what is
   * under way keeps its stream until it is answered.
   */
  renew(): void {
    this.#renewals += 1;
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    session.retired = true;
    closeWhenDone(session);
  }

  /** Fails what is under way with `reason` and ends the stream. */
  close(reason: AegisError): void {
    this.#closed ??= reason;
    for (const wake of this.#waiting.splice(0)) wake();
    if (this.#session !== undefined) this.#end(this.#session, reason);
  }

  #post(session: Session, frame: Uint8Array): boolean {
    if (session.stream.writeBufferLength > this.#limits.rpcBufferBytes) return false;
    try {
      sendTo(session.stream, frame);
      this.#deps.onTraffic(0, frame.byteLength);
      return true;
    } catch {
      return false;
    }
  }

  async #place(signal: AbortSignal): Promise<void> {
    if (this.#inFlight >= this.#limits.rpcInFlight) {
      if (this.#waiting.length >= this.#limits.rpcQueue) {
        throw new AegisError('BUSY', 'too many requests are waiting for this peer', {
          details: { knob: 'rpcQueue' },
        });
      }
      await new Promise<void>((resolve, reject) => {
        const wake = (): void => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        };
        const onAbort = (): void => {
          this.#waiting.splice(this.#waiting.indexOf(wake), 1);
          reject(signal.reason as Error);
        };
        this.#waiting.push(wake);
        signal.addEventListener('abort', onAbort, { once: true });
      });
    }
    this.#inFlight += 1;
  }

  async #exchange(
    encode: (id: number) => Uint8Array,
    maxReplyBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const session = await this.#writable(signal);
    if (signal.aborted) throw signal.reason;
    const id = this.#nextId;
    this.#nextId = (this.#nextId % 0xffffffff) + 1;
    const frame = encode(id);
    return new Promise<Uint8Array>((resolve, reject) => {
      const onAbort = (): void => {
        session.pending.delete(id);
        this.#post(session, encodeFrame(KIND.cancel, id));
        closeWhenDone(session);
        reject(signal.reason as Error);
      };
      const settled = (): void => {
        session.pending.delete(id);
        closeWhenDone(session);
        signal.removeEventListener('abort', onAbort);
      };
      session.pending.set(id, {
        maxReplyBytes,
        resolve: (reply) => {
          settled();
          resolve(reply);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        sendTo(session.stream, frame);
        this.#deps.onTraffic(0, frame.byteLength);
      } catch (error) {
        this.#end(session, toAegisError(error));
      }
    });
  }

  async #writable(signal: AbortSignal): Promise<Session> {
    const { rpcBufferBytes } = this.#limits;
    const idleMs = this.#deps.timeoutMs();
    for (;;) {
      const session = await this.#connect();
      await drained(session.stream, { maxBytes: rpcBufferBytes, idleMs, signal });
      if (!session.retired) return session;
    }
  }

  async #within<T>(
    timeoutMs: number,
    what: string,
    outer: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const controller = new AbortController();
    const onOuter = (): void =>
      controller.abort(new AegisError('INTERRUPTED', `${what} was cancelled`));
    const timer = setTimeout(() => {
      controller.abort(new AegisError('TIMEOUT', `${what} had no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    outer?.addEventListener('abort', onOuter, { once: true });
    if (outer?.aborted === true) onOuter();
    const { signal } = controller;
    const aborted = new Promise<never>((_resolve, reject) => {
      const fail = (): void => reject(signal.reason as Error);
      if (signal.aborted) fail();
      else signal.addEventListener('abort', fail, { once: true });
    });
    try {
      return await Promise.race([work(signal), aborted]);
    } catch (error) {
      throw isAegisError(error) ? error : toAegisError(error);
    } finally {
      clearTimeout(timer);
      outer?.removeEventListener('abort', onOuter);
    }
  }

  #connect(): Promise<Session> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#session !== undefined) return Promise.resolve(this.#session);
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(): Promise<Session> {
    const renewals = this.#renewals;
    const stream = await this.#deps.open();
    if (renewals !== this.#renewals) {
      // A better connection came meanwhile.
      stream.abort(cutOff());
      return await this.#open();
    }
    const session: Session = { stream, pending: new Map(), retired: false };
    if (this.#closed !== undefined) {
      stream.abort(this.#closed);
      throw this.#closed;
    }
    const decoder = new FrameDecoder(
      { maxBytes: this.#limits.rpcMaxBytes + REQUEST_OVERHEAD_BYTES },
      {
        room: (kind, id, bodyBytes) => this.#room(session, kind, id, bodyBytes),
        frame: (frame) => receive(session, frame),
      },
    );
    onBytes(stream, (bytes) => {
      this.#deps.onTraffic(bytes.byteLength, 0);
      try {
        decoder.push(bytes);
      } catch (error) {
        this.#end(session, toAegisError(error));
      }
    });
    stream.addEventListener('close', () => this.#end(session, cutOff()));
    stream.addEventListener('remoteCloseWrite', () => this.#end(session, cutOff()));
    this.#session = session;
    return session;
  }

  /** Replies nobody waits for, and those over the caller's limit, are read over, never kept. */
  #room(session: Session, kind: number, id: number, bodyBytes: number): 'keep' | 'skip' {
    const pending = session.pending.get(id);
    if (pending === undefined) return 'skip';
    if (kind === KIND.reply && bodyBytes > pending.maxReplyBytes) {
      const limit = pending.maxReplyBytes;
      pending.reject(
        new AegisError('TOO_LARGE', `a reply of ${bodyBytes} bytes is over the limit of ${limit}`),
      );
      return 'skip';
    }
    return 'keep';
  }

  #end(session: Session, reason: AegisError): void {
    if (this.#session === session) this.#session = undefined;
    for (const pending of session.pending.values()) pending.reject(reason);
    if (session.stream.status === 'open') session.stream.abort(reason);
  }
}

function closeWhenDone({ retired, pending, stream }: Session): void {
  if (!retired || pending.size > 0 || stream.status !== 'open') return;
  stream.close({ signal: AbortSignal.timeout(CLOSE_MS) }).catch((error: unknown) => {
    stream.abort(toAegisError(error));
  });
}

function receive(session: Session, frame: Frame): void {
  const pending = session.pending.get(frame.id);
  if (pending === undefined) return;
  switch (frame.kind) {
    case KIND.reply:
      return pending.resolve(frame.body);
    case KIND.pong:
      return pending.resolve(NOTHING);
    case KIND.failure:
      return pending.reject(openFailure(frame.body));
    default:
      throw new AegisError('BAD_ENCODING', 'the other node answered with a wrong kind of frame');
  }
}
