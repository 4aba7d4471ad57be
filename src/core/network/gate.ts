/**
 * Counts connections and says no. Before hello a connection is known by its address only, or by
 * the ticket that it has shown; after hello it is counted by peer. What goes through Tor has its
 * own places (O4). It opens and closes nothing itself.
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
import { type Passage, type Passages, type Side, sideOf } from './passages.ts';
import type { Refusals, Sender } from './refusals.ts';

export interface GateDeps {
  readonly refusals: Refusals;
  readonly clock: Clock;
  readonly conduct: Pick<Conduct, 'isCut'>;
  readonly passages: Pick<Passages, 'of'>;
  /** Connections of that side that have passed hello, with lanes. */
  connections(side: Side): number;
  /** The same of one peer id, without lanes. */
  talks(peerId: string, side: Side): number;
  /** Lanes that a member has opened here (O11); undefined: it has no connection beside them. */
  lanes(nodeId: string): number | undefined;
  /** Whether a dial was asked for by the owner of the host. */
  wantsDial(address: Multiaddr): boolean;
}

/** Longer than an honest hello takes on a busy machine, and through Tor. */
const PATIENCE_MS = { direct: SECOND, onion: 10 * SECOND } as const;
/** O20: places before hello for those who have shown the ticket of a member. */
const HOLDERS_PART = 1 / 4;
/** Lanes take no place that a peer without any connection may need. */
const LANES_PART = 3 / 4;

/** An inbound connection that has not passed hello. */
interface Pending {
  readonly host: string;
  readonly network: string;
  readonly passage: Passage;
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
        const passage = this.#deps.passages.of(connection);
        const nodeId = passage.nodeId ?? peerId.toString();
        return this.place(nodeId, peerId.toString(), passage) !== undefined;
      },
    };
  }

  /** Asked when a member has proved itself on an inbound connection. */
  place(nodeId: string, peerId: string, passage: Passage): Refusal | undefined {
    if (this.#stopping) return 'STOPPING';
    if (this.#isolated.has(nodeId)) return 'ISOLATED';
    // The operator was told when it was cut.
    if (this.#deps.conduct.isCut(nodeId)) return 'BUSY';
    const knob = this.#crowded(nodeId, peerId, passage);
    if (knob === undefined) return undefined;
    this.#deps.refusals.tell({ nodeId }, knob, 'refused a connection of a member');
    return 'BUSY';
  }

  #crowded(nodeId: string, peerId: string, { class: way, purpose }: Passage): Knob | undefined {
    const { connections, talks, lanes } = this.#deps;
    const { maxConnections, maxOnionConnections, lanesPerPeer } = this.#limits;
    const side = sideOf(way);
    const [most, knob] =
      side === 'onion'
        ? ([maxOnionConnections, 'maxOnionConnections'] as const)
        : ([maxConnections, 'maxConnections'] as const);
    if (purpose === 'lane') {
      // O11: a lane runs beside a connection that talks, and through Tor.
      const count = side === 'onion' ? lanes(nodeId) : undefined;
      if (count === undefined || count >= lanesPerPeer) return 'lanesPerPeer';
      return connections(side) >= most * LANES_PART ? knob : undefined;
    }
    const { maxConnectionsPerPeer, maxOnionConnectionsPerPeer } = this.#limits;
    const ofPeer = talks(peerId, side);
    if (side === 'onion' && ofPeer >= maxOnionConnectionsPerPeer) {
      return 'maxOnionConnectionsPerPeer';
    }
    if (side === 'direct' && ofPeer >= maxConnectionsPerPeer) return 'maxConnectionsPerPeer';
    return connections(side) >= most ? knob : undefined;
  }

  #denyStranger(connection: MultiaddrConnection): boolean {
    if (this.#stopping) return true;
    const host = hostOf(connection.remoteAddr);
    const passage = this.#deps.passages.of(connection);
    const since = this.#deps.clock.now();
    const pending: Pending = { host, network: networkOf(host), passage, since };
    const knob = this.#full(pending);
    // A newcomer will have said hello before the oldest has, if that is going to say it at all.
    if (knob !== undefined && !this.#makeRoom(knob, pending)) {
      this.#deps.refusals.tell(senderOf(pending), knob, 'refused an inbound connection');
      return true;
    }
    this.#hold(connection, pending);
    return false;
  }

  #full(newcomer: Pending): Knob | undefined {
    const { maxPendingInbound, maxPendingOnionInbound, maxPendingInboundPerAddress } = this.#limits;
    const { maxOnionConnectionsPerPeer } = this.#limits;
    const rivals = [...this.#pending.values()].filter((one) => areRivals(one, newcomer));
    const { class: way, holder } = newcomer.passage;
    if (sideOf(way) === 'onion') {
      // A few members could take the places of all of them else.
      const own = rivals.filter(({ passage }) => passage.holder === holder).length;
      const isHolder = holder !== undefined;
      if (isHolder && own >= maxOnionConnectionsPerPeer) return 'maxOnionConnectionsPerPeer';
      const most = maxPendingOnionInbound * (isHolder ? HOLDERS_PART : 1);
      return rivals.length >= most ? 'maxPendingOnionInbound' : undefined;
    }
    if (rivals.length >= maxPendingInbound) return 'maxPendingInbound';
    const ofNetwork = rivals.filter(({ network }) => network === newcomer.network).length;
    return ofNetwork >= maxPendingInboundPerAddress ? 'maxPendingInboundPerAddress' : undefined;
  }

  /**
   * Cuts the one that has had most time for its hello, unless it had hardly any. A member that has
   * too many takes the place of its own oldest one.
   */
  #makeRoom(knob: Knob, newcomer: Pending): boolean {
    const patienceMs = PATIENCE_MS[sideOf(newcomer.passage.class)];
    const isOfHolder = knob === 'maxOnionConnectionsPerPeer';
    for (const [connection, pending] of this.#pending) {
      if (!areRivals(pending, newcomer)) continue;
      if (isOfHolder && pending.passage.holder !== newcomer.passage.holder) continue;
      if (!isOfHolder && newcomer.since - pending.since < patienceMs) return false;
      const isOther = pending.network !== newcomer.network;
      if (knob === 'maxPendingInboundPerAddress' && isOther) continue;
      this.#pending.delete(connection);
      this.#deps.refusals.tell(senderOf(pending), knob, 'cut a slow inbound connection');
      connection.abort(new AegisError('BUSY', 'others wait for this place'));
      return true;
    }
    return false;
  }

  /** The place is given back when the connection closes or is fully open. */
  #hold(connection: MultiaddrConnection, pending: Pending): void {
    this.#pending.set(connection, pending);
    const { clock, refusals } = this.#deps;
    const isOnion = sideOf(pending.passage.class) === 'onion';
    const knob = isOnion ? 'onionHelloTimeoutMs' : 'helloTimeoutMs';
    const onClose = (): void => {
      if (!this.#pending.delete(connection)) return;
      const isOver = clock.now() - pending.since >= this.#limits[knob];
      if (!(pending.passage.deadline?.aborted ?? isOver)) return;
      refusals.tell(senderOf(pending), knob, 'cut a connection without a hello');
    };
    connection.addEventListener('close', onClose, { once: true });
  }
}

/** Who takes places from whom: each side apart, and members with tickets apart from strangers. */
const areRivals = (a: Pending, b: Pending): boolean =>
  sideOf(a.passage.class) === sideOf(b.passage.class) &&
  (a.passage.holder === undefined) === (b.passage.holder === undefined);

/** A ticket is no proof, but says more than the class of all that come through Tor. */
const senderOf = ({ host, passage: { holder } }: Pending): Sender =>
  holder === undefined ? { address: host } : { nodeId: holder };
