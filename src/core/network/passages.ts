/**
 * What this host knows of each raw connection that libp2p does not: which way it goes (O7), what it
 * is for, and who is there. It holds all of them, so that all can be ended (O6). Decides nothing.
 */
import type { Connection, MessageStream, MultiaddrConnection } from '@libp2p/interface';
import type { HostLimits } from './limits.ts';
import type { AddressClass } from './transports.ts';

/** `lane`: for bulk streams, beside a connection that talks (O11). */
export type Purpose = 'talk' | 'lane';

export interface Passage {
  readonly class: AddressClass;
  /** Of an inbound one the other node says it in its hello. */
  purpose: Purpose;
  /** Number of a lane that this node has dialled, from 1. */
  readonly lane?: number;
  /** Of an inbound one: has aborted when its time for hello is over. */
  readonly deadline?: AbortSignal;
  /** Who has passed hello there. */
  nodeId?: string;
  /** O20: came in with a ticket of this member; hello still has to show who it is. */
  holder?: string;
}

/** Places and rates are counted apart for what goes through Tor and what does not (O4). */
export type Side = 'onion' | 'direct';

export const sideOf = (way: AddressClass): Side => (way === 'direct' ? 'direct' : 'onion');

/** O24 */
export interface Times {
  readonly dialMs: number;
  readonly helloMs: number;
  /** For the other side to say what a new stream is for. */
  readonly streamMs: number;
  /** For a new stream of ours to be agreed on. */
  readonly openMs: number;
  readonly rpcMs: number;
  readonly heartbeatMs: number;
  readonly heartbeatTimeoutMs: number;
}

export function timesOf(limits: HostLimits, way: AddressClass): Times {
  if (sideOf(way) === 'onion') {
    return {
      dialMs: limits.onionDialTimeoutMs,
      helloMs: limits.onionHelloTimeoutMs,
      streamMs: limits.onionStreamTimeoutMs,
      openMs: limits.onionStreamTimeoutMs,
      rpcMs: limits.onionRpcTimeoutMs,
      heartbeatMs: limits.onionHeartbeatMs,
      heartbeatTimeoutMs: limits.onionHeartbeatTimeoutMs,
    };
  }
  return {
    dialMs: limits.dialTimeoutMs,
    helloMs: limits.helloTimeoutMs,
    streamMs: limits.streamTimeoutMs,
    openMs: limits.helloTimeoutMs,
    rpcMs: limits.rpcTimeoutMs,
    heartbeatMs: limits.heartbeatMs,
    heartbeatTimeoutMs: limits.heartbeatTimeoutMs,
  };
}

const DIRECT: Passage = { class: 'direct', purpose: 'talk' };

export class Passages {
  readonly #of = new WeakMap<object, Passage>();
  readonly #open = new Set<MultiaddrConnection>();

  /** Raw connections that have not ended. */
  get open(): number {
    return this.#open.size;
  }

  note(raw: MultiaddrConnection, passage: Passage): void {
    this.#of.set(raw, passage);
    if (raw.status !== 'open') return;
    this.#open.add(raw);
    raw.addEventListener('close', () => this.#open.delete(raw), { once: true });
  }

  /** @param connection of libp2p, or the raw one below it. */
  of(connection: Connection | MessageStream): Passage {
    return this.#of.get(rawOf(connection)) ?? DIRECT;
  }

  /** Ends everything, at whatever stage it is. */
  abortAll(reason: Error): void {
    for (const raw of [...this.#open]) raw.abort(reason);
  }
}

/** What we know of a connection of libp2p; its version is pinned. */
const rawOf = (connection: object): object =>
  (connection as { readonly maConn?: object }).maConn ?? connection;

/**
 * How long the other side has to say what a stream is for; libp2p knows one time for all its
 * connections. Called as soon as a connection is there.
 */
export function limitStreams(connection: Connection, { streamMs }: Times): void {
  const inner = connection as { inboundStreamProtocolNegotiationTimeout?: number };
  inner.inboundStreamProtocolNegotiationTimeout = streamMs;
}
