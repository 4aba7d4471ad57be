/**
 * A connection through the SOCKS port of Tor: to an onion service, or through an exit. It resolves
 * no name (O5), tries once, and knows neither routes nor peers.
 */
import type { Socket } from 'node:net';
import { AegisError } from '../../errors.ts';
import { endpointText, type TorEndpoint } from '../endpoint.ts';
import { openEndpoint } from '../open.ts';
import { exactly } from './exactly.ts';
import { socksError, socksLate } from './refusal.ts';
import {
  ADDRESS,
  connectRequest,
  credentials,
  greeting,
  METHOD,
  SOCKS_VERSION,
} from './request.ts';

/** Streams of different credentials never share a circuit (O11). */
export interface SocksIsolation {
  readonly username: string;
  readonly password: string;
}

export interface SocksTarget {
  readonly proxy: TorEndpoint;
  /** A name, `.onion` or not, or an IP address. */
  readonly host: string;
  readonly port: number;
  readonly isolation?: SocksIsolation;
}

export interface SocksOptions {
  readonly signal?: AbortSignal;
  /** For all of it, the way through Tor included. */
  readonly timeoutMs: number;
}

/**
 * Resolves to a socket of which nothing has been read: it flows when somebody listens to `data`.
 * The code of SOCKS, e.g. 0xf4, is in `details.socks` of the error.
 *
 * @throws {AegisError} `TOR_UNREACHABLE` without a proxy, what `socksError` says, or the signal's
 *   reason. Neither the message nor the details have the credentials.
 */
export async function socksConnect(
  target: SocksTarget,
  { signal, timeoutMs }: SocksOptions,
): Promise<Socket> {
  const { host, port } = target;
  const place = endpointText(target.proxy);
  const late = new AbortController();
  // Until Tor has taken the request, silence is that of the proxy and not that of the target.
  let isAsked = false;
  const timer = setTimeout(() => {
    late.abort(isAsked ? socksLate(host, port, timeoutMs) : silentError(place, timeoutMs));
  }, timeoutMs);
  const limit = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
  let socket: Socket | undefined;
  try {
    // What cannot be asked for is refused before anything is opened.
    const request = connectRequest(host, port);
    socket = await openEndpoint(target.proxy, { what: 'SOCKS port', signal: limit });
    const dialogue = new Dialogue(socket, place, limit);
    await dialogue.begin(target.isolation);
    isAsked = true;
    const reply = await dialogue.ask(request);
    if (reply !== 0) throw socksError(reply, host, port);
    return socket;
  } catch (error) {
    socket?.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

class Dialogue {
  readonly #socket: Socket;
  readonly #place: string;
  readonly #signal: AbortSignal;

  constructor(socket: Socket, place: string, signal: AbortSignal) {
    this.#socket = socket;
    this.#place = place;
    this.#signal = signal;
  }

  async begin(isolation: SocksIsolation | undefined): Promise<void> {
    this.#socket.write(greeting(isolation !== undefined));
    const [version, method] = await this.#read(2);
    if (version !== SOCKS_VERSION) throw this.#noProxy('it does not speak SOCKS5');
    if (isolation === undefined) {
      if (method !== METHOD.none) throw this.#noProxy('it wants a name and a password');
      return;
    }
    if (method !== METHOD.password) throw this.#noProxy('it does not isolate by credentials');
    this.#socket.write(credentials(isolation.username, isolation.password));
    const [, status] = await this.#read(2);
    if (status !== 0) throw this.#noProxy('it does not take the credentials of a circuit');
  }

  /** @returns the code of the answer; 0 when the way is open. */
  async ask(request: Uint8Array): Promise<number> {
    this.#socket.write(request);
    const [version, reply, , type] = await this.#read(4);
    if (version !== SOCKS_VERSION) throw this.#noProxy('it does not speak SOCKS5');
    // What follows a refusal interests nobody, and a proxy may leave it out.
    if (reply !== 0) return reply!;
    if (type === ADDRESS.ipv4) await this.#read(4 + 2);
    else if (type === ADDRESS.ipv6) await this.#read(16 + 2);
    else if (type === ADDRESS.name) await this.#read((await this.#read(1))[0]! + 2);
    else throw this.#noProxy('its answer has an address of no known type');
    return 0;
  }

  async #read(length: number): Promise<Uint8Array> {
    const bytes = await exactly(this.#socket, length, this.#signal);
    if (bytes !== undefined) return bytes;
    throw this.#noProxy('it ended the connection without an answer');
  }

  #noProxy(why: string): AegisError {
    return new AegisError('TOR_UNREACHABLE', `the SOCKS port of Tor at ${this.#place}: ${why}`, {
      hint: 'See that tor.socks names the SOCKS port of Tor, 9050 as a rule: aegis tor check',
      details: { endpoint: this.#place },
    });
  }
}

const silentError = (place: string, timeoutMs: number): AegisError =>
  new AegisError(
    'TOR_UNREACHABLE',
    `the SOCKS port of Tor at ${place} does not answer within ${timeoutMs} ms`,
  );
