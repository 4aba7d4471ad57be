/**
 * Fetches a URL by the route of the node: through its Tor, or directly where the route is `off`.
 * There is no way from one to the other: what Tor does not fetch is not fetched.
 */
import { randomBytes } from 'node:crypto';
import type { ConnectionClass, TorStatus } from '../../core/api/contract/tor.ts';
import { AegisError, type ErrorCode } from '../../core/errors.ts';
import { parseEndpoint, type TorEndpoint } from '../../core/tor/endpoint.ts';
import { fetchThrough } from '../../core/tor/http.ts';
import type { Source } from './source.ts';

export interface Fetched extends Source {
  readonly kind: 'file';
  readonly via: ConnectionClass;
}

interface FetchOptions {
  readonly tor: TorStatus;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/** @throws {AegisError} `USAGE`. */
export function urlOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new AegisError('USAGE', `${JSON.stringify(text)} is no http or https address`);
}

const isOnion = (host: string): boolean => /\.onion\.?$/i.test(host);

const elsewhere = (at: URL): AegisError =>
  new AegisError('ROUTE_FORBIDS', `the answer sends on to ${at.host}, which is no onion address`, {
    hint: 'Give that address itself, if it may be asked.',
  });

/** How the route reaches a host. @throws {AegisError} `ROUTE_FORBIDS`. */
export function wayTo(host: string, { route, usesExits }: TorStatus): ConnectionClass {
  if (route === 'off') {
    if (!isOnion(host)) return 'direct';
    throw new AegisError('ROUTE_FORBIDS', 'an onion address is reached through Tor only', {
      hint: 'The route of this node is off; change it: aegis tor route prefer',
    });
  }
  if (isOnion(host)) return 'onion';
  if (usesExits) return 'exit';
  // O5: in `prefer` exits are used unless somebody said no; then nobody shall see the request.
  throw new AegisError('ROUTE_FORBIDS', `${host} is no onion address, and exits are not used`, {
    hint: 'Let exits be used: aegis config set tor.exits on, then restart the node',
  });
}

/** @throws {AegisError} each error of Tor, of HTTP, and `TOO_LARGE`, before or while it is read. */
export async function fetchSource(url: URL, options: FetchOptions): Promise<Fetched> {
  const { tor, maxBytes, signal } = options;
  const via = wayTo(url.hostname, tor);
  const proxy = via === 'direct' ? undefined : proxyOf(tor);
  // O11: each import has circuits of its own, so that two servers cannot tell that one node asked.
  const own = (): string => randomBytes(16).toString('hex');
  const isolation = { username: own(), password: own() };
  // A server that sends on chooses no other way than the route has: an onion service could name a
  // place that only an exit reaches, and a Tor of the system would use one.
  const admits = (at: URL): void => {
    wayTo(at.hostname, tor);
    if (via === 'onion' && !isOnion(at.hostname)) throw elsewhere(at);
  };
  const answer = await fetchThrough(url.href, { proxy, isolation, maxBytes, admits, signal });
  if (answer.status < 200 || answer.status > 299) throw refused(url, answer.status);
  const length = Number(answer.headers['content-length'] ?? Number.NaN);
  const name = nameOf(url);
  return {
    kind: 'file',
    via,
    bytes: answer.body,
    ...(Number.isSafeInteger(length) && { sizeBytes: length }),
    ...(name !== undefined && { name }),
  };
}

function proxyOf({ daemon, why, hint }: TorStatus): TorEndpoint {
  const socks = daemon?.socks ?? null;
  if (socks !== null) return parseEndpoint(socks);
  throw new AegisError('TOR_UNREACHABLE', why ?? 'no Tor answers this node yet', {
    ...(hint !== null && { hint }),
  });
}

/** The last part of the path, without what names may not have. */
function nameOf({ pathname }: URL): string | undefined {
  const last = pathname.split('/').findLast((part) => part !== '') ?? '';
  try {
    const name = decodeURIComponent(last);
    return name === '' || name.includes('/') ? undefined : name;
  } catch {
    return undefined;
  }
}

function refused(url: URL, status: number): AegisError {
  const code = CODES.find(([wanted]) => wanted.includes(status))?.[1];
  const later = status >= 500 ? 'TRY_AGAIN' : 'BAD_DATA';
  return new AegisError(code ?? later, `${url.host} answers with status ${status}`);
}

const CODES: readonly (readonly [readonly number[], ErrorCode])[] = [
  [[401, 402, 403, 407, 451], 'DENIED'],
  [[404, 410], 'NOT_FOUND'],
  [[408, 425, 429], 'TRY_AGAIN'],
];
