/**
 * Counts connections and says no. Before hello a connection is known by its address only; after
 * hello it is counted by peer. It opens and closes nothing itself.
 */
import type { ConnectionGater, MultiaddrConnection } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { AegisError } from '../errors.ts';
import type { Clock } from '../ports.ts';
import { SECOND } from '../units.ts';
import { hostOf, networkOf } from './addresses.ts';
import type { Conduct } from './conduct.ts';
import { Door } from './door.ts';
import type { Refusal } from './hello.ts';
import type { HostLimits, Knob } from './limits.ts';
import type { Refusals } from './refusals.ts';

export interface GateDeps {
  readonly refusals: Refusals;
  readonly clock: Clock;
  readonly conduct: Pick<Conduct, 'isCut'>;
  /** Connections that have passed hello, in all and of one peer id. */
  connections(peerId?: string): number;
  /** Whether a dial was asked for by the owner of the host. */
  wantsDial(address: Multiaddr): boolean;
}

/** Longer than an honest hello takes on a busy machine. */
const PATIENCE_MS = SECOND;

/** An inbound connection that has not passed hello. */
interface Pending {
  readonly host: string;
  readonly network: string;
  readonly since: number;
}

export class Gate {
  /** Where connections are refused before anything is known but their address. */
  readonly door: Door;
  readonly #limits: HostLimits;
  readonly #deps: GateDeps;
  /** The oldest first. */
  readonly #pending = new Map<MultiaddrConnection, Pending>();
  #stopping = false;
  #isolated: ReadonlySet<string> = new Set();

  constructor(options: { limits: HostLimits }, deps: GateDeps) {
    this.#limits = options.limits;
    this.#deps = deps;
    this.door = new Door(options, deps);
  }

  get pending(): number {
    return this.#pending.size;
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

  /** No connection with it may stay, whoever has dialled. */
  isApart(nodeId: string): boolean {
    return this.isIsolated(nodeId) || this.#deps.conduct.isCut(nodeId);
  }

  /** What libp2p asks before it dials, and at each stage of an inbound connection. */
  gater(): ConnectionGater {
    return {
      denyDialMultiaddr: (address) => !this.#deps.wantsDial(address),
      denyInboundConnection: (connection) => this.#denyStranger(connection),
      denyInboundUpgradedConnection: (peerId, connection) => {
        this.#pending.delete(connection);
        this.door.welcome(hostOf(connection.remoteAddr));
        // Asked again: several of one peer may have passed hello at the same moment.
        return this.place(peerId.toString(), peerId.toString()) !== undefined;
      },
    };
  }

  /** Asked when a member has proved itself on an inbound connection. */
  place(nodeId: string, peerId: string): Refusal | undefined {
    if (this.#stopping) return 'STOPPING';
    if (this.#isolated.has(nodeId)) return 'ISOLATED';
    // The operator was told when it was cut.
    if (this.#deps.conduct.isCut(nodeId)) return 'BUSY';
    if (this.#deps.connections(peerId) >= this.#limits.maxConnectionsPerPeer) {
      return this.#busy(nodeId, 'maxConnectionsPerPeer');
    }
    if (this.#deps.connections() >= this.#limits.maxConnections) {
      return this.#busy(nodeId, 'maxConnections');
    }
    return undefined;
  }

  #busy(nodeId: string, knob: Knob): Refusal {
    this.#deps.refusals.tell({ nodeId }, knob, 'refused a connection of a member');
    return 'BUSY';
  }

  #denyStranger(connection: MultiaddrConnection): boolean {
    if (this.#stopping) return true;
    const host = hostOf(connection.remoteAddr);
    const network = networkOf(host);
    const knob = this.#full(network);
    // A newcomer will have said hello before the oldest has, if that is going to say it at all.
    if (knob !== undefined && !this.#makeRoom(knob, network)) {
      this.#deps.refusals.tell({ address: host }, knob, 'refused an inbound connection');
      return true;
    }
    this.#hold(connection, { host, network, since: this.#deps.clock.now() });
    return false;
  }

  #full(network: string): Knob | undefined {
    const { maxPendingInbound, maxPendingInboundPerAddress } = this.#limits;
    if (this.#pending.size >= maxPendingInbound) return 'maxPendingInbound';
    let ofNetwork = 0;
    for (const pending of this.#pending.values()) {
      if (pending.network === network) ofNetwork += 1;
    }
    return ofNetwork >= maxPendingInboundPerAddress ? 'maxPendingInboundPerAddress' : undefined;
  }

  /** Cuts the one that has had most time for its hello, unless it had hardly any. */
  #makeRoom(knob: Knob, network: string): boolean {
    const now = this.#deps.clock.now();
    for (const [connection, pending] of this.#pending) {
      if (now - pending.since < PATIENCE_MS) return false;
      if (knob === 'maxPendingInboundPerAddress' && pending.network !== network) continue;
      this.#pending.delete(connection);
      this.#deps.refusals.tell({ address: pending.host }, knob, 'cut a slow inbound connection');
      connection.abort(new AegisError('BUSY', 'others wait for this place'));
      return true;
    }
    return false;
  }

  /** The place is given back when the connection closes or is fully open. */
  #hold(connection: MultiaddrConnection, pending: Pending): void {
    this.#pending.set(connection, pending);
    const { clock, refusals } = this.#deps;
    const onClose = (): void => {
      if (!this.#pending.delete(connection)) return;
      if (clock.now() - pending.since < this.#limits.helloTimeoutMs) return;
      refusals.tell(
        { address: pending.host },
        'helloTimeoutMs',
        'cut a connection without a hello',
      );
    };
    connection.addEventListener('close', onClose, { once: true });
  }
}
