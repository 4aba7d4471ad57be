/**
 * A simulated network of connections. Fault model: envelopes are lost, doubled and delayed at
 * random, and so overtake each other; links between groups are cut and healed; what was under way
 * when a connection broke is gone. Envelopes are never changed: the real network authenticates.
 */
import type { Envelope } from '../machine.ts';
import type { SimClock } from './clock.ts';
import type { SimRandom } from './random.ts';

export interface NetworkOptions {
  readonly minLatencyMs: number;
  readonly maxLatencyMs: number;
  /** After which a broken connection is noticed. */
  readonly noticeMs: number;
  readonly dialTimeoutMs: number;
}

export interface Endpoint {
  receive(from: string, envelope: Envelope): void;
  peer(nodeId: string, isUp: boolean): void;
}

export interface NetworkCounts {
  sent: number;
  lost: number;
  doubled: number;
  dropped: number;
}

export class SimNetwork {
  readonly #options: NetworkOptions;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #endpoints = new Map<string, Endpoint>();
  /** By pair, the number of the connection that stands. */
  readonly #connections = new Map<string, number>();
  /** By node, its side of a cut; nodes of equal sides reach each other. */
  readonly #sides = new Map<string, number>();
  #serial = 0;
  lossRate = 0;
  doubleRate = 0;
  /** Multiplies all latencies. */
  slowness = 1;
  readonly counts: NetworkCounts = { sent: 0, lost: 0, doubled: 0, dropped: 0 };

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
    this.#breakWhere((a, b) => a === nodeId || b === nodeId);
  }

  isConnected(a: string, b: string): boolean {
    return this.#connections.has(pairOf(a, b));
  }

  dial(from: string, to: string, done: (isUp: boolean) => void): void {
    const delay = this.#latency() * 2;
    if (!this.#isReachable(from, to)) {
      this.#clock.after(this.#options.dialTimeoutMs, () => done(false));
      return;
    }
    this.#clock.after(delay, () => {
      const isUp = this.#isReachable(from, to);
      done(isUp);
      if (!isUp || this.isConnected(from, to)) return;
      this.#serial += 1;
      this.#connections.set(pairOf(from, to), this.#serial);
      this.#endpoints.get(from)?.peer(to, true);
      this.#endpoints.get(to)?.peer(from, true);
    });
  }

  send(from: string, envelope: Envelope): void {
    this.counts.sent += 1;
    const connection = this.#connections.get(pairOf(from, envelope.to));
    if (connection === undefined) {
      this.counts.dropped += 1;
      return;
    }
    if (this.#random.chance(this.lossRate)) {
      this.counts.lost += 1;
      return;
    }
    const copies = this.#random.chance(this.doubleRate) ? 2 : 1;
    this.counts.doubled += copies - 1;
    for (let i = 0; i < copies; i += 1) {
      this.#clock.after(this.#latency(), () => {
        if (this.#connections.get(pairOf(from, envelope.to)) !== connection) return;
        this.#endpoints.get(envelope.to)?.receive(from, envelope);
      });
    }
  }

  /** Cuts the nodes into sides that do not reach each other; nodes not named are on side 0. */
  cut(sides: ReadonlyMap<string, number>): void {
    this.#sides.clear();
    for (const [nodeId, side] of sides) this.#sides.set(nodeId, side);
    this.#breakWhere((a, b) => this.#sideOf(a) !== this.#sideOf(b));
  }

  heal(): void {
    this.#sides.clear();
  }

  #isReachable(a: string, b: string): boolean {
    return this.#endpoints.has(a) && this.#endpoints.has(b) && this.#sideOf(a) === this.#sideOf(b);
  }

  #sideOf(nodeId: string): number {
    return this.#sides.get(nodeId) ?? 0;
  }

  #breakWhere(matches: (a: string, b: string) => boolean): void {
    for (const pair of [...this.#connections.keys()].toSorted()) {
      const [a, b] = pair.split(' ') as [string, string];
      if (!matches(a, b)) continue;
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

  #latency(): number {
    const { minLatencyMs, maxLatencyMs } = this.#options;
    const spread = this.#random.fraction() ** 3 * (maxLatencyMs - minLatencyMs);
    return (minLatencyMs + spread) * this.slowness;
  }
}

const pairOf = (a: string, b: string): string => (a < b ? `${a} ${b}` : `${b} ${a}`);
