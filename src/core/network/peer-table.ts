/**
 * The peers of this node, by node id: their connections, which one is used, and their heartbeat.
 * A peer is up while it has at least one open connection, however many there are. It does not dial.
 *
 * When two nodes dial each other at once there are two connections. Only the node with the smaller
 * id ends one, so that they never end both; it keeps the newest, because a peer dials again only
 * when it has lost the older one.
 */
import type { Connection, Stream } from '@libp2p/interface';
import { AegisError, isAegisError, toAegisError } from '../errors.ts';
import type { Clock, Log, Random } from '../ports.ts';
import { instant, SECOND } from '../units.ts';
import type { HelloIdentity } from './hello.ts';
import type { HostLimits } from './limits.ts';
import { RpcClient } from './rpc-client.ts';
import { cutOff } from './stream-io.ts';

export const RPC_PROTOCOL = '/aegis/rpc/1';

export interface PeerConnection {
  readonly nodeId: string;
  readonly name: string;
  readonly peerId: string;
  /** Multiaddr of the connection in use. */
  readonly address: string;
  readonly direction: 'inbound' | 'outbound';
  /** Milliseconds since the Unix epoch. */
  readonly connectedAt: number;
  /** `undefined` until the first heartbeat has come back. */
  readonly rttMs: number | undefined;
  readonly agent: string;
  /** Bytes of requests, replies, envelopes and bulk streams since the peer came up. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly connections: number;
}

export interface PeerEvent {
  readonly type: 'up' | 'down';
  readonly nodeId: string;
  readonly address: string;
}

interface Peer {
  readonly identity: HelloIdentity;
  readonly peerId: string;
  readonly rpc: RpcClient;
  readonly connectedAt: number;
  /** Oldest first. */
  connections: Connection[];
  rttMs: number | undefined;
  bytesIn: number;
  bytesOut: number;
  cancelHeartbeat: () => void;
}

export interface PeerTableOptions {
  readonly nodeId: string;
  readonly limits: HostLimits;
}

export interface PeerTableDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  onEvent(event: PeerEvent): void;
}

/** A connection that loses to another may finish what it carries for so long. */
const RETIRE_AFTER_MS = 2 * SECOND;

export class PeerTable {
  readonly #options: PeerTableOptions;
  readonly #deps: PeerTableDeps;
  readonly #peers = new Map<string, Peer>();

  constructor(options: PeerTableOptions, deps: PeerTableDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  get size(): number {
    return this.#peers.size;
  }

  /** Open connections, of all peers or of one peer id. */
  connections(peerId?: string): number {
    let count = 0;
    for (const peer of this.#peers.values()) {
      if (peerId === undefined || peer.peerId === peerId) count += peer.connections.length;
    }
    return count;
  }

  add(connection: Connection, identity: HelloIdentity): void {
    if (connection.status !== 'open') return;
    const known = this.#peers.get(identity.nodeId);
    const peer = known ?? this.#create(connection, identity);
    peer.connections.push(connection);
    if (known === undefined) {
      this.#peers.set(identity.nodeId, peer);
      void this.#beat(peer);
      this.#tell('up', peer, connection);
    } else {
      this.#retireOld(peer);
    }
  }

  remove(connection: Connection): void {
    const peer = this.#byPeerId(connection.remotePeer.toString());
    if (peer === undefined || !peer.connections.includes(connection)) return;
    peer.connections = peer.connections.filter((other) => other !== connection);
    if (peer.connections.length > 0) return;
    this.#peers.delete(peer.identity.nodeId);
    peer.cancelHeartbeat();
    peer.rpc.close(cutOff());
    this.#tell('down', peer, connection);
  }

  list(): PeerConnection[] {
    return [...this.#peers.values()].map(describe);
  }

  get(nodeId: string): PeerConnection | undefined {
    const peer = this.#peers.get(nodeId);
    return peer === undefined ? undefined : describe(peer);
  }

  /** @throws {AegisError} `NOT_REACHABLE` when the peer is not connected. */
  rpc(nodeId: string): RpcClient {
    return this.#require(nodeId).rpc;
  }

  has(nodeId: string): boolean {
    return this.#peers.has(nodeId);
  }

  nodeIdOf(peerId: string): string | undefined {
    return this.#byPeerId(peerId)?.identity.nodeId;
  }

  /** The peer that this node has dialled at `address` (without peer id), if it still is there. */
  dialledAt(address: string): string | undefined {
    for (const peer of this.#peers.values()) {
      const match = peer.connections.some(
        (connection) =>
          connection.direction === 'outbound' &&
          connection.remoteAddr.toString().replace(/\/p2p\/[^/]+$/, '') === address,
      );
      if (match) return peer.identity.nodeId;
    }
    return undefined;
  }

  traffic(nodeId: string, bytesIn: number, bytesOut: number): void {
    const peer = this.#peers.get(nodeId);
    if (peer === undefined) return;
    peer.bytesIn += bytesIn;
    peer.bytesOut += bytesOut;
  }

  /** Opens a stream on the connection in use. @throws {AegisError} `NOT_REACHABLE`. */
  openStream(nodeId: string, protocol: string, signal?: AbortSignal): Promise<Stream> {
    return this.#open(this.#require(nodeId), protocol, signal);
  }

  async hangUp(nodeId: string): Promise<void> {
    const peer = this.#peers.get(nodeId);
    if (peer === undefined) return;
    await Promise.all(peer.connections.map(closeOrAbort));
  }

  /** Measures the peer now. @returns milliseconds. */
  async ping(nodeId: string): Promise<number> {
    const peer = this.#require(nodeId);
    const rttMs = await peer.rpc.ping(this.#options.limits.heartbeatTimeoutMs);
    peer.rttMs = rttMs;
    return rttMs;
  }

  close(reason: AegisError): void {
    for (const peer of this.#peers.values()) {
      peer.cancelHeartbeat();
      peer.rpc.close(reason);
    }
  }

  abortAll(reason: AegisError): void {
    for (const peer of this.#peers.values()) {
      for (const connection of peer.connections) connection.abort(reason);
    }
  }

  #create(connection: Connection, identity: HelloIdentity): Peer {
    const peer: Peer = {
      identity,
      peerId: connection.remotePeer.toString(),
      connectedAt: this.#deps.clock.now(),
      connections: [],
      rttMs: undefined,
      bytesIn: 0,
      bytesOut: 0,
      cancelHeartbeat: () => undefined,
      rpc: new RpcClient(
        { limits: this.#options.limits },
        {
          open: () => this.#open(peer, RPC_PROTOCOL),
          onTraffic: (bytesIn, bytesOut) => {
            peer.bytesIn += bytesIn;
            peer.bytesOut += bytesOut;
          },
        },
      ),
    };
    return peer;
  }

  #byPeerId(peerId: string): Peer | undefined {
    for (const peer of this.#peers.values()) {
      if (peer.peerId === peerId) return peer;
    }
    return undefined;
  }

  #require(nodeId: string): Peer {
    const peer = this.#peers.get(nodeId);
    if (peer !== undefined) return peer;
    throw new AegisError('NOT_REACHABLE', `node ${nodeId} is not connected`, {
      hint: `See why: aegis peers why ${nodeId}`,
    });
  }

  async #open(peer: Peer, protocol: string, signal?: AbortSignal): Promise<Stream> {
    const connection = peer.connections.findLast((one) => one.status === 'open');
    if (connection === undefined) throw cutOff();
    const deadline = AbortSignal.timeout(this.#options.limits.helloTimeoutMs);
    try {
      return await connection.newStream(protocol, {
        signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
        maxOutboundStreams: this.#options.limits.maxStreamsPerConnection,
      });
    } catch (error) {
      if (signal?.aborted === true) throw new AegisError('INTERRUPTED', 'cancelled by the caller');
      const { message } = toAegisError(error);
      throw new AegisError('NOT_REACHABLE', `the other node opened no stream: ${message}`, {
        cause: error,
      });
    }
  }

  #retireOld(peer: Peer): void {
    if (this.#options.nodeId > peer.identity.nodeId) return;
    const old = peer.connections.slice(0, -1);
    const { clock, log } = this.#deps;
    log.write('debug', 'a peer has two connections, ending the older', {
      nodeId: peer.identity.nodeId,
    });
    clock.wakeAt(instant(clock.now() + RETIRE_AFTER_MS), () => {
      // The newer one may have gone meanwhile; the last one is never ended.
      for (const connection of old) {
        if (peer.connections.length > 1) void closeOrAbort(connection);
      }
    });
  }

  async #beat(peer: Peer): Promise<void> {
    await this.#measure(peer);
    if (this.#peers.get(peer.identity.nodeId) !== peer) return;
    const { clock, random } = this.#deps;
    // Spread, so that many peers are not all measured in the same moment.
    const spread = 1 + random.bytes(1)[0]! / 1024;
    const pause = Math.round(this.#options.limits.heartbeatMs * spread);
    peer.cancelHeartbeat = clock.wakeAt(instant(clock.now() + pause), () => void this.#beat(peer));
  }

  /** A peer that is silent for the whole timeout is cut; one that is only busy is not. */
  async #measure(peer: Peer): Promise<void> {
    const before = peer.bytesIn;
    try {
      peer.rttMs = await peer.rpc.ping(this.#options.limits.heartbeatTimeoutMs);
    } catch (error) {
      if (!isAegisError(error) || error.code !== 'TIMEOUT' || peer.bytesIn > before) return;
      const { nodeId } = peer.identity;
      this.#deps.log.write('warn', 'a peer does not answer, cutting it off', { nodeId });
      for (const connection of peer.connections) connection.abort(error);
    }
  }

  #tell(type: 'up' | 'down', peer: Peer, connection: Connection): void {
    const { nodeId } = peer.identity;
    const address = connection.remoteAddr.toString();
    this.#deps.log.write('info', `peer ${type}`, { nodeId, address });
    this.#deps.onEvent({ type, nodeId, address });
  }
}

function describe(peer: Peer): PeerConnection {
  const current = peer.connections.at(-1)!;
  return {
    nodeId: peer.identity.nodeId,
    name: peer.identity.name,
    peerId: peer.peerId,
    address: current.remoteAddr.toString(),
    direction: current.direction,
    connectedAt: peer.connectedAt,
    rttMs: peer.rttMs,
    agent: peer.identity.agent,
    bytesIn: peer.bytesIn,
    bytesOut: peer.bytesOut,
    connections: peer.connections.length,
  };
}

async function closeOrAbort(connection: Connection): Promise<void> {
  try {
    await connection.close({ signal: AbortSignal.timeout(SECOND) });
  } catch (error) {
    connection.abort(toAegisError(error));
  }
}
