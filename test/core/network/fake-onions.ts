/**
 * Onion services without Tor: a transport over unix sockets that has the addresses, the classes and
 * the nameless inbound connections of the real one, and its delays where a test wants them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CreateListenerOptions,
  type Listener,
  type ListenerEvents,
  serviceCapabilities,
  TypedEventEmitter,
  transportSymbol,
} from '@libp2p/interface';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { onionKeyOf, onionMultiaddr } from '../../../src/core/crypto/onion.ts';
import { AegisError } from '../../../src/core/errors.ts';
import { hostOf, isOnion, withoutLane } from '../../../src/core/network/addresses.ts';
import type { AddressClass, MakeTransport } from '../../../src/core/network/transports.ts';
import { SocketConnection } from '../../../src/core/tor/transport/connection.ts';

export interface FakeOnionOptions {
  /** How IP addresses and names are said to be dialled; they are not. */
  readonly others?: AddressClass;
  /** What a rogue says before libp2p does; a host says its own. */
  readonly greeting?: Uint8Array;
}

/** A world in which onion services find each other. */
export class FakeOnions implements Disposable {
  readonly #dir = mkdtempSync(join(tmpdir(), 'aegis-onions-'));
  /** Every lane and service that was dialled, in order. */
  readonly dialled: string[] = [];
  /** Sockets at either end that are open. */
  readonly sockets = new Set<Socket>();
  readonly servers = new Set<Server>();
  /** Dials fail meanwhile, as without Tor. */
  isDown = false;
  #inbound = 0;

  /** The address of the service of a node. */
  addressOf(node: number): string {
    return onionMultiaddr(onionKeyOf(new Uint8Array(32).fill(node + 1)).publicKey);
  }

  /** A raw connection to a service, of somebody who does not speak libp2p. */
  async raw(address: string): Promise<Socket> {
    return await this.#connect(multiaddr(address), AbortSignal.timeout(5000));
  }

  transport(options: FakeOnionOptions = {}): MakeTransport {
    return ({ door }) => ({
      [transportSymbol]: true,
      [Symbol.toStringTag]: 'fake-tor',
      [serviceCapabilities]: ['@libp2p/transport'],
      dial: async (address, { upgrader, signal, ...rest }) => {
        this.dialled.push(address.toString());
        const service = withoutLane(address);
        if (this.isDown) throw new AegisError('TOR_UNREACHABLE', 'there is no Tor');
        const socket = await this.#connect(service, signal);
        if (options.greeting !== undefined) socket.write(options.greeting);
        const raw = new SocketConnection({ socket, remoteAddr: service, direction: 'outbound' });
        try {
          return await upgrader.upgradeOutbound(raw, { ...rest, signal });
        } catch (error) {
          raw.abort(error as Error);
          throw error;
        }
      },
      createListener: (parts: CreateListenerOptions) =>
        new FakeService(this, parts, () => door.admits('onion')),
      listenFilter: (addresses) => addresses.filter(isOnion),
      dialFilter: (addresses) =>
        addresses.filter((one) => isOnion(one) || options.others !== undefined),
      classOf: (address) => (isOnion(address) ? 'onion' : options.others),
    });
  }

  pathOf(address: Multiaddr): string {
    return join(this.#dir, hostOf(address).slice(0, 16));
  }

  nextInbound(): Multiaddr {
    this.#inbound += 1;
    return multiaddr(`/memory/onion-${this.#inbound}`);
  }

  hold(socket: Socket): Socket {
    this.sockets.add(socket);
    return socket.once('close', () => this.sockets.delete(socket)).on('error', () => undefined);
  }

  [Symbol.dispose](): void {
    for (const socket of this.sockets) socket.destroy();
    for (const server of this.servers) server.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #connect(address: Multiaddr, signal: AbortSignal): Promise<Socket> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const socket = this.hold(connect(this.pathOf(address)));
      socket.once('connect', () => resolve(socket.pause()));
      socket.once('error', () => reject(new AegisError('ONION_NOT_FOUND', 'nobody is there')));
      signal.addEventListener('abort', () => socket.destroy(), { once: true });
    });
  }
}

class FakeService extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #onions: FakeOnions;
  readonly #server: Server;
  readonly #own = new Set<Socket>();
  #address: Multiaddr | undefined;

  constructor(onions: FakeOnions, { upgrader }: CreateListenerOptions, admits: () => boolean) {
    super();
    this.#onions = onions;
    this.#server = createServer((socket) => {
      onions.hold(socket);
      if (!admits()) {
        socket.destroy();
        return;
      }
      this.#own.add(socket);
      socket.once('close', () => this.#own.delete(socket));
      const remoteAddr = onions.nextInbound();
      const raw = new SocketConnection({ socket, remoteAddr, direction: 'inbound' });
      const signal = new AbortController().signal;
      upgrader.upgradeInbound(raw, { signal }).catch((error: Error) => raw.abort(error));
    });
  }

  async listen(address: Multiaddr): Promise<void> {
    const path = this.#onions.pathOf(address);
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(path, resolve);
    });
    this.#onions.servers.add(this.#server);
    this.#address = address;
    this.safeDispatchEvent('listening');
  }

  getAddrs(): Multiaddr[] {
    return this.#address === undefined ? [] : [this.#address];
  }

  updateAnnounceAddrs(): void {}

  async close(): Promise<void> {
    this.#onions.servers.delete(this.#server);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#own) socket.destroy();
    await closed;
    this.safeDispatchEvent('close');
  }
}
