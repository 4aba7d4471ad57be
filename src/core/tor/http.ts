/** HTTP through Tor. (Being filled.) */
import type { IncomingHttpHeaders } from 'node:http';
import type { TorEndpoint } from './endpoint.ts';
import type { SocksIsolation } from './socks/connect.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: AsyncIterable<Uint8Array>;
}
export interface HttpOptions {
  /** Undefined: not through Tor (route `off`). */
  readonly proxy: TorEndpoint | undefined;
  readonly isolation?: SocksIsolation;
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

export function fetchThrough(_url: string, _options: HttpOptions): Promise<HttpAnswer> {
  throw new Error('not yet');
}
