/** Where Tor listens: a TCP port, or a unix socket. Says nothing about who answers there. */
import { isIPv4, isIPv6 } from 'node:net';
import { AegisError } from '../errors.ts';

export type TorEndpoint =
  | { readonly host: string; readonly port: number }
  | { readonly path: string };

const UNIX = 'unix:';
/** What `sun_path` of Linux holds; a longer path would be cut, and name another file. */
export const SOCKET_PATH_BYTES_MAX = 107;

/**
 * `127.0.0.1:9051`, `[::1]:9051`, `localhost:9051` or `unix:/run/tor/control`.
 * @throws {AegisError} `BAD_CONFIG` for anything else, names among it: who resolves one asks a
 *   name server, past Tor (O1).
 */
export function parseEndpoint(text: string): TorEndpoint {
  if (text.startsWith(UNIX)) {
    const path = text.slice(UNIX.length);
    const bytes = Buffer.byteLength(path);
    if (path.startsWith('/') && !path.includes('\0') && bytes <= SOCKET_PATH_BYTES_MAX) {
      return { path };
    }
  } else {
    const found = /^(?:\[([0-9a-fA-F:.]+)\]|([a-z0-9.]{1,15})):([0-9]{1,5})$/.exec(text);
    const port = Number(found?.[3]);
    const [six = '', four = ''] = [found?.[1], found?.[2]?.replace(/^localhost$/, '127.0.0.1')];
    const host = isIPv6(six) ? six : isIPv4(four) ? four : undefined;
    if (host !== undefined && port >= 1 && port <= 65_535) return { host, port };
  }
  throw new AegisError('BAD_CONFIG', `${JSON.stringify(text)} is no place where Tor can listen`, {
    hint: 'Such places are 127.0.0.1:9051, [::1]:9051 and unix:/run/tor/control.',
  });
}

export function endpointText(endpoint: TorEndpoint): string {
  if ('path' in endpoint) return `${UNIX}${endpoint.path}`;
  const { host, port } = endpoint;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
