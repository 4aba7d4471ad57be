/**
 * Tor as this node uses it: the control connection, how far Tor is, the onion services, and the
 * transport that goes through it. It knows neither members nor routes of peers: it is told the keys
 * of who may find it and which route holds. It never falls back to anything (docs/tor.md, O3).
 */
import type { OnionKey } from '../crypto/onion.ts';
import { AegisError, toAegisError } from '../errors.ts';
import type { MakeTransport } from '../network/transports.ts';
import { tcpTransport } from '../network/transports.ts';
import { Bootstrap, type BootstrapStatus } from '../tor/control/bootstrap.ts';
import { addClientKey, fetchDescriptor } from '../tor/control/commands.ts';
import type { TorEndpoint } from '../tor/endpoint.ts';
import { Isolation } from '../tor/isolation.ts';
import type { OnionClients } from '../tor/onion/service.ts';
import { OnionServices } from '../tor/onion/services.ts';
import { type TorTransportDeps, torTransport } from '../tor/transport/transport.ts';
import { SECOND } from '../units.ts';
import type { Route } from './route.ts';
import { phaseText } from './tor-progress.ts';
import {
  reachTor,
  targetOf,
  type UsedTor,
  type WhichTorDeps,
  type WhichTorOptions,
} from './which-tor.ts';

export type TorState = 'off' | 'starting' | 'bootstrapping' | 'ready' | 'down';

export interface TorRoomOptions extends Omit<WhichTorOptions, 'usesExits'> {
  /** Sockets from Tor at one time. */
  readonly socketsMax: number;
}

export interface TorRoomDeps extends WhichTorDeps {
  /** Who may find the service of that key now. */
  clientsOf(key: OnionKey): OnionClients;
  /** X25519 secrets for the service of that onion key. */
  clientKeys(service: Uint8Array): readonly Uint8Array[];
  /** No service can be published any more. */
  ended(): void;
  /** O3: Tor can be used, again or for the first time. */
  ready(): void;
  /** Something of the status is another. */
  changed(): void;
}

/** O24 */
const DIAL_TIMEOUT_MS = 90 * SECOND;
const SECRET_BYTES = 32;

interface Running {
  readonly tor: UsedTor;
  readonly bootstrap: Bootstrap;
  readonly services: OnionServices;
  readonly cancels: (() => void)[];
}

export class TorRoom {
  readonly isolation: Isolation;
  readonly #options: TorRoomOptions;
  readonly #deps: TorRoomDeps;
  #running: Running | undefined;
  #isBeginning = false;
  #state: TorState = 'off';
  #why: AegisError | undefined;
  #told = '';

  constructor(options: TorRoomOptions, deps: TorRoomDeps) {
    this.#options = options;
    this.#deps = deps;
    this.isolation = new Isolation(deps.random.bytes(SECRET_BYTES));
  }

  get state(): TorState {
    return this.#state;
  }

  /** What keeps it from `ready`. */
  get why(): AegisError | undefined {
    const running = this.#running;
    if (running === undefined) return this.#why;
    if (this.#state === 'down') return gone(running);
    if (this.#state !== 'bootstrapping') return undefined;
    return running.tor.problem() ?? running.bootstrap.notReady();
  }

  get tor(): UsedTor | undefined {
    return this.#running?.tor;
  }

  get services(): OnionServices | undefined {
    return this.#running?.services;
  }

  get bootstrap(): BootstrapStatus | undefined {
    return this.#running?.bootstrap.status;
  }

  /**
   * Reaches Tor, or starts one. What has begun stays, whatever becomes of Tor.
   * @throws {AegisError} `TOR_UNREACHABLE`, `TOR_FAILED`, `TOR_DENIED`, `TOR_TOO_OLD`,
   * `BAD_CONFIG`, `PORT_IN_USE`: nothing of it has begun.
   */
  async begin(route: Route, signal: AbortSignal): Promise<void> {
    if (this.#running !== undefined || !route.usesTor) return;
    this.#isBeginning = true;
    this.#why = undefined;
    this.#look();
    try {
      const { usesExits } = route;
      const tor = await reachTor({ ...this.#options, usesExits }, this.#deps, signal);
      this.#running = await this.#assemble(tor).catch(async (error: unknown) => {
        await tor.stop();
        throw error;
      });
    } catch (error) {
      this.#why = toAegisError(error);
      throw error;
    } finally {
      this.#isBeginning = false;
      this.#look();
    }
  }

  /** Ends services, what came in, and a Tor of our own. */
  async end(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    this.#why = undefined;
    if (running === undefined) return this.#look();
    this.#deps.ended();
    for (const cancel of running.cancels) cancel();
    await running.services.close();
    await running.tor.stop();
    this.#look();
  }

  /** O1: what exists of transports. In `require` that is the one through Tor. */
  transports(route: Route): readonly MakeTransport[] {
    const direct = route.usesTcp ? [tcpTransport] : [];
    const running = this.#running;
    // O3: without Tor `require` has nothing at all.
    if (!route.usesTor || running === undefined) return direct;
    const deps: TorTransportDeps = {
      proxy: () => this.proxy(),
      isolation: this.isolation,
      clientKeys: (service) => this.#deps.clientKeys(service),
      // Whatever Tor was told before: a NEWNYM of anybody makes it forget.
      install: (address, secret) => addClientKey(running.tor.link, address, secret),
      refetch: (address) => fetchDescriptor(running.tor.link, address),
      listeners: running.services,
      log: this.#deps.log,
    };
    const options = { exits: route.usesExits, dialTimeoutMs: DIAL_TIMEOUT_MS };
    // O4: what no exit reaches is dialled directly; in `require` there is nothing that could.
    const through: MakeTransport = (parts) => {
      const more = route.usesTcp ? { direct: tcpTransport(parts) } : {};
      return torTransport({ ...options, ...more }, deps)(parts);
    };
    return [through, ...direct];
  }

  /** Where SOCKS is. @throws {AegisError} `TOR_UNREACHABLE`, `TOR_NOT_READY` (O3). */
  proxy(): TorEndpoint {
    const running = this.#running;
    if (running === undefined) throw this.#why ?? unreachable();
    if (running.tor.link.state !== 'up') throw gone(running);
    if (!running.bootstrap.status.isReady) throw running.bootstrap.notReady();
    return running.tor.socks;
  }

  async #assemble(tor: UsedTor): Promise<Running> {
    const { settings, socketsMax } = this.#options;
    const { log, clock, clientsOf } = this.#deps;
    const bootstrap = new Bootstrap({ clock });
    const services = new OnionServices(
      {
        ...{ target: await targetOf(this.#options, tor), socketsMax },
        ...(settings['tor.pow'] === 'on' ? { pow: {} } : {}),
      },
      { link: tor.link, log, clock, clientsOf },
    );
    await services.open();
    const look = () => this.#look();
    const cancels = [
      bootstrap.start(tor.link),
      bootstrap.onChange((status) => {
        this.#tell(status);
        look();
      }),
      services.onChange(() => this.#deps.changed()),
      tor.link.onState(look),
    ];
    return { tor, bootstrap, services, cancels };
  }

  /** Tor complains of each relay that it cannot reach: the same is said once. */
  #tell(status: BootstrapStatus): void {
    const { tag, reason, warning, isReady } = status;
    if (isReady || tag === 'down') return;
    const text = `Tor starts: ${phaseText(status)}`;
    if (text === this.#told) return;
    this.#told = text;
    const fields = { tag, ...(reason === undefined ? {} : { reason }) };
    this.#deps.log.write(warning === undefined ? 'info' : 'warn', text, fields);
  }

  #look(): void {
    const before = this.#state;
    this.#state = this.#stateOf();
    const after = this.#state;
    this.#deps.changed();
    if (before === after) return;
    this.#told = '';
    const { log } = this.#deps;
    if (after === 'ready') {
      log.write('info', 'Tor is ready', {});
      this.#deps.ready();
    } else if (after === 'down' && this.#running !== undefined) {
      const reason = this.why?.message;
      log.write('warn', 'Tor is gone: nothing is dialled until it is back', { reason });
    }
  }

  #stateOf(): TorState {
    if (this.#isBeginning) return 'starting';
    const running = this.#running;
    if (running === undefined) return this.#why === undefined ? 'off' : 'down';
    if (running.tor.link.state !== 'up') return 'down';
    return running.bootstrap.status.isReady ? 'ready' : 'bootstrapping';
  }
}

const gone = ({ tor }: Running): AegisError => tor.problem() ?? tor.link.why ?? unreachable();

const unreachable = (): AegisError =>
  new AegisError('TOR_UNREACHABLE', 'the control connection to Tor is lost; it is tried again');
