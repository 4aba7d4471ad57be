/** SOCKS5 to Tor. (Being filled.) */
import type { Socket } from 'node:net';
import type { TorEndpoint } from '../endpoint.ts';

export interface SocksIsolation {
  readonly username: string;
  readonly password: string;
}
export interface SocksTarget {
  readonly proxy: TorEndpoint;
  readonly host: string;
  readonly port: number;
  readonly isolation?: SocksIsolation;
}

/** The error has the code of SOCKS in `details.socks` (e.g. 0xf4). */
export function socksConnect(
  _target: SocksTarget,
  _options: { readonly signal?: AbortSignal; readonly timeoutMs: number },
): Promise<Socket> {
  throw new Error('not yet');
}
