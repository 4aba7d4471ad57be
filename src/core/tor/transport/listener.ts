/**
 * Listens at the onion services of this node: takes what Tor hands to their socket. It publishes
 * nothing (OnionServices does), and its own address is the current one, whichever it was asked for.
 */
import type { Socket } from 'node:net';
import {
  type CreateListenerOptions,
  type Listener,
  type ListenerEvents,
  setMaxListeners,
  TypedEventEmitter,
  type Upgrader,
} from '@libp2p/interface';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { onionMultiaddr, parseOnionAddress } from '../../crypto/onion.ts';
import type { Log } from '../../ports.ts';
import type { OnionServices } from '../onion/services.ts';
import { SocketConnection } from './connection.ts';

/** As the door knows all that comes through Tor (O20). */
const DOOR_NAME = 'onion';
/** No address of a network: nobody is told where he was seen, and nothing is counted by it (O2). */
export const INBOUND_PREFIX = '/memory/onion-';

export interface OnionListenerDeps {
  readonly services: OnionServices;
  readonly door: { admits(address: string): boolean };
  readonly log: Log;
}

export class OnionListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #upgrader: Upgrader;
  readonly #deps: OnionListenerDeps;
  readonly #connections = new Set<SocketConnection>();
  readonly #stop = new AbortController();
  readonly #undo: (() => void)[] = [];
  #address: string | undefined;
  #accepted = 0;

  constructor({ upgrader }: CreateListenerOptions, deps: OnionListenerDeps) {
    super();
    this.#upgrader = upgrader;
    this.#deps = deps;
    setMaxListeners(Number.POSITIVE_INFINITY, this.#stop.signal);
  }

  async listen(): Promise<void> {
    const { services } = this.#deps;
    this.#undo.push(services.serve((socket) => this.#accept(socket)));
    this.#undo.push(services.onChange(() => this.#announce()));
    this.#address = this.#published();
    this.safeDispatchEvent('listening');
  }

  getAddrs(): Multiaddr[] {
    return this.#address === undefined ? [] : [multiaddr(this.#address)];
  }

  updateAnnounceAddrs(): void {}

  async close(): Promise<void> {
    for (const undo of this.#undo.splice(0)) undo();
    this.#address = undefined;
    this.#stop.abort(new Error('the listener is closed'));
    for (const connection of this.#connections)
      connection.abort(new Error('the listener is closed'));
    this.safeDispatchEvent('close');
  }

  /** Others are told when the address has changed, or can be dialled from now on (O3, O18). */
  #announce(): void {
    const address = this.#published();
    if (address === this.#address) return;
    this.#address = address;
    this.safeDispatchEvent('listening');
  }

  #published(): string | undefined {
    const { current } = this.#deps.services;
    if (current?.state !== 'published') return undefined;
    return onionMultiaddr(parseOnionAddress(current.address));
  }

  #accept(socket: Socket): void {
    const { door, log } = this.#deps;
    socket.on('error', () => undefined);
    if (!door.admits(DOOR_NAME)) {
      socket.destroy();
      return;
    }
    this.#accepted += 1;
    const remoteAddr = multiaddr(`${INBOUND_PREFIX}${this.#accepted}`);
    const connection = new SocketConnection({ socket, remoteAddr, direction: 'inbound' });
    this.#connections.add(connection);
    connection.addEventListener('close', () => this.#connections.delete(connection));
    const { signal } = this.#stop;
    this.#upgrader.upgradeInbound(connection, { signal }).catch((error: unknown) => {
      log.write('debug', 'a connection from Tor came to nothing', { why: String(error) });
      connection.abort(error as Error);
    });
  }
}
