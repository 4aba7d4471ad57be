/**
 * HTTP(S) through Tor, with an agent of socks-proxy-agent: always `socks5h`, so that Tor resolves
 * the name (O5). It keeps no connection, follows few redirections, and takes no more than it may.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { SocksProxyAgent } from 'socks-proxy-agent';
import { AegisError, isAegisError } from '../errors.ts';
import { shown } from './control/text.ts';
import { endpointText, type TorEndpoint } from './endpoint.ts';
import { TOR_LIMITS } from './limits.ts';
import type { SocksIsolation } from './socks/connect.ts';
import { isOnion, socksError } from './socks/refusal.ts';
import { plainName } from './socks/request.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Throws `TOO_LARGE`, `STALLED` or `NOT_REACHABLE`; whoever stops before its end ends it. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface HttpOptions {
  /** Undefined: not through Tor (route `off`). */
  readonly proxy: TorEndpoint | undefined;
  readonly isolation?: SocksIsolation;
  readonly maxBytes: number;
  /** Throws for what may not be asked; told each place that an answer sends on to, too. */
  readonly admits?: (url: URL) => void;
  readonly signal?: AbortSignal;
  /** Until the head of the answer is there. */
  readonly timeoutMs?: number;
  /** Between two pieces of the body. */
  readonly idleMs?: number;
}

const REDIRECTIONS = new Set([301, 302, 303, 307, 308]);

/**
 * GETs `url`, and where it is sent on to.
 * @throws {AegisError} `BAD_REQUEST` for a URL that is no http(s), `ROUTE_FORBIDS` for an onion
 *   service without Tor, `TOO_LARGE`, `NOT_REACHABLE`,
 *   `TIMEOUT`, `TOR_UNREACHABLE`, what `socksError` says, or the signal's reason.
 */
export async function fetchThrough(url: string, options: HttpOptions): Promise<HttpAnswer> {
  let at = parse(url);
  for (let hops = 0; hops <= TOR_LIMITS.httpRedirects; hops += 1) {
    options.admits?.(at);
    const answer = await ask(at, options);
    const { statusCode = 0, headers } = answer;
    const { location } = headers;
    if (!REDIRECTIONS.has(statusCode) || location === undefined) {
      const length = Number(headers['content-length'] ?? 0);
      if (length > options.maxBytes) {
        answer.destroy();
        throw tooLarge(options.maxBytes);
      }
      return { status: statusCode, headers, body: bodyOf(answer, options) };
    }
    answer.destroy();
    const next = parse(location, at);
    if (at.protocol === 'https:' && next.protocol === 'http:' && !isOnion(next.hostname)) {
      throw new AegisError('NOT_REACHABLE', `${at.host} sends on to a place without encryption`);
    }
    at = next;
  }
  throw new AegisError(
    'NOT_REACHABLE',
    `there are more than ${TOR_LIMITS.httpRedirects} redirections`,
  );
}

function parse(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (url !== null && isHttp && url.username === '' && url.password === '') {
    // O5: the agent hands the name to Tor as it is here.
    url.hostname = plainName(url.hostname);
    return url;
  }
  throw new AegisError('BAD_REQUEST', 'a URL begins with http:// or https:// and has no password');
}

/** Resolves with the head of the answer. */
async function ask(url: URL, options: HttpOptions): Promise<IncomingMessage> {
  const { proxy, signal, timeoutMs = TOR_LIMITS.httpTimeoutMs } = options;
  signal?.throwIfAborted();
  // O5: a name server would be told which service is wanted.
  if (proxy === undefined && isOnion(url.hostname)) {
    throw new AegisError('ROUTE_FORBIDS', `${url.hostname} is reached through Tor only`);
  }
  const late = new AbortController();
  const timer = setTimeout(() => {
    const message = `${url.host} did not answer within ${timeoutMs} ms`;
    late.abort(new AegisError('TIMEOUT', message));
  }, timeoutMs);
  const limit = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
  const agent = proxy === undefined ? undefined : agentFor(proxy, options.isolation, timeoutMs);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const { request } = process.getBuiltinModule(
    url.protocol === 'https:' ? 'node:https' : 'node:http',
  );
  const outgoing = request(url, {
    agent: agent ?? false,
    ...(signal === undefined ? {} : { signal }),
    maxHeaderSize: TOR_LIMITS.httpHeadBytes,
    headers: { accept: '*/*', 'user-agent': 'aegis' },
  });
  outgoing.once('response', resolve).on('error', reject);
  // The agent leaves its own limit on the socket, as one for silence, which would cut a slow body.
  outgoing.on('proxy', ({ socket }: { socket: Socket }) => {
    setImmediate(() => socket.setTimeout(0));
  });
  const onLimit = () => reject(limit.reason as Error);
  limit.addEventListener('abort', onLimit);
  outgoing.end();
  try {
    return await promise;
  } catch (error) {
    outgoing.destroy();
    throw limit.aborted ? limit.reason : failure(error as Error, url, proxy);
  } finally {
    clearTimeout(timer);
    limit.removeEventListener('abort', onLimit);
  }
}

function agentFor(
  proxy: TorEndpoint,
  isolation: SocksIsolation | undefined,
  timeoutMs: number,
): SocksProxyAgent {
  const isPath = 'path' in proxy;
  // With a path the socket goes there, and the host and the port are not looked at.
  const url = new URL(`socks5h://${isPath ? '127.0.0.1:9050' : endpointText(proxy)}`);
  if (isolation !== undefined) {
    url.username = encodeURIComponent(isolation.username);
    url.password = encodeURIComponent(isolation.password);
  }
  const agent = new SocksProxyAgent(url, { keepAlive: false, timeout: timeoutMs });
  // Its types know TCP only; `net.connect` prefers a path to a host and a port.
  if (isPath) Object.assign(agent, { socketOptions: { path: proxy.path } });
  return agent;
}

/** What the enum of `socks` calls the codes of RFC 1928; it prints those of Tor as `undefined`. */
const REPLIES: Readonly<Record<string, number>> = {
  ...{ Failure: 1, NotAllowed: 2, NetworkUnreachable: 3, HostUnreachable: 4 },
  ...{ ConnectionRefused: 5, TTLExpired: 6, CommandNotSupported: 7, AddressNotSupported: 8 },
};

/**
 * An error of `socks` has the options of the proxy with it, password and all: nothing of it goes
 * on, neither as a cause nor as a message.
 */
function failure(error: Error, url: URL, proxy: TorEndpoint | undefined): AegisError {
  if (isAegisError(error)) return error;
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (proxy !== undefined && 'options' in error) {
    const reply = /rejected connection - (\w+)$/.exec(error.message)?.[1];
    // F0 to F7 are not told apart there; they are of onion services only.
    if (reply !== undefined) return socksError(REPLIES[reply] ?? 1, host, port);
    if (/timed out/i.test(error.message)) {
      return new AegisError('TIMEOUT', `${url.host} did not answer through Tor in time`);
    }
    const message = `no SOCKS port of Tor answers at ${endpointText(proxy)}`;
    return new AegisError('TOR_UNREACHABLE', message);
  }
  const { code = shown(error.message) } = error as NodeJS.ErrnoException;
  return new AegisError('NOT_REACHABLE', `${url.host} cannot be reached: ${code}`, {
    hint: 'See that the address is right, and try again.',
  });
}

/** No more than `maxBytes`, and no silence longer than `idleMs` while a piece is waited for. */
async function* bodyOf(
  answer: IncomingMessage,
  { maxBytes, idleMs = TOR_LIMITS.httpIdleMs, signal }: HttpOptions,
): AsyncGenerator<Uint8Array, void> {
  let bytes = 0;
  let timer: NodeJS.Timeout | undefined;
  const idle = new AegisError('STALLED', `the answer stood still for ${idleMs} ms`);
  const chunks = (answer as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  try {
    for (;;) {
      timer = setTimeout(() => answer.destroy(idle), idleMs);
      const next = await chunks.next();
      clearTimeout(timer);
      if (next.done === true) break;
      bytes += next.value.length;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      yield next.value;
    }
    if (!answer.complete) throw endedError();
  } catch (error) {
    signal?.throwIfAborted();
    throw isAegisError(error) ? error : endedError();
  } finally {
    clearTimeout(timer);
    answer.destroy();
  }
}

const endedError = (): AegisError => new AegisError('STALLED', 'the answer ended before its end');

const tooLarge = (maxBytes: number): AegisError =>
  new AegisError('TOO_LARGE', `the answer has more than ${maxBytes} bytes`);
