/**
 * One request, one reply, over a socket of its own. It uses node:net because node:http costs a
 * short command 12 ms (and imported as a module 30 ms more). Streams are in `stream.ts`.
 */
import type { Socket } from 'node:net';
import { AegisError } from '../../errors.ts';
import {
  authorization,
  checkRequestLine,
  connectionError,
  hostHeader,
  type Target,
} from './request.ts';
import { type Response, type ResponseLimits, ResponseReader } from './response.ts';

export interface ExchangeOptions {
  readonly method: string;
  /** Path and query, percent-encoded. */
  readonly target: string;
  readonly body?: Uint8Array;
  readonly contentType?: string;
  /** For the whole exchange. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly limits?: ResponseLimits;
}

/** @throws {AegisError} DAEMON_UNREACHABLE, TIMEOUT, STALLED, DENIED, INTERRUPTED, BAD_ENCODING. */
export function exchange(at: Target, options: ExchangeOptions): Promise<Response> {
  checkRequestLine(options.method, options.target);
  const head = requestHead(at, options);
  const { signal } = options;
  return new Promise<Response>((resolve, reject) => {
    const reader = new ResponseReader(options.limits);
    const socket = open(at);
    let timer: NodeJS.Timeout | undefined;
    const settle = (error: Error | undefined): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.destroy();
      if (error === undefined) resolve(reader.response());
      else reject(error);
    };
    const onAbort = (): void => settle(new AegisError('INTERRUPTED', 'interrupted'));
    const feed = (use: () => void): void => {
      try {
        use();
        if (reader.done) settle(undefined);
      } catch (error) {
        settle(error as Error);
      }
    };
    timer = setTimeout(() => settle(timedOut(options.timeoutMs)), options.timeoutMs);
    socket.on('data', (chunk) => feed(() => reader.push(chunk)));
    socket.on('end', () => feed(() => reader.end()));
    socket.on('error', (error) => settle(connectionError(error, at)));
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted) return onAbort();
    socket.write(head);
    if (options.body !== undefined) socket.write(options.body);
  });
}

export const timedOut = (timeoutMs: number): AegisError =>
  new AegisError('TIMEOUT', `the daemon did not answer within ${timeoutMs} ms`);

function requestHead(at: Target, options: ExchangeOptions): string {
  const lines = [
    `${options.method} ${options.target} HTTP/1.1`,
    `Host: ${hostHeader(at)}`,
    `Authorization: ${authorization(at)}`,
    'Accept: application/json',
    'Connection: close',
  ];
  if (options.body !== undefined) {
    lines.push(`Content-Type: ${options.contentType ?? 'application/json'}`);
    lines.push(`Content-Length: ${options.body.byteLength}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function open(at: Target): Socket {
  const net = process.getBuiltinModule('node:net');
  return at.socket === undefined
    ? net.connect({ host: at.host ?? '127.0.0.1', port: at.port ?? 0 })
    : net.connect({ path: at.socket });
}
