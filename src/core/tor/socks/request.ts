/** The bytes of a SOCKS5 dialogue (RFC 1928, RFC 1929). Names go to Tor as they are (O5). */
import { isIPv4, isIPv6 } from 'node:net';
import { AegisError } from '../../errors.ts';

export const SOCKS_VERSION = 5;
export const METHOD = { none: 0, password: 2, refused: 0xff } as const;
export const ADDRESS = { ipv4: 1, name: 3, ipv6: 4 } as const;
const CONNECT = 1;
const PASSWORD_VERSION = 1;
const FIELD_BYTES_MAX = 255;

/**
 * Offers one method only: with credentials there is no falling back to a circuit that others use
 * (O11).
 */
export const greeting = (hasCredentials: boolean): Uint8Array =>
  Uint8Array.of(SOCKS_VERSION, 1, hasCredentials ? METHOD.password : METHOD.none);

/** @throws {AegisError} `BAD_REQUEST` for a field that is empty or too long. */
export function credentials(username: string, password: string): Uint8Array {
  const parts = [username, password].map((text) => {
    const bytes = Buffer.from(text, 'utf8');
    if (bytes.length >= 1 && bytes.length <= FIELD_BYTES_MAX) {
      return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
    }
    throw new AegisError('BAD_REQUEST', 'SOCKS credentials have 1 to 255 bytes each');
  });
  return Buffer.concat([Uint8Array.of(PASSWORD_VERSION), ...parts]);
}

/** @throws {AegisError} `BAD_REQUEST` for a host or a port that cannot be asked for. */
export function connectRequest(host: string, port: number): Uint8Array {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new AegisError('BAD_REQUEST', `${port} is no port`);
  }
  const head = Uint8Array.of(SOCKS_VERSION, CONNECT, 0);
  return Buffer.concat([head, addressOf(host), Uint8Array.of(port >> 8, port & 0xff)]);
}

function addressOf(host: string): Uint8Array {
  if (isIPv4(host)) return Uint8Array.of(ADDRESS.ipv4, ...host.split('.').map(Number));
  if (isIPv6(host)) return Uint8Array.of(ADDRESS.ipv6, ...ipv6Bytes(host));
  if (!/^[A-Za-z0-9._-]{1,255}$/.test(host)) {
    throw new AegisError('BAD_REQUEST', `${JSON.stringify(host.slice(0, 64))} is no host name`);
  }
  const name = Buffer.from(plainName(host), 'latin1');
  return Buffer.concat([Uint8Array.of(ADDRESS.name, name.length), name]);
}

/** With a point at its end an onion address would be a name like any other, and told to an exit. */
export const plainName = (host: string): string =>
  /\.onion\.*$/i.test(host) ? host.replace(/\.+$/, '').toLowerCase() : host;

/** @throws {AegisError} `BAD_REQUEST` for a zone: it means something on this machine only. */
function ipv6Bytes(host: string): number[] {
  if (host.includes('%')) {
    throw new AegisError('BAD_REQUEST', 'an address with a zone is not reached through Tor');
  }
  // The parser of URLs writes the short form, with the embedded IPv4 address as two groups.
  const short = new URL(`http://[${host}]`).hostname.slice(1, -1);
  const [before, after] = short.split('::').map((half) => half.split(':').filter(Boolean));
  const tail = after ?? [];
  const gap = Array.from({ length: 8 - before!.length - tail.length }, () => '0');
  const groups = [...before!, ...(after === undefined ? [] : gap), ...tail];
  return groups.flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
