/** Connections of streams: opening one, waiting for its reply, taking a short reply whole. */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { AegisError, hasCode, isAegisError } from '../../errors.ts';
import { MIB } from '../../units.ts';
import { timedOut } from './exchange.ts';
import {
  authorization,
  checkRequestLine,
  connectionError,
  hostHeader,
  type Target,
} from './request.ts';

export interface StreamOptions {
  readonly signal?: AbortSignal;
  /** Until the reply begins; for uploads counted from the last byte that was sent. */
  readonly timeoutMs: number;
}

/** Longest reply that is taken whole: that of an upload, or an error. */
const REPLY_BYTES_MAX = MIB;
export function open(
  at: Target,
  method: string,
  target: string,
  options: StreamOptions,
  headers: Record<string, string> = {},
): { request: ClientRequest; response: Promise<IncomingMessage> } {
  checkRequestLine(method, target);
  const where: RequestOptions =
    at.socket === undefined
      ? { host: at.host ?? '127.0.0.1', port: at.port ?? 0 }
      : { socketPath: at.socket };
  const request = process.getBuiltinModule('node:http').request({
    ...where,
    method,
    path: target,
    agent: false,
    headers: { ...headers, host: hostHeader(at), authorization: authorization(at) },
    ...(options.signal && { signal: options.signal }),
  });
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', (error: NodeJS.ErrnoException) => {
      const interrupted = options.signal?.aborted;
      reject(
        interrupted ? new AegisError('INTERRUPTED', 'interrupted') : connectionError(error, at),
      );
    });
  });
  // The caller may be waiting for something else when the connection fails.
  response.catch(() => {});
  return { request, response };
}

export async function withTimeout(
  response: Promise<IncomingMessage>,
  request: ClientRequest,
  timeoutMs: number,
): Promise<IncomingMessage> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(timedOut(timeoutMs)), timeoutMs);
  });
  try {
    return await Promise.race([response, late]);
  } catch (error) {
    if (hasCode(error, 'TIMEOUT')) request.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

export async function collect(reply: IncomingMessage): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of reply as AsyncIterable<Uint8Array>) {
      size += part.byteLength;
      if (size > REPLY_BYTES_MAX) throw new AegisError('TOO_LARGE', 'the reply is too long');
      parts.push(part);
    }
  } catch (error) {
    if (isAegisError(error)) throw error;
    throw new AegisError('STALLED', 'the daemon hung up in the middle of its reply', {
      cause: error,
    });
  }
  return Buffer.concat(parts);
}
