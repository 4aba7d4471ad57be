/**
 * The route of a running node: Tor, its services and who may find them, married to the host; and
 * the change of the route (docs/tor.md, O1 to O6). What a route means is in route.ts, Tor itself in
 * tor-room.ts. It dials nobody.
 */
import { join } from 'node:path';
import type { Roster } from '../chain/roster.ts';
import type { HomePaths } from '../config/home.ts';
import { type Settings, variableOf, writeSettings } from '../config/settings.ts';
import type { RouteMode } from '../config/tor-settings.ts';
import { onionAddressOf, onionMultiaddr } from '../crypto/onion.ts';
import { AegisError, hasCode, toAegisError } from '../errors.ts';
import type { Keystore } from '../keys/keystore.ts';
import { systemRandom } from '../keys/random.ts';
import type { Genesis } from '../model/genesis.ts';
import type { InvitationFile, OpenInvitationFile } from '../model/invitation-file.ts';
import type { Host } from '../network/host.ts';
import type { Route as HostRoute } from '../network/host-types.ts';
import type { Clock, Log } from '../ports.ts';
import type { ChainStore } from '../storage/chain-store.ts';
import { HomeLock } from '../storage/home-lock.ts';
import { Turns } from '../turns.ts';
import { type Instant, MINUTE, SECOND } from '../units.ts';
import { ClientKeys } from './client-keys.ts';
import type { Introductions } from './introductions.ts';
import { invitationKeyOf, OnionInvitations, type OpenInvitation } from './onion-invitations.ts';
import { OnionKeeper } from './onion-keeper.ts';
import { checkRoute, type Route, routeOf } from './route.ts';
import { TorRoom } from './tor-room.ts';

export interface RoutingOptions {
  readonly settings: Settings;
  readonly paths: HomePaths;
  readonly genesis: Genesis;
  readonly keystore: Keystore;
  readonly invited: OpenInvitationFile | undefined;
  readonly env: NodeJS.ProcessEnv;
}

export interface RoutingDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly store: ChainStore;
  readonly roster: Roster;
  readonly introductions: Introductions;
  /** M1: whether an invitation has been used. */
  isUsed(invitationId: string): boolean;
  /** Another route holds for dials from now on. */
  routed(route: Route): void;
  /** O3: what could not be reached without Tor may be dialled. */
  ready(): void;
  /** Something of the status is another. */
  changed(tor: TorRoom): void;
}

/** What has become of a change (O6). */
export interface RouteChange {
  readonly before: RouteMode;
  readonly changed: boolean;
  /** Peers that were connected, and were cut for it. */
  readonly disconnected: number;
  /** Why the new route has not begun. */
  readonly why: AegisError | undefined;
}

/** A route that could not begin is tried again, ever more seldom. */
const RETRY_MS = 2 * SECOND;
const RETRY_MS_MAX = MINUTE;

export class Routing {
  readonly tor: TorRoom;
  readonly keeper: OnionKeeper;
  readonly clients: ClientKeys;
  readonly invitations: OnionInvitations;
  readonly #options: RoutingOptions;
  readonly #deps: RoutingDeps;
  readonly #ending = new AbortController();
  #route: Route;
  #host: Host | undefined;
  /** J6: a home has one onion address, and one daemon that publishes it. */
  #lock: HomeLock | undefined;
  #isChanging = false;
  /** A change, and what is tried again, one after the other. */
  readonly #turns = new Turns();
  #cancelRetry: (() => void) | undefined;

  /** Opens what it keeps; no Tor yet. */
  static async open(options: RoutingOptions, deps: RoutingDeps): Promise<Routing> {
    const now = () => deps.clock.now();
    const invitations = await OnionInvitations.open(deps.store, { isUsed: deps.isUsed, now });
    return new Routing(options, deps, invitations);
  }

  private constructor(options: RoutingOptions, deps: RoutingDeps, invitations: OnionInvitations) {
    const { settings, paths, keystore } = options;
    const { clock, roster } = deps;
    const log = deps.log.child('tor');
    const now = () => clock.now();
    this.#options = options;
    this.#deps = deps;
    this.#route = routeOf(settings['tor.route'], settings);
    this.invitations = invitations;
    this.clients = new ClientKeys(
      {
        ...{ clusterId: options.genesis.clusterId, self: keystore.nodeId },
        invited: options.invited,
      },
      { ...deps, keystore, invitations, now },
    );
    const { clients } = this;
    const own = {
      address: () => onionAddressOf(keystore.current.keys.onionKey),
      current: () => (keystore.missing().includes('onion') ? undefined : keystore.onionKey()),
      retired: () => keystore.retiredOnion(now()),
    };
    this.keeper = new OnionKeeper(
      { isOpen: settings['tor.clientAuth'] === 'off' },
      { own, clients, clock, log, hasLeft: (nodeId) => roster.get(nodeId)?.status === 'left' },
    );
    this.tor = new TorRoom(
      { settings, paths, socketsMax: socketsMaxOf(settings) },
      {
        ...{ log, clock, random: systemRandom },
        clientsOf: (key) => this.keeper.clientsOf(key),
        clientKeys: (service) => clients.candidates(service),
        ended: () => this.keeper.close(),
        ready: deps.ready,
        changed: () => deps.changed(this.tor),
      },
    );
  }

  get route(): Route {
    return this.#route;
  }

  /** What the host is made with, or made anew. */
  get parts(): HostRoute {
    const { listen, profile } = this.#route;
    const transports = this.tor.transports(this.#route);
    const { services } = this.tor;
    return {
      transports,
      listen: services === undefined ? listen : [this.#onion, ...listen],
      profile,
    };
  }

  /**
   * Before there is a host. A Tor that is there and not ready yet keeps nothing from starting.
   * @throws {AegisError} `TOR_UNREACHABLE`, `TOR_FAILED`, `TOR_DENIED`, `TOR_TOO_OLD`,
   * `BAD_CONFIG`.
   */
  async begin(): Promise<void> {
    if (!this.#route.usesTor) return await this.#warnOfOthers();
    this.#lock ??= await lockOnion(this.#options.paths);
    await this.tor.begin(this.#route, this.#ending.signal);
  }

  /** The host runs: services may be found from now on. */
  attach(host: Host): void {
    this.#host = host;
    this.#publish();
    this.#deps.routed(this.#route);
  }

  /** O2: where others may dial this node. */
  addresses(listening: readonly string[]): readonly string[] {
    const { mode } = this.#route;
    if (mode === 'off') return listening;
    const direct = listening.filter((address) => !address.startsWith('/onion3/'));
    return mode === 'require' ? [this.#onion] : [this.#onion, ...direct];
  }

  /** O16. @throws {AegisError} `BUSY` when too many are open. */
  async invite(invitation: OpenInvitation): Promise<InvitationFile['onion'] | undefined> {
    if (!this.#route.usesTor) return undefined;
    const { keystore, genesis } = this.#options;
    await this.invitations.add(invitation);
    this.keeper.look();
    const key = keystore.onionKey();
    const clientKey = invitationKeyOf(key, genesis.clusterId, invitation.id);
    key.expandedSecret.fill(0);
    return { address: key.address, clientKey };
  }

  /**
   * O6. Resolves when everything of the route of before has ended, and the new one has begun or
   * could not; what could not is tried again.
   * @throws {AegisError} `BUSY`, `BAD_CONFIG` for a listener (O2) or a file that cannot be written:
   * nothing has changed.
   */
  async change(mode: RouteMode): Promise<RouteChange> {
    if (this.#isChanging) throw new AegisError('BUSY', 'the route is being changed already');
    const { settings, paths } = this.#options;
    checkRoute(mode, settings);
    this.#isChanging = true;
    try {
      await writeSettings(paths, { tor: { route: mode } });
      this.#warnOfEnvironment(mode);
      const before = this.#route.mode;
      if (before === mode) return { before, changed: false, disconnected: 0, why: this.tor.why };
      this.#cancelRetry?.();
      const changed = await this.#turns.run(() => this.#change(routeOf(mode, settings)));
      return { before, changed: true, ...changed };
    } finally {
      this.#isChanging = false;
    }
  }

  async end(): Promise<void> {
    this.#ending.abort(new AegisError('STOPPING', 'the node is stopping'));
    this.#cancelRetry?.();
    await this.tor.end();
    await this.#unlock();
  }

  async #unlock(): Promise<void> {
    await this.#lock?.release();
    this.#lock = undefined;
  }

  /** J6: a home has one set of keys, by which members of both clusters know it. */
  async #warnOfOthers(): Promise<void> {
    const { log } = this.#deps;
    const holder = await HomeLock.holder(onionLockOf(this.#options.paths));
    if (holder === undefined) return;
    const message = 'another cluster of this home is behind Tor, and this one shows where it is';
    log.write('warn', message, { pid: holder.pid });
  }

  /** What is written now may not be what holds later. */
  #warnOfEnvironment(mode: RouteMode): void {
    const variable = variableOf('tor.route');
    const given = this.#options.env[variable];
    if (given === undefined || given === mode) return;
    const message = 'a variable of this daemon names another route, and wins when it starts again';
    this.#deps.log.write('warn', message, { variable, route: given });
  }

  /** Between the two there is nothing at all: neither transports nor listeners. */
  async #change(next: Route): Promise<Pick<RouteChange, 'disconnected' | 'why'>> {
    const host = this.#host;
    if (host === undefined) throw new AegisError('BUSY', 'the node is not running yet');
    const disconnected = host.peers().length;
    await host.reroute({ transports: [], listen: [], profile: next.profile });
    this.#route = next;
    this.#deps.log.write('info', 'the route is another', { route: next.mode, disconnected });
    this.#deps.routed(next);
    // A Tor of our own is made for one route: whether it has exits is in its torrc.
    await this.tor.end();
    if (!next.usesTor) await this.#unlock();
    const why = await this.#open(host, RETRY_MS);
    // Direct connections are a part of `prefer`: they wait for no Tor.
    if (why !== undefined && next.usesTcp) await this.#openDirect(host);
    return { disconnected, why };
  }

  /** @returns why not; then nothing is open, and it is tried again. */
  async #open(host: Host, pauseMs: number): Promise<AegisError | undefined> {
    try {
      await this.begin();
      await host.reroute(this.parts);
      this.#publish();
      this.#deps.ready();
      return undefined;
    } catch (error) {
      const why = toAegisError(error);
      const { code, message: reason } = why;
      this.#deps.log.write('error', 'the route could not begin: nothing goes through Tor', {
        code,
        reason,
      });
      this.#retry(host, pauseMs);
      return why;
    }
  }

  async #openDirect(host: Host): Promise<void> {
    try {
      await host.reroute(this.parts);
      this.#deps.ready();
    } catch (error) {
      const { code, message: reason } = toAegisError(error);
      this.#deps.log.write('error', 'the route could not begin directly', { code, reason });
    }
  }

  #retry(host: Host, pauseMs: number): void {
    if (this.#ending.signal.aborted) return;
    const { clock } = this.#deps;
    const route = this.#route;
    this.#cancelRetry = clock.wakeAt((clock.now() + pauseMs) as Instant, () => {
      void this.#turns.run(async () => {
        if (this.#route !== route || this.#ending.signal.aborted) return;
        await this.#open(host, Math.min(pauseMs * 2, RETRY_MS_MAX));
      });
    });
  }

  #publish(): void {
    const { services } = this.tor;
    if (services !== undefined) this.keeper.open(services);
  }

  get #onion(): string {
    return onionMultiaddr(this.#options.keystore.current.keys.onionKey);
  }
}

/** Those that have passed hello, those that have not, and lanes: the host counts exactly. */
const socketsMaxOf = (settings: Settings): number =>
  settings['limits.onionConnections'] * 2 + settings['limits.pendingOnionInbound'];

const onionLockOf = ({ roots }: HomePaths): string => join(roots.state, 'run', 'onion.lock');

/** J6. @throws {AegisError} `BAD_CONFIG` when another cluster of this home has the address. */
async function lockOnion(paths: HomePaths): Promise<HomeLock> {
  try {
    return await HomeLock.acquire(onionLockOf(paths));
  } catch (error) {
    if (!hasCode(error, 'ALREADY_RUNNING')) throw error;
    throw new AegisError('BAD_CONFIG', 'another cluster of this home uses its onion address', {
      hint: 'Only one of them has a route other than off: see aegis cluster list, and tor.route.',
      cause: error,
    });
  }
}
