/**
 * The sockets at which this node listens. They outlive the libp2p identity behind them
 * (docs/keys.md, H5): a swarm that starts is given the sockets that are open already, so a change
 * of the network key loses no port and leaves no moment in which nobody listens. It does not say
 * who answers there: the owner does, with `serve`.
 */
import type { CreateListenerOptions, Listener, Transport, Upgrader } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import type { Multiaddr } from '@multiformats/multiaddr';
import { AegisError, toAegisError } from '../errors.ts';
import { MINUTE } from '../units.ts';
import { type Door, guardListeners } from './door.ts';
import { silentLogger } from './silent-logger.ts';

/** Longer than any pause of a healthy connection: the heartbeat decides, not the socket. */
const SOCKET_IDLE_MS = 10 * MINUTE;

const tcpTransport = (): Transport =>
  tcp({
    inboundSocketInactivityTimeout: SOCKET_IDLE_MS,
    outboundSocketInactivityTimeout: SOCKET_IDLE_MS,
  })({ logger: silentLogger() });

export class Listening {
  /** By the address that was asked for, e.g. with port 0. */
  readonly #sockets = new Map<string, Promise<Listener>>();
  readonly #transport: Transport;
  #serving: Upgrader | undefined;

  /** @param deps.door what it refuses reaches no swarm. */
  constructor(deps: { door: Pick<Door, 'admits'> }) {
    this.#transport = guardListeners(tcpTransport(), deps.door);
  }

  /** The upgrader of the swarm that takes what comes in from now on. */
  serve(upgrader: Upgrader): void {
    this.#serving = upgrader;
  }

  /** The transport of one swarm: it dials by itself and listens at the sockets of all. */
  transport(): Transport {
    const transport = tcpTransport();
    const create = transport.createListener.bind(transport);
    transport.createListener = (options) => this.#share(create(options), options);
    return transport;
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

  /** A listener that never opens a socket of its own. */
  #share(listener: Listener, { upgrader }: CreateListenerOptions): Listener {
    let socket: Listener | undefined;
    listener.listen = async (address) => {
      socket = await this.#open(address);
      this.#serving ??= upgrader;
      listener.dispatchEvent(new CustomEvent('listening'));
    };
    listener.getAddrs = () => socket?.getAddrs() ?? [];
    listener.close = async () => {
      if (socket === undefined) return;
      socket = undefined;
      listener.dispatchEvent(new CustomEvent('close'));
    };
    return listener;
  }

  #open(address: Multiaddr): Promise<Listener> {
    const key = address.toString();
    const known = this.#sockets.get(key);
    if (known !== undefined) return known;
    const opened = this.#listen(address).catch((error: unknown) => {
      this.#sockets.delete(key);
      throw error;
    });
    this.#sockets.set(key, opened);
    return opened;
  }

  async #listen(address: Multiaddr): Promise<Listener> {
    // Handed on at each connection: who serves when it comes is who answers it.
    const upgrader = {
      upgradeInbound: async (...[connection, options]: Parameters<Upgrader['upgradeInbound']>) => {
        if (this.#serving === undefined) throw new Error('nobody serves here');
        await this.#serving.upgradeInbound(connection, options);
      },
    } as Upgrader;
    const listener = this.#transport.createListener({ upgrader });
    await listener.listen(address);
    return listener;
  }
}

/** Why libp2p cannot listen, in words of this program. */
export function explainListen(listen: readonly string[], error: unknown): AegisError {
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
