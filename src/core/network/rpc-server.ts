/**
 * The other half of `/aegis/rpc/1`: answers what peers ask on their streams. Bounded by what one
 * peer has open, in number and bytes; a peer that does not read its replies is not read either.
 * It knows no methods of its own: rooms above register them.
 */
import type { Stream } from '@libp2p/interface';
import { AegisError, isAegisError, toAegisError } from '../errors.ts';
import type { Clock, Log } from '../ports.ts';
import { Brake } from './brake.ts';
import type { Allowance, Conduct } from './conduct.ts';
import type { HostLimits, Knob } from './limits.ts';
import { busyBy } from './refusals.ts';
import {
  encodeFailure,
  encodeFrame,
  type Frame,
  FrameDecoder,
  KIND,
  openEnvelope,
  openRequest,
  REQUEST_OVERHEAD_BYTES,
} from './rpc-frame.ts';
import { drained, onBytes, sendTo } from './stream-io.ts';

export interface RequestContext {
  /** Aborted when the peer cancels, is cut, or its deadline passes. */
  readonly signal: AbortSignal;
}

export type RequestHandler = (
  from: string,
  body: Uint8Array,
  context: RequestContext,
) => Promise<Uint8Array>;

export interface IncomingEnvelope {
  readonly from: string;
  readonly protocol: string;
  readonly body: Uint8Array;
}

export interface RpcServerDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly conduct: Conduct;
  onEnvelope(envelope: IncomingEnvelope): void;
  onTraffic(nodeId: string, bytesIn: number, bytesOut: number): void;
  /** A limit has turned something away. */
  onRefusal(nodeId: string, knob: Knob): void;
}

interface Serving {
  count: number;
  bytes: number;
}

interface Session {
  readonly nodeId: string;
  readonly stream: Stream;
  readonly open: Map<number, AbortController>;
  readonly serving: Serving;
  readonly brake: Brake;
}

export class RpcServer {
  readonly #limits: HostLimits;
  readonly #deps: RpcServerDeps;
  readonly #handlers = new Map<string, { readonly handler: RequestHandler; weight: number }>();
  /** By node id, not by stream: a second stream buys no second allowance. */
  readonly #serving = new Map<string, Serving>();

  constructor(options: { limits: HostLimits }, deps: RpcServerDeps) {
    this.#limits = options.limits;
    this.#deps = deps;
  }

  /** @param weight as how many requests one counts: what it costs to answer. @default 1 */
  handle(method: string, handler: RequestHandler, weight = 1): void {
    this.#handlers.set(method, { handler, weight });
  }

  /** Takes over an inbound stream of a peer that has passed hello. */
  serve(nodeId: string, stream: Stream): void {
    const serving = this.#serving.get(nodeId) ?? { count: 0, bytes: 0 };
    this.#serving.set(nodeId, serving);
    const brake = new Brake(stream, this.#deps);
    const session: Session = { nodeId, stream, open: new Map(), serving, brake };
    const decoder = new FrameDecoder(
      { maxBytes: this.#limits.rpcMaxBytes + REQUEST_OVERHEAD_BYTES },
      {
        room: (kind, id, bodyBytes) => this.#room(session, kind, id, bodyBytes),
        frame: (frame) => this.#receive(session, frame),
      },
    );
    onBytes(stream, (bytes) => {
      this.#deps.onTraffic(nodeId, bytes.byteLength, 0);
      this.#charge(session, 'bytesPerSecond', bytes.byteLength);
      try {
        decoder.push(bytes);
      } catch (error) {
        const reason = toAegisError(error);
        this.#deps.log.write('warn', 'a peer broke the rules of its request stream', {
          nodeId,
          reason: reason.message,
        });
        stream.abort(reason);
      }
    });
    const end = (): void => {
      for (const controller of session.open.values()) controller.abort();
      session.open.clear();
      this.#forget(session);
      if (stream.status === 'open') void stream.close().catch(() => undefined);
    };
    stream.addEventListener('close', end, { once: true });
    stream.addEventListener('remoteCloseWrite', end, { once: true });
  }

  #forget(session: Session): void {
    if (session.serving.count === 0 && this.#serving.get(session.nodeId) === session.serving) {
      this.#serving.delete(session.nodeId);
    }
  }

  /** The session is not read until what was asked of this node has been earned. */
  #charge(session: Session, allowance: Allowance, cost: number): void {
    const waitMs = this.#deps.conduct.spend(session.nodeId, allowance, cost);
    if (waitMs > 0) session.brake.rest(waitMs);
  }

  #room(session: Session, kind: number, id: number, bodyBytes: number): 'keep' | 'skip' {
    const isEnvelope = kind === KIND.envelope;
    const allowance = isEnvelope ? 'envelopesPerSecond' : 'requestsPerSecond';
    this.#charge(session, allowance, 1);
    if (this.#deps.conduct.isIgnored(session.nodeId, allowance)) return 'skip';
    if (isEnvelope) {
      const limit = this.#limits.envelopeMaxBytes + REQUEST_OVERHEAD_BYTES;
      if (bodyBytes <= limit) return 'keep';
      throw new AegisError('TOO_LARGE', `an envelope of ${bodyBytes} bytes is over ${limit}`);
    }
    if (kind === KIND.request) return this.#admit(session, id, bodyBytes) ? 'keep' : 'skip';
    if (kind !== KIND.cancel && kind !== KIND.ping) {
      throw new AegisError('BAD_ENCODING', 'a wrong kind of frame on a request stream');
    }
    if (bodyBytes > 0) throw new AegisError('BAD_ENCODING', 'a frame with a body it must not have');
    return 'keep';
  }

  #admit(session: Session, id: number, bodyBytes: number): boolean {
    const { serving, nodeId } = session;
    const { rpcServing, rpcServingBytes } = this.#limits;
    const crowded = serving.count >= rpcServing;
    if (!crowded && serving.bytes + bodyBytes <= rpcServingBytes) return true;
    const knob = crowded ? 'rpcServing' : 'rpcServingBytes';
    this.#deps.onRefusal(nodeId, knob);
    const busy = busyBy(knob, 'the other node answers as much of you as it may');
    this.#answer(session, encodeFrame(KIND.failure, id, encodeFailure(busy)));
    return false;
  }

  #receive(session: Session, frame: Frame): void {
    switch (frame.kind) {
      case KIND.ping:
        return this.#answer(session, encodeFrame(KIND.pong, frame.id));
      case KIND.cancel:
        return session.open.get(frame.id)?.abort();
      case KIND.envelope: {
        const { protocol, body } = openEnvelope(frame.body);
        return this.#deps.onEnvelope({ from: session.nodeId, protocol, body });
      }
      default:
        this.#request(session, frame);
    }
  }

  #request(session: Session, frame: Frame): void {
    const request = openRequest(frame.body);
    const { weight } = this.#handlers.get(request.method) ?? { weight: 1 };
    if (weight > 1) this.#charge(session, 'requestsPerSecond', weight - 1);
    if (session.open.has(frame.id)) {
      throw new AegisError('BAD_ENCODING', 'a request with the id of one that is open');
    }
    void this.#serveOne(session, frame, request);
  }

  async #serveOne(
    session: Session,
    frame: Frame,
    request: ReturnType<typeof openRequest>,
  ): Promise<void> {
    const { serving, open, stream, nodeId } = session;
    const controller = new AbortController();
    open.set(frame.id, controller);
    serving.count += 1;
    serving.bytes += frame.body.byteLength;
    const deadlineMs = Math.min(request.timeoutMs, this.#limits.rpcServeTimeoutMs);
    const timer = setTimeout(() => controller.abort(), deadlineMs);
    const answer = await this.#run(nodeId, request, controller.signal);
    clearTimeout(timer);
    serving.count -= 1;
    serving.bytes -= frame.body.byteLength;
    // Nobody waits for the answer to a cancelled request or on a stream that has gone.
    if (open.delete(frame.id) && !controller.signal.aborted) {
      this.#answer(session, encodeFrame(answer.kind, frame.id, answer.body));
    }
    if (stream.status !== 'open') this.#forget(session);
  }

  async #run(
    from: string,
    request: { method: string; body: Uint8Array },
    signal: AbortSignal,
  ): Promise<{ kind: typeof KIND.reply | typeof KIND.failure; body: Uint8Array }> {
    try {
      const known = this.#handlers.get(request.method);
      if (known === undefined) {
        throw new AegisError('NOT_FOUND', 'the other node does not know this request', {
          hint: 'The two nodes may run different versions of aegis.',
        });
      }
      const body = await known.handler(from, request.body, { signal });
      if (body.byteLength > this.#limits.rpcMaxBytes) {
        throw new AegisError('TOO_LARGE', `the reply of ${body.byteLength} bytes is too large`);
      }
      return { kind: KIND.reply, body };
    } catch (error) {
      if (!isAegisError(error)) {
        this.#deps.log.write('error', 'a request handler failed', {
          method: request.method,
          reason: toAegisError(error).message,
        });
      }
      return { kind: KIND.failure, body: encodeFailure(error) };
    }
  }

  /** Stops reading the peer while it does not take its answers. */
  #answer(session: Session, frame: Uint8Array): void {
    const { stream, nodeId, brake } = session;
    try {
      sendTo(stream, frame);
    } catch {
      return;
    }
    this.#deps.onTraffic(nodeId, 0, frame.byteLength);
    const maxBytes = this.#limits.rpcBufferBytes;
    if (stream.writeBufferLength <= maxBytes || brake.has('replies')) return;
    brake.hold('replies');
    void drained(stream, { maxBytes, idleMs: this.#limits.bulkIdleTimeoutMs }).then(
      () => brake.release('replies'),
      (error: unknown) => {
        this.#deps.onRefusal(nodeId, 'rpcBufferBytes');
        stream.abort(toAegisError(error));
      },
    );
  }
}
