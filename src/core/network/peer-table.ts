/**
 * The peers of this node, by node id: their connections, which one is used, and their heartbeat.
 * A peer is up while it has at least one open connection, however many there are and under whatever
 * peer ids. It does not dial.
 *
 * When two nodes dial each other at once there are two connections. Only the node with the smaller
 * id ends one, so that they never end both; it keeps the newest, because a peer dials again only
 * when it has lost the older one, or the one through an onion service (docs/tor.md, O4). After a
 * rotation (docs/keys.md, H5) both sides know which one is outdated; it ends as soon as what it
 * carries is done.
 */
import type { Connection, Stream } from '@libp2p/interface';
import { AegisError, isAegisError, toAegisError } from '../errors.ts';
import type { Clock, Log, Random, Security } from '../ports.ts';
import { instant, SECOND } from '../units.ts';
import { withoutPeer } from './addresses.ts';
import type { HelloIdentity } from './hello.ts';
import type { HostLimits } from './limits.ts';
import { bestOf, carries, isOpen, isOutdated, isTwin, type Link, losersOf } from './links.ts';
import { type Side, sideOf, type Times, timesOf } from './passages.ts';
import {
  describe,
  inUse,
  type Peer,
  type PeerConnection,
  type PeerEvent,
  remoteOf,
} from './peer.ts';
import { RpcClient } from './rpc-client.ts';
import { cutOff } from './stream-io.ts';

export const RPC_PROTOCOL = '/aegis/rpc/1';
export const CAR_PROTOCOL = '/aegis/car/1';
/** What a connection may carry that would be missed. */
const CARGO: ReadonlySet<string> = new Set([RPC_PROTOCOL, CAR_PROTOCOL]);

export interface PeerTableOptions {
  readonly nodeId: string;
  readonly limits: HostLimits;
}

export interface PeerTableDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  onEvent(event: PeerEvent): void;
  readonly security: Security;
  /** Connections beside those of the table (O11). */
  lanes(nodeId: string): number;
}

/** A connection that loses to its twin may finish what it carries for so long. */
const RETIRE_AFTER_MS = 2 * SECOND;
const DRAIN_MS_MIN = 500;
const LOOK_AGAIN_MS = 100;

export class PeerTable {
  readonly #options: PeerTableOptions;
  readonly #deps: PeerTableDeps;
  readonly #peers = new Map<string, Peer>();
  readonly #byConnection = new Map<Connection, Peer>();
  readonly #draining = new WeakSet<Link>();

  constructor(options: PeerTableOptions, deps: PeerTableDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  get size(): number {
    return this.#peers.size;
  }

  /** Open connections, of all peers or of one peer id, on both sides or on one (O4). */
  connections(of: { readonly peerId?: string; readonly side?: Side } = {}): number {
    const { peerId, side } = of;
    let count = 0;
    for (const link of [...this.#peers.values()].flatMap(({ links }) => links)) {
      const isMeant = peerId === undefined || peerId === remoteOf(link);
      if (isMeant && (side === undefined || side === sideOf(link.class))) count += 1;
    }
    return count;
  }

  add(link: Link): void {
    const { connection, identity } = link;
    if (connection.status !== 'open') return;
    const { nodeId } = identity;
    const known = this.#peers.get(nodeId);
    const peer = known ?? this.#create(nodeId);
    peer.links.push(link);
    this.#byConnection.set(connection, peer);
    if (known === undefined) {
      this.#peers.set(nodeId, peer);
      void this.#beat(peer);
      this.#tell('up', peer, connection);
    } else {
      void this.#lookForOther(peer, link);
      this.#sortOut(peer, link);
    }
  }

  remove(connection: Connection): void {
    const peer = this.#byConnection.get(connection);
    if (peer === undefined) return;
    this.#byConnection.delete(connection);
    peer.links = peer.links.filter((link) => link.connection !== connection);
    if (peer.links.length > 0) return;
    this.#peers.delete(peer.nodeId);
    peer.cancelHeartbeat();
    peer.rpc.close(cutOff());
    this.#tell('down', peer, connection);
  }

  /** Cuts the connections of identities that are accepted no more. @returns how many. */
  review(accepts: (identity: HelloIdentity) => boolean): number {
    const cut = [...this.#peers.values()].flatMap(({ links }) =>
      links.filter(({ identity }) => !accepts(identity)),
    );
    for (const { connection, identity } of cut) {
      const { nodeId } = identity;
      this.#deps.log.write('info', 'cut a connection that is accepted no more', { nodeId });
      connection.abort(cutOff());
    }
    return cut.length;
  }

  /** Peers with a connection of an earlier generation that none of this one has replaced. */
  unreplaced(generation: number): string[] {
    return [...this.#peers.values()]
      .filter(({ links }) =>
        links.some((link) => link.generation < generation && !isOutdated(link, links)),
      )
      .map(({ nodeId }) => nodeId);
  }

  learned(nodeId: string, addresses: readonly string[]): void {
    const peer = this.#peers.get(nodeId);
    if (peer !== undefined) peer.listens = addresses;
  }

  /** Where the peer was dialled, without peer ids; newest first. */
  dialled(nodeId: string): string[] {
    const links = this.#peers.get(nodeId)?.links ?? [];
    const outbound = links.filter(({ connection }) => connection.direction === 'outbound');
    return outbound.map(({ connection }) => withoutPeer(connection.remoteAddr)).toReversed();
  }

  /** Where the peer says it listens. Not checked. */
  listens(nodeId: string): readonly string[] {
    return this.#peers.get(nodeId)?.listens ?? [];
  }

  list(): PeerConnection[] {
    return [...this.#peers.values()].map((peer) => describe(peer, this.#deps.lanes(peer.nodeId)));
  }

  get(nodeId: string): PeerConnection | undefined {
    const peer = this.#peers.get(nodeId);
    return peer === undefined ? undefined : describe(peer, this.#deps.lanes(nodeId));
  }

  /** @throws {AegisError} `NOT_REACHABLE` when the peer is not connected. */
  rpc(nodeId: string): RpcClient {
    return this.#require(nodeId).rpc;
  }

  has(nodeId: string): boolean {
    return this.#peers.has(nodeId);
  }

  nodeIdOf(peerId: string): string | undefined {
    for (const { nodeId, links } of this.#peers.values()) {
      if (links.some((link) => remoteOf(link) === peerId)) return nodeId;
    }
    return undefined;
  }

  /** The peer that this node has dialled at `address` (without peer id), if it still is there. */
  dialledAt(address: string): string | undefined {
    for (const nodeId of this.#peers.keys()) {
      if (this.dialled(nodeId).includes(address)) return nodeId;
    }
    return undefined;
  }

  traffic(nodeId: string, bytesIn: number, bytesOut: number): void {
    const peer = this.#peers.get(nodeId);
    if (peer === undefined) return;
    peer.bytesIn += bytesIn;
    peer.bytesOut += bytesOut;
  }

  /** The connection in use, if it goes through an onion service. */
  onionTalk(nodeId: string): Link | undefined {
    const link = bestOf(this.#peers.get(nodeId)?.links ?? []);
    return link?.class === 'onion' ? link : undefined;
  }

  /** Opens a stream on the connection in use. @throws {AegisError} `NOT_REACHABLE`. */
  openStream(nodeId: string, protocol: string, signal?: AbortSignal): Promise<Stream> {
    return this.#open(this.#require(nodeId), protocol, signal);
  }

  /** The same on a connection beside those of the table. */
  async openOn(connection: Connection, protocol: string, signal?: AbortSignal): Promise<Stream> {
    const { onionStreamTimeoutMs, maxStreamsPerConnection } = this.#options.limits;
    const deadline = AbortSignal.timeout(onionStreamTimeoutMs);
    return await connection.newStream(protocol, {
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
      maxOutboundStreams: maxStreamsPerConnection,
    });
  }

  async hangUp(nodeId: string): Promise<void> {
    const peer = this.#peers.get(nodeId);
    if (peer === undefined) return;
    await Promise.all(peer.links.map(closeOrAbort));
  }

  /** Measures the peer now. @returns milliseconds. */
  async ping(nodeId: string): Promise<number> {
    const peer = this.#require(nodeId);
    const rttMs = await peer.rpc.ping(this.#times(peer).heartbeatTimeoutMs);
    peer.rttMs = rttMs;
    return rttMs;
  }

  close(reason: AegisError): void {
    for (const peer of this.#peers.values()) {
      peer.cancelHeartbeat();
      peer.rpc.close(reason);
    }
  }

  /** Ends connections at once, of all peers or of one. */
  abortAll(reason: AegisError, nodeId?: string): void {
    for (const peer of [...this.#peers.values()]) {
      if (nodeId !== undefined && peer.nodeId !== nodeId) continue;
      for (const { connection } of peer.links) connection.abort(reason);
    }
  }

  #create(nodeId: string): Peer {
    const peer: Peer = {
      nodeId,
      connectedAt: this.#deps.clock.now(),
      links: [],
      listens: [],
      rttMs: undefined,
      bytesIn: 0,
      bytesOut: 0,
      runsTwice: false,
      cancelHeartbeat: () => undefined,
      rpc: new RpcClient(
        { limits: this.#options.limits },
        {
          open: () => this.#open(peer, RPC_PROTOCOL),
          timeoutMs: () => this.#times(peer).rpcMs,
          onTraffic: (bytesIn, bytesOut) => {
            peer.bytesIn += bytesIn;
            peer.bytesOut += bytesOut;
          },
        },
      ),
    };
    return peer;
  }

  /** O24: of the connection in use. */
  #times(peer: Peer): Times {
    return timesOf(this.#options.limits, inUse(peer)?.class ?? 'direct');
  }

  #require(nodeId: string): Peer {
    const peer = this.#peers.get(nodeId);
    if (peer !== undefined) return peer;
    throw new AegisError('NOT_REACHABLE', `node ${nodeId} is not connected`, {
      hint: `See why: aegis peers why ${nodeId}`,
    });
  }

  async #open(peer: Peer, protocol: string, signal?: AbortSignal): Promise<Stream> {
    const deadline = AbortSignal.timeout(this.#times(peer).openMs);
    const streamOptions = {
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
      maxOutboundStreams: this.#options.limits.maxStreamsPerConnection,
    };
    let tried: Connection | undefined;
    for (;;) {
      const connection = bestOf(peer.links)?.connection;
      if (connection === undefined) throw cutOff();
      try {
        return await connection.newStream(protocol, streamOptions);
      } catch (error) {
        if (signal?.aborted === true) {
          throw new AegisError('INTERRUPTED', 'cancelled by the caller');
        }
        // It may just have been ended for another one: then that one is asked, once.
        const other = bestOf(peer.links)?.connection;
        if (tried === undefined && other !== undefined && other !== connection) {
          tried = connection;
          continue;
        }
        const { message } = toAegisError(error);
        throw new AegisError('NOT_REACHABLE', `the other node opened no stream: ${message}`, {
          cause: error,
        });
      }
    }
  }

  /** Which connections end now that there is another one. */
  #sortOut(peer: Peer, added: Link): void {
    const { links } = peer;
    const outdated = links.filter((link) => isOutdated(link, links));
    if (outdated.length > 0) peer.rpc.renew();
    for (const link of outdated) this.#drain(peer, link);
    // Of twins the node with the smaller id keeps one.
    if (outdated.includes(added) || this.#options.nodeId > peer.nodeId) return;
    const losers = losersOf(added, links);
    if (losers.length === 0) return;
    const { clock, log } = this.#deps;
    log.write('debug', 'a peer has two connections, ending one', { nodeId: peer.nodeId });
    if (!losers.includes(added)) peer.rpc.renew();
    clock.wakeAt(instant(clock.now() + RETIRE_AFTER_MS), () => {
      for (const link of losers) {
        // The newer one may have gone meanwhile; the last one is never ended.
        if (peer.links.some((one) => isOpen(one) && isTwin(one, link))) end(peer, link);
      }
    });
  }

  /**
   * A copied home that runs beside its original has the same keys, and another instance. A process
   * that was killed may leave a connection, so the older one has to answer.
   */
  async #lookForOther(peer: Peer, added: Link): Promise<void> {
    const { instance } = added.identity;
    const other = peer.links.find(
      (link) => isOpen(link) && (link.identity.instance ?? instance) !== instance,
    );
    if (other === undefined || peer.runsTwice) return;
    try {
      const signal = AbortSignal.timeout(timesOf(this.#options.limits, other.class).openMs);
      const stream = await other.connection.newStream(RPC_PROTOCOL, { signal });
      stream.abort(cutOff());
    } catch {
      // It is gone, as after any restart.
      return;
    }
    if (peer.runsTwice || !isOpen(added)) return;
    peer.runsTwice = true;
    const { nodeId } = peer;
    this.#deps.log.write('error', 'a peer runs twice: its home was copied', { nodeId });
    this.#deps.security.tell({ type: 'runs-twice', nodeId });
  }

  /** Ends an outdated connection when it carries nothing any more, or after a while. */
  #drain(peer: Peer, link: Link): void {
    if (this.#draining.has(link)) return;
    this.#draining.add(link);
    const { clock } = this.#deps;
    const until = clock.now() + this.#options.limits.drainTimeoutMs;
    const wake = (pauseMs: number): void => {
      clock.wakeAt(instant(clock.now() + pauseMs), look);
    };
    const look = (): void => {
      if (!peer.links.includes(link)) return;
      const now = clock.now();
      // What outdates it may have gone meanwhile: then it is what there is.
      if (!isOutdated(link, peer.links)) this.#draining.delete(link);
      else if (carries(link, CARGO) && now < until) wake(LOOK_AGAIN_MS);
      else end(peer, link);
    };
    // Not at once: the other side may not have heard of the better one yet.
    wake(DRAIN_MS_MIN);
  }

  async #beat(peer: Peer): Promise<void> {
    await this.#measure(peer);
    if (this.#peers.get(peer.nodeId) !== peer) return;
    const { clock, random } = this.#deps;
    // Spread, so that many peers are not all measured in the same moment.
    const spread = 1 + random.bytes(1)[0]! / 1024;
    const pause = Math.round(this.#times(peer).heartbeatMs * spread);
    peer.cancelHeartbeat = clock.wakeAt(instant(clock.now() + pause), () => void this.#beat(peer));
  }

  /** A peer that is silent for the whole timeout is cut; one that is only busy is not. */
  async #measure(peer: Peer): Promise<void> {
    const before = peer.bytesIn;
    try {
      peer.rttMs = await peer.rpc.ping(this.#times(peer).heartbeatTimeoutMs);
    } catch (error) {
      if (!isAegisError(error) || error.code !== 'TIMEOUT' || peer.bytesIn > before) return;
      const { nodeId } = peer;
      this.#deps.log.write('warn', 'a peer does not answer, cutting it off', { nodeId });
      for (const { connection } of peer.links) connection.abort(error);
    }
  }

  #tell(type: 'up' | 'down', peer: Peer, connection: Connection): void {
    const { nodeId } = peer;
    const address = connection.remoteAddr.toString();
    this.#deps.log.write('info', `peer ${type}`, { nodeId, address });
    this.#deps.onEvent({ type, nodeId, address });
  }
}

/** The last connection of a peer is never ended here. */
function end(peer: Peer, link: Link): void {
  if (peer.links.length > 1 && peer.links.includes(link)) void closeOrAbort(link);
}

async function closeOrAbort({ connection }: Link): Promise<void> {
  try {
    await connection.close({ signal: AbortSignal.timeout(SECOND) });
  } catch (error) {
    connection.abort(toAegisError(error));
  }
}
