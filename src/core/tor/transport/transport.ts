/**
 * The libp2p transport for what goes through Tor: onion services, and through exits IP addresses
 * and names (O1, O4, O5). It decides nothing about whom to dial. In `require` it has no other way:
 * nothing in here opens a socket but to the SOCKS port of Tor.
 */
import type { Socket } from 'node:net';
import {
  type Connection,
  type CreateListenerOptions,
  type DialTransportOptions,
  type Listener,
  type Transport,
  transportSymbol,
} from '@libp2p/interface';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { AegisError, hasCode } from '../../errors.ts';
import type { Log } from '../../ports.ts';
import type { TorEndpoint } from '../endpoint.ts';
import type { Isolation } from '../isolation.ts';
import type { OnionServices } from '../onion/services.ts';
import { socksConnect } from '../socks/connect.ts';
import { socksLate } from '../socks/refusal.ts';
import { type AddressClass, AddressClasses } from './classes.ts';
import { KeyTrials } from './client-keys.ts';
import { SocketConnection } from './connection.ts';
import { INBOUND_PREFIX, OnionListener } from './listener.ts';
import { type DialTarget, peerNameOf, targetOf } from './target.ts';

export interface TorTransportOptions {
  /** Whether IP addresses and names are dialled through exits (O5). */
  readonly exits: boolean;
  /** `prefer`: what dials directly when exits do not (O4). Never in `require`. */
  readonly direct?: Transport;
  /** Of one dial, all its client keys included; not of the handshake behind it. */
  readonly dialTimeoutMs: number;
}

export interface TorTransportDeps {
  /** The SOCKS port. @throws {AegisError} `TOR_UNREACHABLE`, `TOR_NOT_READY`. */
  proxy(): TorEndpoint;
  /** A peer is its onion address without `.onion`, its IP address or its name. */
  readonly isolation: Pick<Isolation, 'of' | 'renew'>;
  /** X25519 secrets for the service of that onion key, the likeliest first; they are wiped. */
  clientKeys(onionPublicKey: Uint8Array): readonly Uint8Array[];
  /** Makes Tor use that client key for that address (with `.onion`) from now on. */
  install(address: string, secret: Uint8Array): Promise<void>;
  /** Has Tor look again where that service (with `.onion`) is now. */
  refetch(address: string): Promise<void>;
  readonly listeners: OnionServices;
  readonly log: Log;
}

export interface TorTransport extends Transport {
  /** How a connection came, by its remote address; how a dial would go, by any other. */
  classOf(address: Multiaddr): AddressClass | undefined;
}

export interface TransportParts {
  readonly door: { admits(address: string): boolean };
}

export const torTransport =
  (options: TorTransportOptions, deps: TorTransportDeps) =>
  ({ door }: TransportParts): TorTransport =>
    new OverTor(options, deps, door);

class OverTor implements TorTransport {
  readonly [transportSymbol] = true;
  readonly [Symbol.toStringTag] = '@aegis/tor';
  readonly #options: TorTransportOptions;
  readonly #deps: TorTransportDeps;
  readonly #door: TransportParts['door'];
  readonly #classes = new AddressClasses();
  readonly #keys: KeyTrials;

  constructor(options: TorTransportOptions, deps: TorTransportDeps, door: TransportParts['door']) {
    this.#options = options;
    this.#deps = deps;
    this.#door = door;
    this.#keys = new KeyTrials(deps);
  }

  classOf(address: Multiaddr): AddressClass | undefined {
    const marked = this.#classes.of(address);
    if (marked !== undefined) return marked;
    if (address.toString().startsWith(INBOUND_PREFIX)) return 'onion';
    const target = targetOf(address);
    return target === undefined ? undefined : this.#waysTo(target)[0];
  }

  dialFilter(addresses: Multiaddr[]): Multiaddr[] {
    return addresses.filter((address) => {
      const target = targetOf(address);
      return target !== undefined && this.#waysTo(target).length > 0;
    });
  }

  listenFilter(addresses: Multiaddr[]): Multiaddr[] {
    return addresses.filter((address) => targetOf(address)?.onion !== undefined);
  }

  createListener(options: CreateListenerOptions): Listener {
    const { listeners: services, log } = this.#deps;
    return new OnionListener(options, { services, log, door: this.#door });
  }

  /**
   * @throws {AegisError} `ROUTE_FORBIDS`, what `deps.proxy` throws, and what SOCKS says: `ONION_*`,
   * `EXIT_REFUSED`, `TOR_*`, `TIMEOUT`.
   */
  async dial(address: Multiaddr, options: DialTransportOptions): Promise<Connection> {
    const target = targetOf(address);
    const ways = target === undefined ? [] : this.#waysTo(target);
    let failed: unknown;
    for (const way of ways) {
      options.signal.throwIfAborted();
      try {
        return way === 'direct'
          ? await this.#dialDirectly(target!, options)
          : await this.#dialThroughTor(target!, way, options);
      } catch (error) {
        if (!(error instanceof Unconnected)) throw error;
        failed = error.reason;
      }
    }
    throw failed ?? forbidden(address);
  }

  /** O4, O5: in the order in which they are tried. */
  #waysTo({ onion, isPrivate }: DialTarget): readonly AddressClass[] {
    if (onion !== undefined) return ['onion'];
    const { exits, direct } = this.#options;
    const ways: AddressClass[] = [];
    if (exits && !isPrivate) ways.push('exit');
    if (direct !== undefined) ways.push('direct');
    return ways;
  }

  async #dialDirectly(target: DialTarget, options: DialTransportOptions): Promise<Connection> {
    const address = this.#classes.mark(multiaddr(target.address), 'direct');
    return this.#options.direct!.dial(address, options);
  }

  async #dialThroughTor(
    target: DialTarget,
    way: 'onion' | 'exit',
    options: DialTransportOptions,
  ): Promise<Connection> {
    const socket = await this.#connect(target, options.signal).catch((error: unknown) => {
      if (!hasCode(error, ...NO_CIRCUIT)) this.#leave(target);
      throw new Unconnected(error);
    });
    const remoteAddr = this.#classes.mark(multiaddr(target.address), way);
    const connection = new SocketConnection({ socket, remoteAddr, direction: 'outbound' });
    connection.addEventListener('close', ({ error, local }) => {
      if (error !== undefined && local === true) this.#leave(target);
    });
    try {
      return await options.upgrader.upgradeOutbound(connection, options);
    } catch (error) {
      connection.abort(error as Error);
      throw error;
    }
  }

  /**
   * Nobody tells Tor when a peer loses its power: it would go on trying the circuit of before until
   * that is old, and then introduction points that take everything and hand on nothing. So the next
   * dial takes another circuit, by a descriptor that is looked up anew.
   */
  #leave(target: DialTarget): void {
    this.#deps.isolation.renew(peerNameOf(target));
    if (target.onion === undefined) return;
    this.#deps.refetch(target.host).catch((error: unknown) => {
      this.#deps.log.write('debug', 'no new look at an onion service', { why: String(error) });
    });
  }

  #connect(target: DialTarget, signal: AbortSignal): Promise<Socket> {
    const { host, port, onion } = target;
    // Where there is another way, this one leaves it half of the time.
    const share = this.#options.dialTimeoutMs / this.#waysTo(target).length;
    const until = performance.now() + share;
    const dial = async (): Promise<Socket> => {
      const timeoutMs = Math.ceil(until - performance.now());
      // Others have tried keys all the while.
      if (timeoutMs <= 0) throw socksLate(host, port, share);
      const isolation = this.#deps.isolation.of(target.purpose, peerNameOf(target));
      const proxy = this.#deps.proxy();
      return socksConnect({ proxy, host, port, isolation }, { signal, timeoutMs });
    };
    const secrets = onion === undefined ? [] : this.#deps.clientKeys(onion);
    const drop = (socket: Socket): void => void socket.destroy();
    return this.#keys.dial({ address: host, secrets, signal, dial, drop });
  }
}

/** Failures before there is a circuit to the peer. */
const NO_CIRCUIT = ['ONION_AUTH', 'ONION_NOT_FOUND', 'TOR_UNREACHABLE', 'TOR_NOT_READY'] as const;

/** There is no connection yet, so another way may make one. */
class Unconnected extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super('not connected');
    this.reason = reason;
  }
}

const forbidden = (address: Multiaddr): AegisError =>
  new AegisError('ROUTE_FORBIDS', `nothing that this route has can dial ${address.toString()}`);
