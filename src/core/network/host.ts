/**
 * The host: this node on the network. It opens connections, lets nobody in who does not pass hello,
 * and carries requests, envelopes and bulk streams between members. It does not decide whom to
 * dial (the peer book does), and gives no meaning to what it carries.
 */
import type {
  Connection,
  ConnectionEncrypter,
  MessageStream,
  PeerId,
  Stream,
} from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import type { Multiaddr } from '@multiformats/multiaddr';
import { publicKeyOf } from '../crypto/sign.ts';
import { AegisError } from '../errors.ts';
import type { Envelope } from '../machine.ts';
import { nodeIdOf, peerIdOf } from '../model/identity.ts';
import type { Clock, DialedPeer, Dialer, Log, Metrics, Random, Security } from '../ports.ts';
import { MINUTE, SECOND } from '../units.ts';
import { hostOf, parseListenAddress } from './addresses.ts';
import { Bulk, type BulkHandler, type BulkOptions } from './bulk.ts';
import { Conduct } from './conduct.ts';
import { Dialing } from './dialing.ts';
import { Gate } from './gate.ts';
import { type HelloContext, type HelloIdentity, INSTANCE_BYTES } from './hello.ts';
import { HelloEncrypter } from './hello-encrypter.ts';
import { Identities } from './identities.ts';
import { type HostLimits, type Knob, limitsOf, type Profile } from './limits.ts';
import { explainListen } from './listening.ts';
import {
  CAR_PROTOCOL,
  type PeerConnection,
  type PeerEvent,
  PeerTable,
  RPC_PROTOCOL,
} from './peer-table.ts';
import { Redialer } from './redialer.ts';
import { NO_SECURITY, Refusals } from './refusals.ts';
import type { RequestOptions } from './rpc-client.ts';
import { type IncomingEnvelope, type RequestHandler, RpcServer } from './rpc-server.ts';
import type { Swarm } from './swarm.ts';
import { Swarms } from './swarms.ts';
import type { MakeTransport } from './transports.ts';

/** A request of this room: the sender has another key and cannot dial us, so we dial it. */
const REDIAL_METHOD = 'network/redial';
const REDIAL_TIMEOUT_MS = 10 * SECOND;
/** It makes us dial and shake hands. */
const REDIAL_WEIGHT = 100;
const GRACE_MS = MINUTE;

export interface HostOptions {
  /** Ed25519 seed of the network key, 32 bytes. */
  readonly networkSeed: Uint8Array;
  /** Multiaddrs, e.g. `/ip4/127.0.0.1/tcp/0`. */
  readonly listen: readonly string[];
  readonly hello: HelloContext;
  readonly profile: Profile;
  /** Nothing else is ever constructed (O1). @default [tcpTransport] */
  readonly transports?: readonly MakeTransport[];
  readonly limits?: Partial<HostLimits>;
  /** @default 'aegis/0.1.0' */
  readonly agent?: string;
}

export interface HostDeps {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
  /** @default keeps nothing */
  readonly security?: Security;
}

export interface HostStats {
  readonly peers: number;
  readonly connections: number;
  readonly pendingInbound: number;
  readonly pendingDials: number;
  readonly bulkStreams: number;
  /** Network keys of before that still carry connections. */
  readonly retiredKeys: number;
}

export interface RotateOptions {
  /**
   * Connections of the key of before end after this, replaced or not; not before
   * `limits.drainTimeoutMs`, in which peers are dialled anew. @default 60,000
   */
  readonly graceMs?: number;
  /** Where a peer may be found, beside what the host itself knows. */
  addressesOf?(nodeId: string): readonly string[];
}

/** Where and how a host speaks from a change of route on (O6). */
export interface RouteOptions {
  readonly transports: readonly MakeTransport[];
  readonly listen: readonly string[];
  readonly profile: Profile;
}

export interface LearnedAddresses {
  readonly nodeId: string;
  /** Where the peer says it listens. Not checked. */
  readonly addresses: readonly string[];
}

const flooded = (): AegisError => new AegisError('BUSY', 'the peer floods this node');
const stopping = (): AegisError => new AegisError('STOPPING', 'the node is stopping');

export class Host implements Dialer {
  readonly #options: HostOptions;
  readonly #deps: HostDeps;
  readonly #limits: HostLimits;
  readonly #refusals: Refusals;
  readonly #conduct: Conduct;
  readonly #gate: Gate;
  readonly #table: PeerTable;
  readonly #dialing: Dialing;
  readonly #rpc: RpcServer;
  readonly #bulk: Bulk;
  readonly #identities: Identities;
  readonly #swarms: Swarms;
  readonly #redialer: Redialer;
  readonly #onPeer = new Set<(event: PeerEvent) => void>();
  readonly #onEnvelope = new Set<(envelope: IncomingEnvelope) => void>();
  readonly #onAddresses = new Set<(learned: LearnedAddresses) => void>();
  readonly #instance: Uint8Array;
  #peerId: string;
  #addressesOf: RotateOptions['addressesOf'];

  private constructor(options: HostOptions, deps: HostDeps) {
    this.#peerId = peerIdOf(publicKeyOf(options.networkSeed));
    this.#options = options;
    this.#deps = deps;
    this.#instance = deps.random.bytes(INSTANCE_BYTES);
    this.#limits = limitsOf(options.profile, options.limits);
    const limits = this.#limits;
    const { log, clock, random, security = NO_SECURITY } = deps;
    const nodeId = nodeIdOf(options.hello.own().inception);
    const refusals = new Refusals({ ...deps, security });
    this.#refusals = refusals;
    this.#identities = new Identities(options.hello);
    this.#table = new PeerTable(
      { nodeId, limits },
      { log, clock, random, security, onEvent: (event) => this.#tell(event) },
    );
    const connections = (id?: string): number => this.#table.connections(id);
    const wantsDial = (address: Multiaddr): boolean => this.#dialing.wants(address);
    const onRefusal = (id: string, knob: Knob): void =>
      refusals.tell({ nodeId: id }, knob, 'refused work for a peer');
    const conduct = new Conduct(
      { limits },
      {
        clock,
        log,
        security,
        refused: onRefusal,
        cut: (id) => this.#table.abortAll(flooded(), id),
      },
    );
    this.#conduct = conduct;
    this.#gate = new Gate({ limits }, { refusals, clock, conduct, connections, wantsDial });
    this.#dialing = new Dialing(
      { limits },
      {
        clock,
        isOwn: (id) => id === this.#peerId || this.#swarms.isOwn(id),
        dial: (address, signal) => this.#running().dial(address, { signal }),
        nodeIdOf: (id) => this.#table.nodeIdOf(id),
        ownerOf: (id) => this.#identities.ownerOf(id),
        isMeant: (answering, meant) => this.#identities.isMeant(answering, meant),
        isConnected: (id) => this.#table.has(id),
        dialledAt: (address) => this.#table.dialledAt(address),
      },
    );
    const onTraffic = (id: string, bytesIn: number, bytesOut: number): void =>
      this.#table.traffic(id, bytesIn, bytesOut);
    const onEnvelope = (envelope: IncomingEnvelope): void => {
      for (const listener of this.#onEnvelope) listener(envelope);
    };
    this.#rpc = new RpcServer(
      { limits },
      { log, clock, conduct, onTraffic, onRefusal, onEnvelope },
    );
    this.#bulk = new Bulk({ limits }, { onTraffic, onRefusal });
    this.#swarms = this.#createSwarms();
    this.#redialer = this.#createRedialer();
    const redial: RequestHandler = async (from) => {
      void this.#redialer.asked(from, this.#table.dialled(from));
      return new Uint8Array(0);
    };
    this.#rpc.handle(REDIAL_METHOD, redial, REDIAL_WEIGHT);
  }

  /** @throws {AegisError} `BAD_REQUEST` for an address at which nobody can listen. */
  static async create(options: HostOptions, deps: HostDeps): Promise<Host> {
    for (const address of options.listen) parseListenAddress(address);
    return new Host(options, deps);
  }

  /** The libp2p peer id with which this node dials and answers; changes with its network key. */
  get peerId(): string {
    return this.#peerId;
  }

  /** @throws {AegisError} `PORT_IN_USE`, `BAD_CONFIG`. */
  async start(): Promise<void> {
    const { networkSeed, listen } = this.#options;
    try {
      await this.#swarms.start(networkSeed);
    } catch (error) {
      throw explainListen(listen, error);
    }
  }

  /** Ends all connections; bounded by `limits.stopTimeoutMs`. */
  async stop(): Promise<void> {
    if (this.#swarms.current === undefined) return;
    this.#gate.stop();
    this.#dialing.stop();
    this.#redialer.stop();
    this.#refusals.stop();
    this.#table.close(stopping());
    let timer: NodeJS.Timeout | undefined;
    const bound = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#table.abortAll(stopping());
        void this.#swarms.unlisten().then(resolve);
      }, this.#limits.stopTimeoutMs);
    });
    await Promise.race([this.#swarms.stop(), bound]);
    clearTimeout(timer);
  }

  /** Multiaddrs at which this node listens, with its peer id. */
  addresses(): string[] {
    return this.#swarms.current?.getMultiaddrs().map(String) ?? [];
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
    if (!(await this.#swarms.rotate(networkSeed, options.graceMs ?? GRACE_MS))) return;
    this.#peerId = this.#running().peerId.toString();
    this.#addressesOf = options.addressesOf;
    this.#deps.log.write('info', 'this node has another network key', { peerId: this.#peerId });
    this.#redialer.start();
  }

  /**
   * Ends every connection and listener, then begins anew with other transports (O6). When it
   * resolves, nothing of before is left.
   */
  async reroute(_route: RouteOptions): Promise<void> {
    throw new AegisError('BAD_REQUEST', 'the route cannot be changed yet');
  }

  /**
   * Cuts, at once, the connections whose identity is accepted no more (H5).
   * @returns how many.
   */
  review(accepts: (identity: HelloIdentity) => boolean): number {
    this.#identities.review(accepts);
    return this.#table.review(accepts);
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

  handle(method: string, handler: RequestHandler, weight?: number): void {
    this.#rpc.handle(method, handler, weight);
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
      retiredKeys: this.#swarms.retired,
    };
  }

  #createSwarms(): Swarms {
    const { listen, profile, agent = 'aegis/0.1.0' } = this.#options;
    const { log, clock } = this.#deps;
    return new Swarms(
      { listen, agent, limits: this.#limits, profile },
      {
        log,
        clock,
        gater: this.#gate.gater(),
        door: this.#gate.door,
        conduct: this.#conduct,
        encrypter: (noise, networkKey) => this.#encrypter(noise, networkKey, agent),
        wire: (swarm, generation) => this.#wire(swarm, generation),
      },
    );
  }

  #createRedialer(): Redialer {
    const { log, clock } = this.#deps;
    const timeoutMs = REDIAL_TIMEOUT_MS;
    const table = this.#table;
    return new Redialer({
      log,
      clock,
      unreplaced: () => table.unreplaced(this.#swarms.generation),
      addressesOf: (id) =>
        [...table.dialled(id), ...(this.#addressesOf?.(id) ?? []), ...table.listens(id)].map(bare),
      redial: async (address) => (await this.#dialing.redial(address, { timeoutMs })).nodeId,
      ask: (id) => this.request(id, REDIAL_METHOD, new Uint8Array(0), { timeoutMs }),
    });
  }

  /** Puts the protocols of this room on a swarm. */
  async #wire(swarm: Swarm, generation: number): Promise<void> {
    swarm.addEventListener('connection:open', (event) => this.#opened(event.detail, generation));
    swarm.addEventListener('connection:close', (event) => this.#table.remove(event.detail));
    swarm.addEventListener('peer:identify', ({ detail }) =>
      this.#learned(detail.peerId, detail.listenAddrs),
    );
    const streams = { maxInboundStreams: this.#limits.maxStreamsPerConnection };
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
  }

  #encrypter(noise: ConnectionEncrypter, networkKey: Uint8Array, agent: string): HelloEncrypter {
    const { hello } = this.#options;
    return new HelloEncrypter(
      { hello, networkKey, agent, limits: this.#limits, instance: this.#instance },
      {
        noise,
        lastKnown: (peerId) => this.#identities.get(peerId.toString()),
        isIsolated: (nodeId) => this.#gate.isIsolated(nodeId),
        place: (identity, peerId) => this.#gate.place(identity.nodeId, peerId.toString()),
        judging: () => this.#identities.reviews,
        onIdentity: (peerId, heard, reviews) =>
          this.#identities.keep(peerId.toString(), heard, reviews),
        onFailure: (direction, connection, error) => {
          if (direction === 'outbound') this.#dialing.remember(connection, error);
          else this.#refusals.hello({ address: hostOfStream(connection) }, error.message);
        },
      },
    );
  }

  #opened(connection: Connection, generation: number): void {
    const identity = this.#identities.accepted(connection.remotePeer.toString());
    // Only a peer that has passed hello gets this far; anything else must not stay.
    if (identity === undefined || this.#swarms.current === undefined) connection.abort(stopping());
    // It had passed before the isolation began; or this node has dialled one that it has cut.
    else if (this.#gate.isApart(identity.nodeId)) connection.abort(stopping());
    else this.#table.add(connection, identity, generation);
  }

  #serve(
    stream: Stream,
    connection: Connection,
    serve: (nodeId: string) => void | Promise<void>,
  ): void {
    const identity = this.#identities.get(connection.remotePeer.toString());
    if (identity === undefined || this.#swarms.current === undefined) stream.abort(stopping());
    else void serve(identity.nodeId);
  }

  #learned(peerId: PeerId, listens: readonly Multiaddr[]): void {
    const nodeId = this.#table.nodeIdOf(peerId.toString());
    if (nodeId === undefined) return;
    const addresses = listens.map(String);
    this.#table.learned(nodeId, addresses);
    for (const listener of this.#onAddresses) listener({ nodeId, addresses });
  }

  #tell(event: PeerEvent): void {
    for (const listener of this.#onPeer) listener(event);
  }

  #running(): Swarm {
    const { current } = this.#swarms;
    if (current === undefined) throw stopping();
    return current;
  }
}

/** A peer that has another key by now is meant, whatever peer id the address names. */
const bare = (address: string): string => address.replace(/\/p2p\/[^/]+$/, '');

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
