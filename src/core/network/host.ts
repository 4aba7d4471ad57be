/**
 * The host: this node on the network. It opens connections, lets nobody in who does not pass hello,
 * and carries requests, envelopes and bulk streams between members. It does not decide whom to
 * dial (the peer book does), and gives no meaning to what it carries.
 */
import { publicKeyOf } from '../crypto/sign.ts';
import { AegisError } from '../errors.ts';
import type { Envelope } from '../machine.ts';
import { nodeIdOf, peerIdOf } from '../model/identity.ts';
import type { DialedPeer, Dialer } from '../ports.ts';
import { MINUTE, SECOND } from '../units.ts';
import { bare, parseDialAddress, parseListenAddress } from './addresses.ts';
import { Bulk, type BulkHandler, type BulkOptions } from './bulk.ts';
import { Conduct } from './conduct.ts';
import { Dialing, type DialOptions } from './dialing.ts';
import { Gate } from './gate.ts';
import { type HelloIdentity, INSTANCE_BYTES } from './hello.ts';
import type {
  HostDeps,
  HostOptions,
  HostStats,
  LearnedAddresses,
  RotateOptions,
  Route,
} from './host-types.ts';
import { Identities, parsePeerId } from './identities.ts';
import { Lanes } from './lanes.ts';
import { type HostLimits, type Knob, limitsOf } from './limits.ts';
import { explainListen } from './listening.ts';
import { Lobby } from './lobby.ts';
import { Passages, timesOf } from './passages.ts';
import type { PeerConnection, PeerEvent } from './peer.ts';
import { PeerTable } from './peer-table.ts';
import { Redialer } from './redialer.ts';
import { NO_SECURITY, Refusals } from './refusals.ts';
import type { RequestOptions } from './rpc-client.ts';
import { type IncomingEnvelope, type RequestHandler, RpcServer } from './rpc-server.ts';
import type { Swarm } from './swarm.ts';
import { rerouting, Swarms } from './swarms.ts';
import { Tickets } from './tickets.ts';
import { type AddressClass, tcpTransport } from './transports.ts';
import { stopping, Wiring } from './wiring.ts';

/** A request of this room: the sender has another key and cannot dial us, so we dial it. */
const REDIAL_METHOD = 'network/redial';
const REDIAL_TIMEOUT_MS = 10 * SECOND;
/** A request of this room: what to show at the onion service of this node the next time (O20). */
const TICKET_METHOD = 'network/ticket';
/** It makes us dial and shake hands. */
const REDIAL_WEIGHT = 100;
const GRACE_MS = MINUTE;

const flooded = (): AegisError => new AegisError('BUSY', 'the peer floods this node');
const rerouted = (): AegisError =>
  new AegisError('NOT_REACHABLE', 'the route of this node is being changed');

export class Host implements Dialer {
  readonly #options: HostOptions;
  readonly #deps: HostDeps;
  readonly #limits: HostLimits;
  readonly #passages = new Passages();
  readonly #tickets: Tickets;
  readonly #refusals: Refusals;
  readonly #conduct: Conduct;
  readonly #gate: Gate;
  readonly #table: PeerTable;
  readonly #lanes: Lanes;
  readonly #dialing: Dialing;
  readonly #rpc: RpcServer;
  readonly #bulk: Bulk;
  readonly #identities: Identities;
  readonly #swarms: Swarms;
  readonly #redialer: Redialer;
  readonly #onPeer = new Set<(event: PeerEvent) => void>();
  readonly #onEnvelope = new Set<(envelope: IncomingEnvelope) => void>();
  readonly #onAddresses = new Set<(learned: LearnedAddresses) => void>();
  #listen: readonly string[];
  #peerId: string;
  #addressesOf: RotateOptions['addressesOf'];

  private constructor(options: HostOptions, deps: HostDeps) {
    this.#peerId = peerIdOf(publicKeyOf(options.networkSeed));
    this.#options = options;
    this.#listen = options.listen;
    this.#deps = deps;
    this.#limits = limitsOf(options.profile, options.limits);
    const limits = this.#limits;
    const { log, clock, random, security = NO_SECURITY } = deps;
    this.#refusals = new Refusals({ ...deps, security });
    this.#tickets = new Tickets({ random });
    this.#identities = new Identities(options.hello);
    this.#table = new PeerTable(
      { nodeId: nodeIdOf(options.hello.own().inception), limits },
      {
        ...{ log, clock, random, security },
        onEvent: (event) => this.#tell(event),
        lanes: (id) => this.#lanes.count(id),
      },
    );
    const onRefusal = (id: string, knob: Knob): void =>
      this.#refusals.tell({ nodeId: id }, knob, 'refused work for a peer');
    const cut = (id: string): void => this.#abort(flooded(), id);
    const conduct = new Conduct({ limits }, { clock, log, security, refused: onRefusal, cut });
    this.#conduct = conduct;
    this.#dialing = this.#createDialing();
    this.#gate = this.#createGate();
    this.#lanes = this.#createLanes();
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
    this.#rpc.handle(TICKET_METHOD, async (from) => this.#tickets.give(from));
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
    try {
      await this.#swarms.start(this.#options.networkSeed);
    } catch (error) {
      throw explainListen(this.#listen, error);
    }
  }

  /** Ends all connections; bounded by `limits.stopTimeoutMs`. */
  async stop(): Promise<void> {
    if (!this.#swarms.isRunning) return;
    this.#gate.stop();
    this.#dialing.stop();
    this.#redialer.stop();
    this.#refusals.stop();
    this.#table.close(stopping());
    let timer: NodeJS.Timeout | undefined;
    const bound = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#abort(stopping());
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

  /** Names of the transports that exist in this process (O21). */
  transports(): string[] {
    return this.#swarms.transports;
  }

  /** How the route dials an address; undefined: not at all. @throws as `dial` for a bad one. */
  classOf(address: string): AddressClass | undefined {
    return this.#swarms.classOf(parseDialAddress(address));
  }

  /** See `Dialing.dial` for the errors. */
  dial(address: string, options: DialOptions = {}): Promise<DialedPeer> {
    return this.#dialing.dial(address, options);
  }

  /** Dials a peer that is connected already, e.g. by its onion service instead (O4). */
  redial(address: string, options: DialOptions = {}): Promise<DialedPeer> {
    return this.#dialing.redial(address, options);
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
    this.#lanes.abort(stopping(), nodeId);
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
    await Promise.all(connected.map((nodeId) => this.hangUp(nodeId)));
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
    this.#peerId = peerIdOf(publicKeyOf(networkSeed));
    this.#addressesOf = options.addressesOf;
    this.#deps.log.write('info', 'this node has another network key', { peerId: this.#peerId });
    this.#redialer.start();
  }

  /**
   * Ends every connection and listener, then begins anew with other transports (O6). When it
   * resolves or throws, no transport, listener or socket of before is left; when it throws, nothing
   * has begun, and nothing is dialled until another route does begin.
   *
   * @throws {AegisError} `BAD_REQUEST`, before anything is ended; `PORT_IN_USE`, `BAD_CONFIG`,
   * `STOPPING`.
   */
  async reroute(route: Route): Promise<void> {
    for (const address of route.listen) parseListenAddress(address);
    this.#listen = route.listen;
    try {
      await this.#swarms.reroute(route, () => {
        this.#dialing.cut(rerouted());
        this.#passages.abortAll(rerouted());
      });
    } catch (error) {
      throw explainListen(route.listen, error);
    }
    this.#deps.log.write('info', 'this node has another route', { transports: this.transports() });
  }

  /**
   * Cuts, at once, the connections whose identity is accepted no more (H5).
   * @returns how many.
   */
  review(accepts: (identity: HelloIdentity) => boolean): number {
    this.#identities.review(accepts);
    return this.#lanes.review(accepts) + this.#table.review(accepts);
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
    return this.#bulk.open(nodeId, request, options, (signal) => this.#lanes.open(nodeId, signal));
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
      lanes: this.#lanes.count(),
      pendingInbound: this.#gate.pending,
      pendingDials: this.#dialing.pending,
      bulkStreams: this.#bulk.streams,
      retiredKeys: this.#swarms.retired,
    };
  }

  #createDialing(): Dialing {
    const table = this.#table;
    return new Dialing(
      { limits: this.#limits },
      {
        clock: this.#deps.clock,
        isOwn: (id) => id === this.#peerId || this.#swarms.isOwn(id),
        dial: (address, options) => this.#running().dial(address, options),
        nodeIdOf: (id) => table.nodeIdOf(id),
        ownerOf: (id) => this.#identities.ownerOf(id),
        isMeant: (answering, meant) => this.#identities.isMeant(answering, meant),
        isConnected: (id) => table.has(id),
        dialledAt: (address) => table.dialledAt(address),
        classOf: (address) => this.#swarms.classOf(address),
      },
    );
  }

  #createGate(): Gate {
    const table = this.#table;
    return new Gate(
      { limits: this.#limits },
      {
        refusals: this.#refusals,
        clock: this.#deps.clock,
        conduct: this.#conduct,
        passages: this.#passages,
        connections: (side) =>
          table.connections({ side }) + (side === 'onion' ? this.#lanes.count() : 0),
        talks: (peerId, side) => table.connections({ peerId, side }),
        lanes: (id) => (table.onionTalk(id) === undefined ? undefined : this.#lanes.inbound(id)),
        wantsDial: (address) => this.#dialing.wants(address),
      },
    );
  }

  #createLanes(): Lanes {
    const { log, clock } = this.#deps;
    const table = this.#table;
    return new Lanes(
      { limits: this.#limits },
      {
        ...{ log, clock },
        onionTalk: (id) => table.onionTalk(id),
        addressesOf: (id) => this.#placesOf(id).filter((one) => one.startsWith('/onion3/')),
        dial: (lane) => this.#dialing.lane(lane),
        openStream: (connection, protocol, signal) => table.openOn(connection, protocol, signal),
        openTalk: (id, protocol, signal) => table.openStream(id, protocol, signal),
      },
    );
  }

  #createSwarms(): Swarms {
    const { agent = 'aegis/0.1.0', hello, transports = [tcpTransport] } = this.#options;
    const { log, clock, random } = this.#deps;
    const [limits, gate, passages] = [this.#limits, this.#gate, this.#passages];
    const lobby = new Lobby(
      { limits },
      { tickets: this.#tickets, door: gate.door, passages, refusals: this.#refusals },
    );
    const instance = random.bytes(INSTANCE_BYTES);
    const wiring = new Wiring(
      { hello, agent, limits, instance },
      {
        ...{ gate, passages, bulk: this.#bulk, dialing: this.#dialing, lanes: this.#lanes },
        ...{ identities: this.#identities, refusals: this.#refusals, rpc: this.#rpc },
        ...{ table: this.#table, tickets: this.#tickets },
        isRunning: () => this.#swarms.current !== undefined,
        learned: (learned) => {
          for (const listener of this.#onAddresses) listener(learned);
        },
      },
    );
    return new Swarms(
      { route: { ...this.#options, transports }, agent, limits },
      {
        ...{ log, clock, conduct: this.#conduct, gater: gate.gater() },
        listening: {
          ...{ door: gate.door, passages },
          greet: (raw, address, signal) => lobby.greet(raw, address, signal),
        },
        encrypter: (noise, networkKey) => wiring.encrypter(noise, networkKey),
        wire: (swarm, generation) => wiring.wire(swarm, generation),
      },
    );
  }

  #createRedialer(): Redialer {
    const { log, clock } = this.#deps;
    const table = this.#table;
    return new Redialer({
      log,
      clock,
      unreplaced: () => table.unreplaced(this.#swarms.generation),
      addressesOf: (id) => this.#placesOf(id),
      redial: async (address) => {
        const way = this.classOf(address) ?? 'direct';
        const timeoutMs = Math.max(REDIAL_TIMEOUT_MS, timesOf(this.#limits, way).dialMs);
        return (await this.#dialing.redial(address, { timeoutMs })).nodeId;
      },
      ask: (id) => this.request(id, REDIAL_METHOD, new Uint8Array(0)),
    });
  }

  /** Where a peer may be found, without peer ids; the likeliest first. */
  #placesOf(id: string): string[] {
    const table = this.#table;
    return [...table.dialled(id), ...(this.#addressesOf?.(id) ?? []), ...table.listens(id)].map(
      bare,
    );
  }

  #abort(reason: AegisError, nodeId?: string): void {
    this.#table.abortAll(reason, nodeId);
    this.#lanes.abort(reason, nodeId);
  }

  #tell(event: PeerEvent): void {
    const { type, nodeId } = event;
    if (type === 'down') this.#lanes.abort(rerouted(), nodeId);
    else void this.#askTicket(nodeId);
    for (const listener of this.#onPeer) listener(event);
  }

  /** O20: without an onion service on either side nobody needs one. */
  async #askTicket(nodeId: string): Promise<void> {
    if (this.#swarms.isDirectOnly) return;
    try {
      const body = new Uint8Array(0);
      this.#tickets.keep(nodeId, await this.request(nodeId, TICKET_METHOD, body));
    } catch {
      // It is counted with the strangers when it comes again, as it would be after a restart.
    }
  }

  #running(): Swarm {
    const { current, isRunning } = this.#swarms;
    if (current === undefined) throw isRunning ? rerouting() : stopping();
    return current;
  }
}
