/**
 * The host: this node on the network. It opens connections, lets nobody in who does not pass hello,
 * and carries requests, envelopes and bulk streams between members. It does not decide whom to
 * dial (the peer book does), and gives no meaning to what it carries.
 */
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type {
  Connection,
  ConnectionEncrypter,
  MessageStream,
  PeerId,
  Stream,
} from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import type { Multiaddr } from '@multiformats/multiaddr';
import { AegisError, toAegisError } from '../errors.ts';
import type { Envelope } from '../machine.ts';
import { nodeIdOf } from '../model/identity.ts';
import type { Clock, DialedPeer, Dialer, Log, Metrics, Random } from '../ports.ts';
import { hostOf, parseListenAddress } from './addresses.ts';
import { Bulk, type BulkHandler, type BulkOptions } from './bulk.ts';
import { Dialing } from './dialing.ts';
import { Gate } from './gate.ts';
import type { HelloContext, HelloIdentity } from './hello.ts';
import { HelloEncrypter } from './hello-encrypter.ts';
import { type HostLimits, limitsOf, type Profile } from './limits.ts';
import { type PeerConnection, type PeerEvent, PeerTable, RPC_PROTOCOL } from './peer-table.ts';
import { Refusals } from './refusals.ts';
import type { RequestOptions } from './rpc-client.ts';
import { type IncomingEnvelope, type RequestHandler, RpcServer } from './rpc-server.ts';
import { createSwarm, type Swarm } from './swarm.ts';

const CAR_PROTOCOL = '/aegis/car/1';

export interface HostOptions {
  /** Ed25519 seed of the network key, 32 bytes. */
  readonly networkSeed: Uint8Array;
  /** Multiaddrs, e.g. `/ip4/127.0.0.1/tcp/0`. */
  readonly listen: readonly string[];
  readonly hello: HelloContext;
  readonly profile: Profile;
  readonly limits?: Partial<HostLimits>;
  /** @default 'aegis/0.1.0' */
  readonly agent?: string;
}

export interface HostDeps {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
}

export interface HostStats {
  readonly peers: number;
  readonly connections: number;
  readonly pendingInbound: number;
  readonly pendingDials: number;
  readonly bulkStreams: number;
}

export interface RotateOptions {
  /** Connections of the key of before end after this, replaced or not. @default 60,000 */
  readonly graceMs?: number;
  /** Where a peer may be found, beside what the host itself knows. */
  addressesOf?(nodeId: string): readonly string[];
}

export interface LearnedAddresses {
  readonly nodeId: string;
  /** Where the peer says it listens. Not checked. */
  readonly addresses: readonly string[];
}

const stopping = (): AegisError => new AegisError('STOPPING', 'the node is stopping');

export class Host implements Dialer {
  readonly peerId: string;
  readonly #options: HostOptions;
  readonly #deps: HostDeps;
  readonly #limits: HostLimits;
  readonly #refusals: Refusals;
  readonly #gate: Gate;
  readonly #table: PeerTable;
  readonly #dialing: Dialing;
  readonly #rpc: RpcServer;
  readonly #bulk: Bulk;
  readonly #identities = new Map<string, HelloIdentity>();
  readonly #onPeer = new Set<(event: PeerEvent) => void>();
  readonly #onEnvelope = new Set<(envelope: IncomingEnvelope) => void>();
  readonly #onAddresses = new Set<(learned: LearnedAddresses) => void>();
  #swarm: Swarm | undefined;

  private constructor(options: HostOptions, deps: HostDeps, peerId: string) {
    this.peerId = peerId;
    this.#options = options;
    this.#deps = deps;
    this.#limits = limitsOf(options.profile, options.limits);
    const limits = this.#limits;
    const { log, clock, random } = deps;
    const nodeId = nodeIdOf(options.hello.own().inception);
    this.#refusals = new Refusals(deps);
    this.#table = new PeerTable(
      { nodeId, limits },
      { log, clock, random, onEvent: (event) => this.#tell(event) },
    );
    const connections = (id?: string): number => this.#table.connections(id);
    const wantsDial = (address: Multiaddr): boolean => this.#dialing.wants(address);
    this.#gate = new Gate({ limits }, { refusals: this.#refusals, clock, connections, wantsDial });
    this.#dialing = new Dialing(
      { limits },
      {
        ownPeerId: peerId,
        dial: (address, signal) => this.#running().dial(address, { signal }),
        nodeIdOf: (id) => this.#table.nodeIdOf(id),
        dialledAt: (address) => this.#table.dialledAt(address),
      },
    );
    const onTraffic = (id: string, bytesIn: number, bytesOut: number): void =>
      this.#table.traffic(id, bytesIn, bytesOut);
    const onRefusal = (id: string, knob: keyof HostLimits): void =>
      this.#refusals.tell(id, knob, 'refused work for a peer');
    const onEnvelope = (envelope: IncomingEnvelope): void => {
      for (const listener of this.#onEnvelope) listener(envelope);
    };
    this.#rpc = new RpcServer({ limits }, { log, onTraffic, onRefusal, onEnvelope });
    this.#bulk = new Bulk({ limits }, { onTraffic, onRefusal });
  }

  static async create(options: HostOptions, deps: HostDeps): Promise<Host> {
    for (const address of options.listen) parseListenAddress(address);
    const key = await generateKeyPairFromSeed('Ed25519', options.networkSeed);
    return new Host(options, deps, peerIdFromPrivateKey(key).toString());
  }

  /** @throws {AegisError} `PORT_IN_USE`, `BAD_CONFIG`. */
  async start(): Promise<void> {
    const { networkSeed, listen, profile, agent = 'aegis/0.1.0' } = this.#options;
    const limits = this.#limits;
    const swarm = await createSwarm(
      { networkSeed, listen, agent, limits, profile },
      { gater: this.#gate.gater(), encrypter: (noise) => this.#encrypter(noise, agent) },
    );
    swarm.addEventListener('connection:open', (event) => this.#opened(event.detail));
    swarm.addEventListener('connection:close', (event) => this.#table.remove(event.detail));
    swarm.addEventListener('peer:identify', ({ detail }) =>
      this.#learned(detail.peerId, detail.listenAddrs),
    );
    const streams = { maxInboundStreams: limits.maxStreamsPerConnection };
    await swarm.handle(
      RPC_PROTOCOL,
      (stream, connection) => this.#serve(stream, connection, (id) => this.#rpc.serve(id, stream)),
      streams,
    );
    await swarm.handle(
      CAR_PROTOCOL,
      (stream, connection) => this.#serve(stream, connection, (id) => this.#bulk.serve(id, stream)),
      streams,
    );
    this.#swarm = swarm;
    try {
      await swarm.start();
    } catch (error) {
      this.#swarm = undefined;
      throw explainListen(listen, error);
    }
  }

  /** Ends all connections; bounded by `limits.stopTimeoutMs`. */
  async stop(): Promise<void> {
    const swarm = this.#swarm;
    if (swarm === undefined) return;
    this.#swarm = undefined;
    this.#gate.stop();
    this.#dialing.stop();
    this.#table.close(stopping());
    let timer: NodeJS.Timeout | undefined;
    const bound = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#table.abortAll(stopping());
        resolve();
      }, this.#limits.stopTimeoutMs);
    });
    const stopped = Promise.resolve(swarm.stop()).catch((error: unknown) => {
      const reason = toAegisError(error).message;
      this.#deps.log.write('warn', 'the network did not stop cleanly', { reason });
    });
    await Promise.race([stopped, bound]);
    clearTimeout(timer);
  }

  /** Multiaddrs at which this node listens, with its peer id. */
  addresses(): string[] {
    return this.#swarm?.getMultiaddrs().map(String) ?? [];
  }

  dial(address: string, options: { timeoutMs: number }): Promise<DialedPeer> {
    return this.#dialing.dial(address, options);
  }

  peers(): PeerConnection[] {
    return this.#table.list();
  }

  peer(nodeId: string): PeerConnection | undefined {
    return this.#table.get(nodeId);
  }

  /** Each peer comes up once and goes down once, however many connections it has. */
  onPeer(listener: (event: PeerEvent) => void): () => void {
    this.#onPeer.add(listener);
    return () => this.#onPeer.delete(listener);
  }

  onAddresses(listener: (learned: LearnedAddresses) => void): () => void {
    this.#onAddresses.add(listener);
    return () => this.#onAddresses.delete(listener);
  }

  hangUp(nodeId: string): Promise<void> {
    return this.#table.hangUp(nodeId);
  }

  /**
   * Closes the connections with these nodes, and neither dials nor accepts them until it is called
   * with another set. Nothing of it outlives the process.
   *
   * @returns how many peers went down for it.
   */
  async isolate(nodeIds: ReadonlySet<string>): Promise<number> {
    this.#gate.isolate(nodeIds);
    const connected = [...nodeIds].filter((nodeId) => this.#table.has(nodeId));
    await Promise.all(connected.map((nodeId) => this.#table.hangUp(nodeId)));
    return connected.length;
  }

  /**
   * Takes another network key without a restart (H5): a new libp2p identity behind the same
   * listening sockets. Resolves when it is the one that dials and answers; peers are then dialled
   * anew, and old connections end when they are replaced, at the latest after the grace.
   *
   * @throws {AegisError} `STOPPING`, `BAD_CONFIG`: this node goes on with the key of before.
   */
  async rotate(networkSeed: Uint8Array, options: RotateOptions = {}): Promise<void> {
    throw new AegisError('BUG', `not built yet: ${networkSeed.length} ${options.graceMs}`);
  }

  /**
   * Cuts, at once, the connections whose identity is accepted no more (H5).
   * @returns how many.
   */
  review(accepts: (identity: HelloIdentity) => boolean): number {
    return [...this.#identities.values()].filter((identity) => !accepts(identity)).length;
  }

  /** See `RpcClient.request` for the errors. */
  async request(
    nodeId: string,
    method: string,
    body: Uint8Array,
    options: RequestOptions = {},
  ): Promise<Uint8Array> {
    return this.#table.rpc(nodeId).request(method, body, options);
  }

  handle(method: string, handler: RequestHandler): void {
    this.#rpc.handle(method, handler);
  }

  /** Best effort: `false` when it was dropped because the peer is slow or gone. */
  send(envelope: Envelope): boolean {
    const sent =
      this.#table.has(envelope.to) &&
      this.#table.rpc(envelope.to).send(envelope.protocol, envelope.body);
    if (!sent) this.#deps.metrics.count('aegis_network_envelopes_dropped_total');
    return sent;
  }

  onEnvelope(listener: (envelope: IncomingEnvelope) => void): () => void {
    this.#onEnvelope.add(listener);
    return () => this.#onEnvelope.delete(listener);
  }

  /** See `Bulk.open` for the errors. */
  async openBulk(
    nodeId: string,
    request: Uint8Array,
    options: BulkOptions = {},
  ): Promise<AsyncIterable<Uint8Array>> {
    return this.#bulk.open(nodeId, request, options, (signal) =>
      this.#table.openStream(nodeId, CAR_PROTOCOL, signal),
    );
  }

  handleBulk(handler: BulkHandler): void {
    this.#bulk.handle(handler);
  }

  /** Milliseconds there and back, measured now. */
  ping(nodeId: string): Promise<number> {
    return this.#table.ping(nodeId);
  }

  /**
   * Asks Kademlia for the addresses of a peer id.
   * @throws {AegisError} `BAD_REQUEST`, `NOT_FOUND`.
   */
  async findPeer(peerId: string, options: { timeoutMs?: number } = {}): Promise<string[]> {
    const wanted = parsePeerId(peerId);
    const signal = AbortSignal.timeout(options.timeoutMs ?? this.#limits.rpcTimeoutMs);
    try {
      const found = await this.#running().peerRouting.findPeer(wanted, { signal });
      return found.multiaddrs.map(String);
    } catch (error) {
      throw new AegisError('NOT_FOUND', `no connected node knows peer ${peerId}`, { cause: error });
    }
  }

  stats(): HostStats {
    return {
      peers: this.#table.size,
      connections: this.#table.connections(),
      pendingInbound: this.#gate.pending,
      pendingDials: this.#dialing.pending,
      bulkStreams: this.#bulk.streams,
    };
  }

  #encrypter(noise: ConnectionEncrypter, agent: string): ConnectionEncrypter {
    const { hello } = this.#options;
    return new HelloEncrypter(
      { hello, agent, limits: this.#limits },
      {
        noise,
        lastKnown: (peerId) => this.#identities.get(peerId.toString()),
        isIsolated: (nodeId) => this.#gate.isIsolated(nodeId),
        place: (identity, peerId) => this.#gate.place(identity.nodeId, peerId.toString()),
        onIdentity: (peerId, identity) => this.#identities.set(peerId.toString(), identity),
        onFailure: (direction, connection, error) => {
          if (direction === 'outbound') this.#dialing.remember(connection, error);
          else this.#refusals.tell(hostOfStream(connection), 'hello', error.message);
        },
      },
    );
  }

  #opened(connection: Connection): void {
    const identity = this.#identities.get(connection.remotePeer.toString());
    // Only a peer that has passed hello gets this far; anything else must not stay.
    if (identity === undefined || this.#swarm === undefined) connection.abort(stopping());
    // It had passed before the isolation began.
    else if (this.#gate.isIsolated(identity.nodeId)) connection.abort(stopping());
    else this.#table.add(connection, identity);
  }

  #serve(
    stream: Stream,
    connection: Connection,
    serve: (nodeId: string) => void | Promise<void>,
  ): void {
    const identity = this.#identities.get(connection.remotePeer.toString());
    if (identity === undefined || this.#swarm === undefined) stream.abort(stopping());
    else void serve(identity.nodeId);
  }

  #learned(peerId: PeerId, addresses: readonly Multiaddr[]): void {
    const nodeId = this.#table.nodeIdOf(peerId.toString());
    if (nodeId === undefined) return;
    const learned = { nodeId, addresses: addresses.map(String) };
    for (const listener of this.#onAddresses) listener(learned);
  }

  #tell(event: PeerEvent): void {
    for (const listener of this.#onPeer) listener(event);
  }

  #running(): Swarm {
    if (this.#swarm === undefined) throw stopping();
    return this.#swarm;
  }
}

function hostOfStream(stream: MessageStream): string {
  const { remoteAddr } = stream as MessageStream & { remoteAddr?: Multiaddr };
  return remoteAddr === undefined ? 'unknown' : hostOf(remoteAddr);
}

function parsePeerId(text: string): PeerId {
  try {
    return peerIdFromString(text);
  } catch {
    throw new AegisError('BAD_REQUEST', `${text.slice(0, 128)} is not a peer id`);
  }
}

function explainListen(listen: readonly string[], error: unknown): AegisError {
  const { message } = toAegisError(error);
  const taken = /EADDRINUSE[^\n]*/.exec(message);
  if (taken !== null) {
    const address = listen.find((one) => message.includes(`${one}:`)) ?? listen.join(', ');
    return new AegisError('PORT_IN_USE', `another program listens at ${address} already`, {
      hint: 'Stop it, or choose another port with --listen.',
      cause: error,
    });
  }
  return new AegisError('BAD_CONFIG', `cannot listen at ${listen.join(', ')}: ${message}`, {
    hint: 'See the setting node.listen.',
    cause: error,
  });
}
