/**
 * One authenticated control connection. It does not come back when it ends: that is `TorLink`.
 */
import { AegisError } from '../../errors.ts';
import { endpointText, type TorEndpoint } from '../endpoint.ts';
import { openEndpoint } from '../open.ts';
import { type Admission, authenticate, type ControlAuth } from './authentication.ts';
import { type CommandOptions, ControlPipe } from './pipe.ts';
import type { ControlEvent, ControlReply } from './replies.ts';

export type { ControlAuth } from './authentication.ts';
export type { CommandOptions } from './pipe.ts';
export type { ControlEvent, ControlLine, ControlReply } from './replies.ts';

export interface ConnectOptions {
  readonly signal?: AbortSignal;
  /** For all of it: connection, proof and version. */
  readonly timeoutMs: number;
}

export class ControlClient {
  /** Such as `0.4.9.11`. */
  readonly version: string;
  readonly method: Admission['method'];
  /** Resolves with the reason, however the connection ends. */
  readonly closed: Promise<AegisError>;
  readonly #pipe: ControlPipe;

  private constructor(pipe: ControlPipe, { version, method }: Admission) {
    this.#pipe = pipe;
    this.version = version;
    this.method = method;
    this.closed = pipe.closed;
  }

  /** @throws {AegisError} `TOR_UNREACHABLE`, `TOR_DENIED`, `TOR_TOO_OLD`, what `signal` says. */
  static async connect(
    endpoint: TorEndpoint,
    auth: ControlAuth,
    { signal, timeoutMs }: ConnectOptions,
  ): Promise<ControlClient> {
    const place = endpointText(endpoint);
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(silence(place, timeoutMs)), timeoutMs);
    const limit = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
    try {
      const socket = await openEndpoint(endpoint, { what: 'control port', signal: limit });
      const pipe = new ControlPipe(socket, { place });
      try {
        return new ControlClient(pipe, await authenticate(pipe, auth, limit));
      } catch (error) {
        pipe.close();
        throw error;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * @param line without its end. Nothing in it that may come from outside, unless quoted.
   * @throws {AegisError} `TOR_FAILED` with `details.status` (e.g. 550) when Tor refuses,
   *   `TOR_TOO_OLD` for a command that it does not know, `TIMEOUT`, `TOR_UNREACHABLE`.
   */
  command(line: string, options: CommandOptions = {}): Promise<ControlReply> {
    return this.#pipe.command(line, options);
  }

  /** Called for each event; `SETEVENTS` says which ones come. */
  onEvent(listener: (event: ControlEvent) => void): () => void {
    return this.#pipe.onEvent(listener);
  }

  close(): void {
    this.#pipe.close();
  }
}

const silence = (place: string, timeoutMs: number): AegisError =>
  new AegisError(
    'TOR_UNREACHABLE',
    `the control port of Tor at ${place} does not answer within ${timeoutMs} ms`,
  );
