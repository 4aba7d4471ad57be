/**
 * Counts connections and says no. Before hello a connection is known by its address only; after
 * hello it is counted by peer. It opens and closes nothing itself.
 */
import type { ConnectionGater, MultiaddrConnection } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { Clock } from '../ports.ts';
import { SECOND } from '../units.ts';
import { hostOf } from './addresses.ts';
import type { Refusal } from './hello.ts';
import type { HostLimits } from './limits.ts';
import type { Refusals } from './refusals.ts';

export interface GateDeps {
  readonly refusals: Refusals;
  readonly clock: Clock;
  /** Connections that have passed hello, in all and of one peer id. */
  connections(peerId?: string): number;
  /** Whether a dial was asked for by the owner of the host. */
  wantsDial(address: Multiaddr): boolean;
}

const MAX_ADDRESSES = 4096;

export class Gate {
  readonly #limits: HostLimits;
  readonly #deps: GateDeps;
  readonly #pending = new Map<string, number>();
  readonly #rate = new Map<string, { second: number; count: number }>();
  readonly #releases = new WeakMap<object, () => void>();
  #pendingTotal = 0;
  #stopping = false;
  #isolated: ReadonlySet<string> = new Set();

  constructor(options: { limits: HostLimits }, deps: GateDeps) {
    this.#limits = options.limits;
    this.#deps = deps;
  }

  get pending(): number {
    return this.#pendingTotal;
  }

  stop(): void {
    this.#stopping = true;
  }

  /** With whom this node has no connection from now on; replaces the set of before. */
  isolate(nodeIds: ReadonlySet<string>): void {
    this.#isolated = new Set(nodeIds);
  }

  isIsolated(nodeId: string): boolean {
    return this.#isolated.has(nodeId);
  }

  /** What libp2p asks before it dials, and at each stage of an inbound connection. */
  gater(): ConnectionGater {
    return {
      denyDialMultiaddr: (address) => !this.#deps.wantsDial(address),
      denyInboundConnection: (connection) => this.#denyStranger(connection),
      denyInboundUpgradedConnection: (peerId, connection) => {
        this.#releases.get(connection)?.();
        // Asked again: several of one peer may have passed hello at the same moment.
        return this.place(peerId.toString(), peerId.toString()) !== undefined;
      },
    };
  }

  /** Asked when a member has proved itself on an inbound connection. */
  place(nodeId: string, peerId: string): Refusal | undefined {
    if (this.#stopping) return 'STOPPING';
    if (this.#isolated.has(nodeId)) return 'ISOLATED';
    if (this.#deps.connections(peerId) >= this.#limits.maxConnectionsPerPeer) {
      return this.#busy(nodeId, 'maxConnectionsPerPeer');
    }
    if (this.#deps.connections() >= this.#limits.maxConnections) {
      return this.#busy(nodeId, 'maxConnections');
    }
    return undefined;
  }

  #busy(nodeId: string, knob: keyof HostLimits): Refusal {
    this.#deps.refusals.tell(nodeId, knob, 'refused a connection of a member');
    return 'BUSY';
  }

  #denyStranger(connection: MultiaddrConnection): boolean {
    const host = hostOf(connection.remoteAddr);
    const knob = this.#full(host);
    if (knob !== undefined) {
      this.#deps.refusals.tell(host, knob, 'refused an inbound connection');
      return true;
    }
    this.#hold(host, connection);
    return false;
  }

  #full(host: string): keyof HostLimits | 'stopping' | undefined {
    const limits = this.#limits;
    if (this.#stopping) return 'stopping';
    if (this.#pendingTotal >= limits.maxPendingInbound) return 'maxPendingInbound';
    const pending = this.#pending.get(host) ?? 0;
    if (pending >= limits.maxPendingInboundPerAddress) return 'maxPendingInboundPerAddress';
    if (this.#tooFast(host)) return 'inboundPerSecondPerAddress';
    return undefined;
  }

  #tooFast(host: string): boolean {
    const second = Math.floor(this.#deps.clock.now() / SECOND);
    const last = this.#rate.get(host);
    if (last?.second === second) {
      last.count += 1;
      return last.count > this.#limits.inboundPerSecondPerAddress;
    }
    this.#rate.delete(host);
    if (this.#rate.size >= MAX_ADDRESSES) this.#rate.clear();
    this.#rate.set(host, { second, count: 1 });
    return false;
  }

  /** The place is given back when the connection closes or is fully open. */
  #hold(host: string, connection: MultiaddrConnection): void {
    this.#pendingTotal += 1;
    this.#pending.set(host, (this.#pending.get(host) ?? 0) + 1);
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      this.#pendingTotal -= 1;
      const left = (this.#pending.get(host) ?? 1) - 1;
      if (left === 0) this.#pending.delete(host);
      else this.#pending.set(host, left);
    };
    this.#releases.set(connection, release);
    connection.addEventListener('close', release, { once: true });
  }
}
