/**
 * The libp2p identities of this node: the one that dials and answers, and those of before that
 * still have connections (docs/keys.md, H5). Each has a generation, so that of two connections one
 * can tell the newer identity. It does not dial peers anew: the redialer does.
 */
import type { ConnectionEncrypter, ConnectionGater, Upgrader } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { publicKeyOf } from '../crypto/sign.ts';
import { AegisError, isAegisError, toAegisError } from '../errors.ts';
import { peerIdOf } from '../model/identity.ts';
import type { Clock, Log } from '../ports.ts';
import { instant, MINUTE, SECOND } from '../units.ts';
import type { Conduct } from './conduct.ts';
import type { HelloEncrypter } from './hello-encrypter.ts';
import type { Route } from './host-types.ts';
import type { HostLimits } from './limits.ts';
import { Listening, type ListeningDeps } from './listening.ts';
import { createSwarm, type Swarm } from './swarm.ts';
import type { AddressClass } from './transports.ts';

export interface SwarmsOptions {
  readonly route: Route;
  readonly agent: string;
  readonly limits: HostLimits;
}

export interface SwarmsDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly gater: ConnectionGater;
  readonly listening: ListeningDeps;
  readonly conduct: Conduct;
  encrypter(noise: ConnectionEncrypter, networkKey: Uint8Array): HelloEncrypter;
  /** Puts handlers on a swarm before it starts. */
  wire(swarm: Swarm, generation: number): Promise<void>;
}

interface Identity {
  readonly swarm: Swarm;
  readonly peerId: string;
  readonly encrypter: HelloEncrypter | undefined;
  readonly upgrader: Upgrader | undefined;
}

/** An identity that is let go; `cancel` ends waiting for its connections. */
interface Retired {
  readonly identity: Identity;
  readonly since: number;
  readonly until: number;
  cancel: () => void;
}

const LOOK_AGAIN_MS = 250;
const LOOK_AGAIN_MS_MAX = MINUTE;
/** What was accepted for the identity of before comes to its end, too. */
const RETIRED_MS_MIN = SECOND;
/** Peers that the next identity is told of. */
const ACQUAINTANCES_MAX = 1024;

const stopping = (): AegisError => new AegisError('STOPPING', 'the node is stopping');
export const rerouting = (): AegisError =>
  new AegisError('DIAL_FAILED', 'this node has no network: its route is being changed');

export class Swarms {
  readonly #options: SwarmsOptions;
  readonly #deps: SwarmsDeps;
  readonly #retired = new Set<Retired>();
  /** All peer ids that this node has had since it started. */
  readonly #peerIds = new Set<string>();
  #route: Route;
  #listening: Listening;
  /** Of the identity that is, or that will be when a route begins. */
  #networkSeed: Uint8Array | undefined;
  #isStopped = false;
  #current: Identity | undefined;
  #generation = 0;
  /** One change at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: SwarmsOptions, deps: SwarmsDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#route = options.route;
    this.#listening = this.#listen(options.route);
  }

  /** Between start and stop; a change of route may have left it without a swarm (O6). */
  get isRunning(): boolean {
    return this.#networkSeed !== undefined && !this.#isStopped;
  }

  get isDirectOnly(): boolean {
    return this.#listening.isDirectOnly;
  }

  /** Names of the transports that exist (O21). */
  get transports(): string[] {
    return this.#listening.names;
  }

  /** How the route dials an address; undefined: not at all. */
  classOf(address: Multiaddr): AddressClass | undefined {
    return this.#listening.classOf(address);
  }

  /** The swarm that dials and answers; none before the start, after the stop and meanwhile. */
  get current(): Swarm | undefined {
    return this.#current?.swarm;
  }

  /** Of the current swarm; grows with each change. */
  get generation(): number {
    return this.#generation;
  }

  /** Identities of before that still have connections. */
  get retired(): number {
    return this.#retired.size;
  }

  isOwn(peerId: string): boolean {
    return this.#peerIds.has(peerId);
  }

  /** @throws what libp2p throws when it cannot listen. */
  start(networkSeed: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      await this.#begin(networkSeed, 0);
    });
  }

  /**
   * @returns whether there is another identity now; `false` for the key that is in use.
   * @throws {AegisError} `STOPPING`, `BAD_CONFIG`: everything stays as it was.
   */
  rotate(networkSeed: Uint8Array, graceMs: number): Promise<boolean> {
    return this.#inTurn(() => this.#rotate(networkSeed, graceMs));
  }

  /**
   * Ends all identities, listeners and transports, then begins with others (O6). When it resolves
   * or throws, nothing of before is left; when it throws, nothing has begun.
   *
   * @param cut ends, at once, every connection and dial at whatever stage.
   * @throws {AegisError} `STOPPING`; what libp2p throws when it cannot listen.
   */
  reroute(route: Route, cut: () => void): Promise<void> {
    return this.#inTurn(async () => {
      const networkSeed = this.#networkSeed;
      if (networkSeed === undefined || this.#isStopped) throw stopping();
      await this.#endAll(cut);
      if (this.#isStopped) throw stopping();
      this.#route = route;
      this.#listening = this.#listen(route);
      await this.#begin(networkSeed, this.#generation + 1);
    });
  }

  /** Ends all identities. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all([this.#turn, this.#endAll(() => undefined)]);
    await this.unlisten();
  }

  /** Gives the ports back, and cuts what came in there. */
  unlisten(): Promise<void> {
    return this.#listening.close();
  }

  #inTurn<T>(job: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(job);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  #listen({ transports }: Route): Listening {
    return new Listening({ transports, limits: this.#options.limits }, this.#deps.listening);
  }

  async #begin(networkSeed: Uint8Array, generation: number): Promise<void> {
    const listening = this.#listening;
    const next = await this.#create(networkSeed, generation);
    this.#networkSeed = networkSeed;
    this.#current = next;
    this.#generation = generation;
    try {
      await next.swarm.start();
    } catch (error) {
      if (this.#current === next) this.#current = undefined;
      await this.#end(next);
      await listening.close();
      throw error;
    }
    // The stop has found nothing to end, or only a part of it.
    if (!this.#isStopped) return;
    await this.#end(next);
    await listening.close();
    throw stopping();
  }

  async #endAll(cut: () => void): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    const retired = [...this.#retired];
    for (const one of retired) one.cancel();
    this.#retired.clear();
    cut();
    const identities = [...(current === undefined ? [] : [current]), ...retired.map(identityOf)];
    const ends = identities.map((identity) => this.#end(identity));
    await Promise.all([...ends, this.#listening.close()]);
    // What was let in or dialled at the last moment.
    cut();
  }

  async #rotate(networkSeed: Uint8Array, graceMs: number): Promise<boolean> {
    const before = this.#current;
    if (before === undefined) {
      if (!this.isRunning) throw stopping();
      // Without a route nobody is told; the next one begins with the new key.
      this.#networkSeed = networkSeed;
      return true;
    }
    if (networkSeed.byteLength === 32 && before.peerId === peerIdOf(publicKeyOf(networkSeed))) {
      return false;
    }
    const next = await this.#prepare(networkSeed, before.swarm);
    if (this.#current !== before) {
      await this.#end(next);
      throw stopping();
    }
    this.#current = next;
    this.#networkSeed = networkSeed;
    this.#generation += 1;
    if (next.upgrader !== undefined) this.#listening.serve(next.upgrader);
    this.#retire(before, graceMs);
    return true;
  }

  async #prepare(networkSeed: Uint8Array, before: Swarm): Promise<Identity> {
    let next: Identity | undefined;
    try {
      next = await this.#create(networkSeed, this.#generation + 1);
      await next.swarm.start();
      await acquaint(next.swarm, before);
      return next;
    } catch (error) {
      if (next !== undefined) await this.#end(next);
      if (isAegisError(error)) throw error;
      const reason = toAegisError(error).message;
      throw new AegisError('BAD_CONFIG', `cannot take another network key: ${reason}`, {
        hint: 'The node goes on with the key of before; see its log.',
        cause: error,
      });
    }
  }

  async #create(networkSeed: Uint8Array, generation: number): Promise<Identity> {
    if (networkSeed.byteLength !== 32) {
      throw new AegisError('BAD_CONFIG', 'a network key has a seed of 32 bytes');
    }
    const { gater, wire } = this.#deps;
    const networkKey = publicKeyOf(networkSeed);
    const peerId = peerIdOf(networkKey);
    let encrypter: HelloEncrypter | undefined;
    let upgrader: Upgrader | undefined;
    const { agent, limits } = this.#options;
    const { listen, profile } = this.#route;
    const { isHidden } = this.#listening;
    const swarm = await createSwarm(
      { networkSeed, listen, profile, isHidden, agent, limits },
      {
        // An identity of before dials nobody any more, whatever its Kademlia wants.
        gater: {
          ...gater,
          denyDialMultiaddr: async (address) =>
            this.#current?.peerId !== peerId || (await gater.denyDialMultiaddr?.(address)) === true,
        },
        encrypter: (noise) => {
          encrypter = this.#deps.encrypter(noise, networkKey);
          return encrypter;
        },
        transports: this.#listening.transports(),
        onUpgrader: (own) => {
          upgrader = own;
        },
        clock: this.#deps.clock,
        spend: (stream, allowance, cost) => {
          const nodeId = encrypter?.nodeIdOf(stream);
          return nodeId === undefined ? 0 : this.#deps.conduct.spend(nodeId, allowance, cost);
        },
      },
    );
    await wire(swarm, generation);
    this.#peerIds.add(peerId);
    return { swarm, peerId, encrypter, upgrader };
  }

  #retire(identity: Identity, graceMs: number): void {
    const { clock } = this.#deps;
    const since = clock.now();
    // However short the grace: the right node has opened what runs there, and nobody goes down.
    const until = since + Math.max(graceMs, this.#options.limits.drainTimeoutMs);
    const retired: Retired = { identity, since, until, cancel: () => undefined };
    this.#retired.add(retired);
    this.#look(retired);
  }

  /** An identity of before ends with its last connection, or when its grace is over. */
  #look(retired: Retired): void {
    const { clock, log } = this.#deps;
    const { identity, since, until } = retired;
    const now = clock.now();
    const { swarm, encrypter } = identity;
    const busy =
      now < since + RETIRED_MS_MIN ||
      swarm.getConnections().length > 0 ||
      swarm.getDialQueue().length > 0 ||
      (encrypter?.underWay ?? 0) > 0;
    if (busy && now < until) {
      // A grace may last for weeks: the longer it lasts, the less often it is looked at.
      const pauseMs = Math.max(LOOK_AGAIN_MS, Math.min(LOOK_AGAIN_MS_MAX, (now - since) / 10));
      const next = instant(Math.min(until, now + pauseMs));
      retired.cancel = clock.wakeAt(next, () => this.#look(retired));
      return;
    }
    this.#retired.delete(retired);
    const cut = swarm.getConnections().length;
    log.write('info', 'let go of the network key of before', { peerId: identity.peerId, cut });
    void this.#end(identity);
  }

  async #end({ swarm }: Identity): Promise<void> {
    try {
      await swarm.stop();
    } catch (error) {
      const reason = toAegisError(error).message;
      this.#deps.log.write('warn', 'the network did not stop cleanly', { reason });
    }
  }
}

const identityOf = ({ identity }: Retired): Identity => identity;

/** Where peers are found: Kademlia answers from what the identity of before has learned. */
async function acquaint(next: Swarm, before: Swarm): Promise<void> {
  const peers = (await before.peerStore.all()).slice(0, ACQUAINTANCES_MAX);
  for (const { id, addresses } of peers) {
    if (id.equals(before.peerId) || id.equals(next.peerId)) continue;
    await next.peerStore.merge(id, { multiaddrs: addresses.map((one) => one.multiaddr) });
  }
}
