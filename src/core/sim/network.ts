/**
 * A simulated network of connections. Fault model: envelopes are lost, doubled, delayed and
 * overtake each other at random; links are blocked in one direction or both, between any two nodes
 * or between groups, with or without the connection breaking. What was under way when a connection
 * broke is gone, but what a node sent before it crashed may still arrive. Envelopes are never
 * changed: the real network authenticates.
 */
import type { Envelope } from '../machine.ts';
import type { SimClock } from './clock.ts';
import type { SimRandom } from './random.ts';

export interface NetworkOptions {
  readonly minLatencyMs: number;
  readonly maxLatencyMs: number;
  /**
   * With it, each pair of nodes has a base latency between the two above, and each envelope takes
   * up to this much longer; without it, each envelope draws its latency from between the two.
   */
  readonly jitterMs?: number;
  /** After which a broken connection is noticed. */
  readonly noticeMs: number;
  readonly dialTimeoutMs: number;
  /** Whether envelopes of a direction arrive in order, but for `reorderRate`. @default false */
  readonly isOrdered?: boolean;
  /** Share of crashes after which what was sent before still arrives. @default 0 */
  readonly lingerRate?: number;
  /** What each node can send, and receive, in a millisecond. @default without a limit */
  readonly bytesPerMs?: number;
}

export interface Endpoint {
  receive(from: string, envelope: Envelope): void;
  peer(nodeId: string, isUp: boolean): void;
}

export interface NetworkCounts {
  sent: number;
  delivered: number;
  lost: number;
  doubled: number;
  /** Let overtake others on purpose. */
  reordered: number;
  /** Sent into a blocked direction. */
  blocked: number;
  /** Sent without a connection. */
  dropped: number;
}

/** A direction: from one node to another. */
export type Link = readonly [from: string, to: string];

interface Connection {
  /** A node that is gone, of which envelopes still arrive. */
  lingering: string | undefined;
  isOpen: boolean;
}

/** On the wire, beside the body: TCP/IP, Noise, muxer and frame. */
const OVERHEAD_BYTES = 100;

export class SimNetwork {
  readonly #options: NetworkOptions;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #endpoints = new Map<string, Endpoint>();
  /** By pair, the connection that stands. */
  readonly #connections = new Map<string, Connection>();
  /** By direction, how many faults block it. */
  readonly #blocked = new Map<string, number>();
  /** By pair, its share of the span of latencies. */
  readonly #distances = new Map<string, number>();
  /** By direction, when the last envelope arrives. */
  readonly #lastAt = new Map<string, number>();
  /** By node, when all that it has sent, and all that it gets, is through its line. */
  readonly #upAt = new Map<string, number>();
  readonly #downAt = new Map<string, number>();
  #healed = 0;
  lossRate = 0;
  doubleRate = 0;
  reorderRate = 0;
  /** Multiplies all latencies. */
  slowness = 1;
  /** On all lines, if they have limits. */
  bytes = 0;
  readonly counts: NetworkCounts = {
    sent: 0,
    delivered: 0,
    lost: 0,
    doubled: 0,
    reordered: 0,
    blocked: 0,
    dropped: 0,
  };

  constructor(
    options: NetworkOptions,
    deps: { readonly clock: SimClock; readonly random: SimRandom },
  ) {
    this.#options = options;
    this.#clock = deps.clock;
    this.#random = deps.random;
  }

  attach(nodeId: string, endpoint: Endpoint): void {
    this.#endpoints.set(nodeId, endpoint);
  }

  /** The node has stopped: its peers notice after a while. */
  detach(nodeId: string): void {
    this.#endpoints.delete(nodeId);
    const lingerRate = this.#options.lingerRate ?? 0;
    const lingers = lingerRate > 0 && this.#random.chance(lingerRate);
    this.#breakWhere((a, b) => a === nodeId || b === nodeId, lingers ? nodeId : undefined);
  }

  isConnected(a: string, b: string): boolean {
    return this.#connections.has(pairOf(a, b));
  }

  dial(from: string, to: string, done: (isUp: boolean) => void): void {
    const delay = this.#latency(from, to) * 2;
    if (!this.#isReachable(from, to)) {
      this.#clock.after(this.#options.dialTimeoutMs, () => done(false));
      return;
    }
    this.#clock.after(delay, () => {
      const isUp = this.#isReachable(from, to);
      done(isUp);
      if (!isUp || this.isConnected(from, to)) return;
      this.#connections.set(pairOf(from, to), { lingering: undefined, isOpen: true });
      this.#endpoints.get(from)?.peer(to, true);
      this.#endpoints.get(to)?.peer(from, true);
    });
  }

  send(from: string, envelope: Envelope): void {
    const { to } = envelope;
    this.counts.sent += 1;
    const connection = this.#connections.get(pairOf(from, to));
    if (connection === undefined) {
      this.counts.dropped += 1;
    } else if (this.#blocked.has(linkOf(from, to))) {
      this.counts.blocked += 1;
    } else if (this.#random.chance(this.lossRate)) {
      this.counts.lost += 1;
    } else {
      const copies = this.#random.chance(this.doubleRate) ? 2 : 1;
      this.counts.doubled += copies - 1;
      for (let i = 0; i < copies; i += 1) this.#carry(from, envelope, connection);
    }
  }

  /** Cuts the nodes into sides that do not reach each other; nodes not named are on side 0. */
  cut(sides: ReadonlyMap<string, number>): () => void {
    const nodes = [...new Set([...this.#endpoints.keys(), ...sides.keys()])];
    const sideOf = (nodeId: string): number => sides.get(nodeId) ?? 0;
    const links = nodes.flatMap((a) =>
      nodes.filter((b) => sideOf(a) !== sideOf(b)).map((b): Link => [a, b]),
    );
    return this.block(links, { breaks: true });
  }

  /**
   * Lets nothing pass in these directions.
   * @param options.breaks whether the connections break, too; else the sender does not know.
   * @returns how to end it. `heal` ends it, too.
   */
  block(links: readonly Link[], options: { readonly breaks: boolean }): () => void {
    const names = links.map(([from, to]) => linkOf(from, to));
    for (const name of names) this.#blocked.set(name, (this.#blocked.get(name) ?? 0) + 1);
    if (options.breaks) {
      this.#breakWhere(
        (a, b) => this.#blocked.has(linkOf(a, b)) || this.#blocked.has(linkOf(b, a)),
      );
    }
    const healed = this.#healed;
    return () => {
      if (this.#healed !== healed) return;
      for (const name of names.splice(0)) {
        const left = (this.#blocked.get(name) ?? 1) - 1;
        if (left === 0) this.#blocked.delete(name);
        else this.#blocked.set(name, left);
      }
    };
  }

  heal(): void {
    this.#healed += 1;
    this.#blocked.clear();
  }

  #carry(from: string, envelope: Envelope, connection: Connection): void {
    const { to } = envelope;
    let at = this.#throughLines(from, envelope);
    if (this.#options.isOrdered === true) {
      const link = linkOf(from, to);
      if (this.#random.chance(this.reorderRate)) {
        this.counts.reordered += 1;
        at += this.#random.fraction() * 10 * (at - this.#clock.now());
      } else {
        at = Math.max(at, this.#lastAt.get(link) ?? 0);
        this.#lastAt.set(link, at);
      }
    }
    this.#clock.after(at - this.#clock.now(), () => {
      const standing = this.#connections.get(pairOf(from, to));
      const lingers = standing === undefined && connection.lingering === from;
      if (!connection.isOpen && !lingers) return;
      const endpoint = this.#endpoints.get(to);
      if (endpoint === undefined) return;
      this.counts.delivered += 1;
      endpoint.receive(from, envelope);
    });
  }

  /** When an envelope arrives: what a node sends waits for its line, and so does what it gets. */
  #throughLines(from: string, { to, body }: Envelope): number {
    const now = this.#clock.now();
    const latencyMs = this.#latency(from, to);
    const { bytesPerMs } = this.#options;
    if (bytesPerMs === undefined) return now + latencyMs;
    const bytes = body.length + OVERHEAD_BYTES;
    this.bytes += bytes;
    const takesMs = bytes / bytesPerMs;
    const sentAt = Math.max(now, this.#upAt.get(from) ?? 0) + takesMs;
    this.#upAt.set(from, sentAt);
    const at = Math.max(sentAt + latencyMs, (this.#downAt.get(to) ?? 0) + takesMs);
    this.#downAt.set(to, at);
    return at;
  }

  #isReachable(a: string, b: string): boolean {
    const isBlocked = this.#blocked.has(linkOf(a, b)) || this.#blocked.has(linkOf(b, a));
    return this.#endpoints.has(a) && this.#endpoints.has(b) && !isBlocked;
  }

  #breakWhere(matches: (a: string, b: string) => boolean, lingering?: string): void {
    for (const pair of [...this.#connections.keys()].toSorted()) {
      const [a, b] = pair.split(' ') as [string, string];
      if (!matches(a, b)) continue;
      const connection = this.#connections.get(pair)!;
      connection.isOpen = false;
      connection.lingering = lingering;
      this.#connections.delete(pair);
      const ends = [
        [a, b],
        [b, a],
      ] as const;
      for (const [end, other] of ends) {
        const endpoint = this.#endpoints.get(end);
        this.#clock.after(this.#options.noticeMs * this.#random.fraction(), () => {
          // Only if it is still the same run of the node, and no new connection stands.
          if (this.#endpoints.get(end) !== endpoint || this.isConnected(a, b)) return;
          endpoint?.peer(other, false);
        });
      }
    }
  }

  #latency(from: string, to: string): number {
    const { minLatencyMs, maxLatencyMs, jitterMs } = this.#options;
    const tail = this.#random.fraction() ** 3;
    if (jitterMs === undefined) {
      return (minLatencyMs + tail * (maxLatencyMs - minLatencyMs)) * this.slowness;
    }
    const base = minLatencyMs + this.#distance(from, to) * (maxLatencyMs - minLatencyMs);
    return (base + tail * jitterMs) * this.slowness;
  }

  #distance(a: string, b: string): number {
    const pair = pairOf(a, b);
    let distance = this.#distances.get(pair);
    if (distance === undefined) {
      distance = this.#random.child(pair).fraction();
      this.#distances.set(pair, distance);
    }
    return distance;
  }
}

const pairOf = (a: string, b: string): string => (a < b ? `${a} ${b}` : `${b} ${a}`);
const linkOf = (from: string, to: string): string => `${from} ${to}`;
