/**
 * The libp2p transport for what goes through Tor: onion services, and through exits IP addresses
 * and names (O1, O4, O5). It decides nothing about whom to dial. In `require` it has no other way:
 * nothing in here opens a socket but to the SOCKS port of Tor.
 */
import type { Transport } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { Log } from '../../ports.ts';
import type { TorEndpoint } from '../endpoint.ts';
import type { Credentials } from '../isolation.ts';
import type { OnionServices } from '../onion/services.ts';

export interface TorTransportOptions {
  /** Whether IP addresses and names are dialled through exits (O5). */
  readonly exits: boolean;
  /** `prefer`: what dials directly when exits do not (O4). Never in `require`. */
  readonly direct?: Transport;
  readonly dialTimeoutMs: number;
}

export interface TorTransportDeps {
  /** The SOCKS port. @throws {AegisError} `TOR_UNREACHABLE`, `TOR_NOT_READY`. */
  proxy(): TorEndpoint;
  isolation(purpose: string, peer: string): Credentials;
  /** X25519 secrets for the service of that onion key, the likeliest first (O13, O14). */
  clientKeys(onionPublicKey: Uint8Array): readonly Uint8Array[];
  /** Makes Tor use that client key for that address: one at a time for each address. */
  install(address: string, secret: Uint8Array): Promise<void>;
  readonly listeners: OnionServices;
  readonly log: Log;
}

export type AddressClass = 'onion' | 'exit' | 'direct';

export interface TorTransport extends Transport {
  /** The way of a connection, by the very object that it has as its remote address. */
  classOf(address: Multiaddr): AddressClass | undefined;
}

export interface TransportParts {
  readonly door: { admits(address: string): boolean };
}

export function torTransport(
  options: TorTransportOptions,
  deps: TorTransportDeps,
): (parts: TransportParts) => TorTransport {
  void options;
  void deps;
  return () => {
    throw new Error('not built yet');
  };
}
