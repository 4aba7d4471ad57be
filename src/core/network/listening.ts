/**
 * The transports of this node and the sockets at which it listens. They outlive the libp2p identity
 * behind them (docs/keys.md, H5): a swarm that starts is given what is open already, so a change
 * of the network key loses no port and no onion service, and leaves no moment in which nobody
 * listens. It does not say who answers there: the owner does, with `serve`.
 */
import {
  type CreateListenerOptions,
  type Listener,
  type ListenerEvents,
  type MultiaddrConnection,
  serviceCapabilities,
  type Transport,
  TypedEventEmitter,
  transportSymbol,
  type Upgrader,
} from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { AegisError, isAegisError, toAegisError } from '../errors.ts';
import { isFromOnion, isOnion, laneIn, withoutLane } from './addresses.ts';
import type { Door } from './door.ts';
import type { HostLimits } from './limits.ts';
import { type Passages, timesOf } from './passages.ts';
import { type AddressClass, type MakeTransport, tcpTransport } from './transports.ts';

type Upgrade = Partial<NonNullable<Parameters<Upgrader['upgradeInbound']>[1]>>;

export interface ListeningOptions {
  readonly transports: readonly MakeTransport[];
  readonly limits: HostLimits;
}

export interface ListeningDeps {
  /** What it refuses reaches no swarm. */
  readonly door: Pick<Door, 'admits'>;
  readonly passages: Passages;
  /**
   * Both ends of an onion connection begin with this, before libp2p does (O20).
   * @throws when what comes in has no place here.
   */
  greet(raw: MultiaddrConnection, address: Multiaddr, signal: AbortSignal): Promise<void>;
}

export class Listening {
  readonly #transports: readonly ReturnType<MakeTransport>[];
  readonly #limits: HostLimits;
  readonly #deps: ListeningDeps;
  /** Nothing here dials anybody directly (O1). */
  readonly isHidden: boolean;
  /** Nothing here goes through Tor. */
  readonly isDirectOnly: boolean;
  /** By transport and the address that was asked for, e.g. with port 0. */
  readonly #sockets = new Map<string, Promise<Listener>>();
  #serving: Upgrader | undefined;

  constructor(options: ListeningOptions, deps: ListeningDeps) {
    this.#limits = options.limits;
    this.#deps = deps;
    this.isDirectOnly = options.transports.every((make) => make === tcpTransport);
    this.isHidden = !options.transports.includes(tcpTransport);
    this.#transports = options.transports.map((make) => make({ door: deps.door }));
  }

  /** Their names. */
  get names(): string[] {
    return this.#transports.map((transport) => transport[Symbol.toStringTag]);
  }

  /** The upgrader of the swarm that takes what comes in from now on. */
  serve(upgrader: Upgrader): void {
    this.#serving = upgrader;
  }

  /** The transports of one swarm: they dial by themselves and listen at the sockets of all. */
  transports(): Transport[] {
    return this.#transports.map((real, index) => ({
      [transportSymbol]: true,
      [Symbol.toStringTag]: real[Symbol.toStringTag],
      [serviceCapabilities]: ['@libp2p/transport'],
      dial: (address, options) =>
        real.dial(address, {
          ...options,
          upgrader: this.#outbound(real, options.upgrader, address, options.signal),
        }),
      createListener: ({ upgrader }: CreateListenerOptions) =>
        new SharedListener((address) => {
          this.#serving ??= upgrader;
          return this.#open(index, address);
        }),
      listenFilter: (addresses) => real.listenFilter(addresses),
      dialFilter: (addresses) => real.dialFilter(addresses),
    }));
  }

  /** How an address would be dialled; undefined: no transport does (`ROUTE_FORBIDS`). */
  classOf(address: Multiaddr): AddressClass | undefined {
    const bare = withoutLane(address);
    const real = this.#transports.find((one) => one.dialFilter([bare]).length > 0);
    return real === undefined ? undefined : wayOf(real, bare);
  }

  /** Ends listening and what came in; a later `listen` opens anew. */
  async close(): Promise<void> {
    const sockets = [...this.#sockets.values()];
    this.#sockets.clear();
    this.#serving = undefined;
    const close = (socket: Promise<Listener>): Promise<void> =>
      socket.then(
        (listener) => listener.close(),
        () => undefined,
      );
    await Promise.all(sockets.map(close));
  }

  #open(index: number, address: Multiaddr): Promise<Listener> {
    const key = `${index} ${address.toString()}`;
    const known = this.#sockets.get(key);
    if (known !== undefined) return known;
    const opened = this.#listen(index, address).catch((error: unknown) => {
      this.#sockets.delete(key);
      throw error;
    });
    this.#sockets.set(key, opened);
    return opened;
  }

  async #listen(index: number, address: Multiaddr): Promise<Listener> {
    // Handed on at each connection: who serves when it comes is who answers it.
    const upgrader = {
      upgradeInbound: (raw: MultiaddrConnection, options?: Upgrade) => this.#inbound(raw, options),
    } as Upgrader;
    const listener = this.#transports[index]!.createListener({ upgrader });
    await listener.listen(address);
    return listener;
  }

  async #inbound(raw: MultiaddrConnection, options: Upgrade = {}): Promise<void> {
    const way = isFromOnion(raw.remoteAddr) ? 'onion' : 'direct';
    // libp2p has one deadline for all of them: each has that of its class (O24).
    const deadline = AbortSignal.timeout(timesOf(this.#limits, way).helloMs);
    this.#deps.passages.note(raw, { class: way, purpose: 'talk', deadline });
    const signal =
      options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline]);
    if (way === 'onion') await this.#deps.greet(raw, raw.remoteAddr, signal);
    if (this.#serving === undefined) throw new Error('nobody serves here');
    await this.#serving.upgradeInbound(raw, { ...options, signal } as Upgrade & {
      signal: AbortSignal;
    });
  }

  #outbound(
    real: ReturnType<MakeTransport>,
    upgrader: Upgrader,
    address: Multiaddr,
    signal: AbortSignal,
  ): Upgrader {
    const { passages, greet } = this.#deps;
    const lane = laneIn(address);
    const purpose = lane === undefined ? 'talk' : 'lane';
    return {
      upgradeOutbound: async (raw, options) => {
        const way = wayOf(real, raw.remoteAddr);
        passages.note(raw, { class: way, purpose, ...(lane === undefined ? {} : { lane }) });
        if (way === 'onion') await greet(raw, withoutLane(address), signal);
        return await upgrader.upgradeOutbound(raw, options);
      },
    } satisfies Partial<Upgrader> as unknown as Upgrader;
  }
}

/** One that knows classes, and not this one yet, goes through exits: the longer times are safe. */
function wayOf(real: ReturnType<MakeTransport>, address: Multiaddr): AddressClass {
  if (isOnion(address)) return 'onion';
  return real.classOf === undefined ? 'direct' : (real.classOf(address) ?? 'exit');
}

/** A listener of one swarm: it never opens a socket of its own. */
class SharedListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #open: (address: Multiaddr) => Promise<Listener>;
  readonly #onListening = (): void => {
    this.safeDispatchEvent('listening');
  };
  #socket: Listener | undefined;

  constructor(open: (address: Multiaddr) => Promise<Listener>) {
    super();
    this.#open = open;
  }

  async listen(address: Multiaddr): Promise<void> {
    this.#socket = await this.#open(address);
    // Again later, where the address changes, e.g. when a service is published.
    this.#socket.addEventListener('listening', this.#onListening);
    this.#onListening();
  }

  getAddrs(): Multiaddr[] {
    return this.#socket?.getAddrs() ?? [];
  }

  updateAnnounceAddrs(addresses: Multiaddr[]): void {
    this.#socket?.updateAnnounceAddrs(addresses);
  }

  /** The socket stays: it may serve another swarm. */
  async close(): Promise<void> {
    this.#socket?.removeEventListener('listening', this.#onListening);
    this.#socket = undefined;
    this.safeDispatchEvent('close');
  }
}

/** Why libp2p cannot listen, in words of this program. */
export function explainListen(listen: readonly string[], error: unknown): AegisError {
  if (isAegisError(error)) return error;
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
