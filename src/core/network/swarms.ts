/**
 * The libp2p identities of this node: the one that dials and answers, and those of before that
 * still have connections (docs/keys.md, H5). Each has a generation, so that of two connections one
 * can tell the newer identity. It does not dial peers anew: the redialer does.
 */
import type { ConnectionEncrypter, ConnectionGater, Upgrader } from '@libp2p/interface';
import { publicKeyOf } from '../crypto/sign.ts';
import { AegisError, isAegisError, toAegisError } from '../errors.ts';
import { peerIdOf } from '../model/identity.ts';
import type { Clock, Log } from '../ports.ts';
import { instant, MINUTE, SECOND } from '../units.ts';
import type { Conduct } from './conduct.ts';
import type { Door } from './door.ts';
import type { HelloEncrypter } from './hello-encrypter.ts';
import type { HostLimits, Profile } from './limits.ts';
import { Listening } from './listening.ts';
import { createSwarm, type Swarm } from './swarm.ts';

export interface SwarmsOptions {
  readonly listen: readonly string[];
  readonly agent: string;
  readonly limits: HostLimits;
  readonly profile: Profile;
}

export interface SwarmsDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly gater: ConnectionGater;
  readonly door: Pick<Door, 'admits'>;
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

export class Swarms {
  readonly #options: SwarmsOptions;
  readonly #deps: SwarmsDeps;
  readonly #listening: Listening;
  readonly #retired = new Set<Retired>();
  /** All peer ids that this node has had since it started. */
  readonly #peerIds = new Set<string>();
  #current: Identity | undefined;
  #generation = 0;
  /** One change at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: SwarmsOptions, deps: SwarmsDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#listening = new Listening(deps);
  }

  /** The swarm that dials and answers; none before the start and after the stop. */
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
  async start(networkSeed: Uint8Array): Promise<void> {
    const first = await this.#create(networkSeed, 0);
    this.#current = first;
    try {
      await first.swarm.start();
    } catch (error) {
      this.#current = undefined;
      await this.#listening.close();
      throw error;
    }
  }

  /**
   * @returns whether there is another identity now; `false` for the key that is in use.
   * @throws {AegisError} `STOPPING`, `BAD_CONFIG`: everything stays as it was.
   */
  rotate(networkSeed: Uint8Array, graceMs: number): Promise<boolean> {
    const turn = this.#turn.then(() => this.#rotate(networkSeed, graceMs));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Ends all identities. */
  async stop(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    const retired = [...this.#retired];
    for (const one of retired) one.cancel();
    this.#retired.clear();
    await Promise.all([
      this.#turn,
      ...(current === undefined ? [] : [this.#end(current)]),
      ...retired.map((one) => this.#end(one.identity)),
    ]);
    await this.unlisten();
  }

  /** Gives the ports back, and cuts what came in there. */
  unlisten(): Promise<void> {
    return this.#listening.close();
  }

  async #rotate(networkSeed: Uint8Array, graceMs: number): Promise<boolean> {
    const before = this.#current;
    if (before === undefined) throw stopping();
    if (networkSeed.byteLength === 32 && before.peerId === peerIdOf(publicKeyOf(networkSeed))) {
      return false;
    }
    const next = await this.#prepare(networkSeed, before.swarm);
    if (this.#current !== before) {
      await this.#end(next);
      throw stopping();
    }
    this.#current = next;
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
    const swarm = await createSwarm(
      { ...this.#options, networkSeed },
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
        transport: (own) => {
          upgrader = own;
          return this.#listening.transport();
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

/** Where peers are found: Kademlia answers from what the identity of before has learned. */
async function acquaint(next: Swarm, before: Swarm): Promise<void> {
  const peers = (await before.peerStore.all()).slice(0, ACQUAINTANCES_MAX);
  for (const { id, addresses } of peers) {
    if (id.equals(before.peerId) || id.equals(next.peerId)) continue;
    await next.peerStore.merge(id, { multiaddrs: addresses.map((one) => one.multiaddr) });
  }
}
