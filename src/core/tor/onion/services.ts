/**
 * The onion services of this node: that of its current onion key, and those of keys before it for
 * as long as their grace lasts (O18). All hand on to one socket. It does not know what a member is:
 * whoever owns it says which keys find a service.
 */
import type { Socket } from 'node:net';
import type { OnionKey } from '../../crypto/onion.ts';
import type { TorEndpoint } from '../endpoint.ts';
import type { OnionClients, OnionDeps, OnionStatus, PowOptions } from './service.ts';

export interface OnionServicesOptions {
  /** A path that does not exist yet, or an address on loopback; port 0 takes any. */
  readonly target: TorEndpoint;
  /** @default 4001 */
  readonly port?: number;
  /** Sockets from Tor at the same time; more are ended at once. */
  readonly socketsMax: number;
  readonly pow?: PowOptions;
}

export interface OnionServicesDeps extends OnionDeps {
  /** Who can find the service of that key now (O13, O14, O16). */
  clientsOf(key: OnionKey): OnionClients;
}

export class OnionServices {
  constructor(options: OnionServicesOptions, deps: OnionServicesDeps) {
    void options;
    void deps;
  }

  /** Opens the target. @throws {AegisError} `PORT_IN_USE`, `SOCKET_PATH_TOO_LONG`, `BAD_CONFIG`. */
  async open(): Promise<void> {}

  /** Where Tor hands on what comes in, once it is open. */
  get target(): TorEndpoint {
    throw new Error('not built yet');
  }

  /**
   * Makes the service of that key the current one. What was current stays for the grace.
   * @param options.graceMs 0: it ends when the new one is published, or at once if `now`.
   * @throws {AegisError} `ONION_CLIENTS_FULL`, `TOR_FAILED`.
   */
  async use(key: OnionKey, options: { readonly graceMs?: number } = {}): Promise<void> {
    void key;
    void options;
  }

  /** Makes all anew for the clients of now. @param options.cut ends every stream of before (O17). */
  async renew(options: { readonly cut: boolean }): Promise<void> {
    void options;
  }

  /** Ends the service of a key at once: it is compromised (O18). */
  async end(publicKey: Uint8Array): Promise<void> {
    void publicKey;
  }

  get current(): OnionStatus | undefined {
    return undefined;
  }

  /** The current one first. */
  list(): readonly OnionStatus[] {
    return [];
  }

  onChange(listener: () => void): () => void {
    void listener;
    return () => undefined;
  }

  /** Hands sockets that come in from Tor to `take`; where nobody takes them they are ended. */
  serve(take: (socket: Socket) => void): () => void {
    void take;
    return () => undefined;
  }

  /** Ends services, target and what came in. */
  async close(): Promise<void> {}
}
