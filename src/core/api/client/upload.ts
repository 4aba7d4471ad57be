/** Uploads: the body is sent when the daemon asks for it, at the pace at which it is taken. */
import type { ClientRequest } from 'node:http';
import { AegisError } from '../../errors.ts';
import type { Reply } from '../contract/endpoints.ts';
import { MEDIA, ROUTES } from '../contract/routes.ts';
import { collect, open, type StreamOptions } from './connection.ts';
import { timedOut } from './exchange.ts';
import { errorOfReply, type Target } from './request.ts';

export interface UploadSource {
  readonly kind: 'file' | 'directory';
  /** The bytes of the file, or of a tar. An error it throws ends the upload; nothing is stored. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** When known: a body that is longer or shorter is then refused. */
  readonly sizeBytes?: number;
}

export async function upload<N extends 'kb.put' | 'kb.each'>(
  at: Target,
  { name, target }: { readonly name: N; readonly target: string },
  source: UploadSource,
  options: StreamOptions,
): Promise<Reply<N>> {
  const size = source.sizeBytes;
  const { request, response } = open(at, ROUTES[name].method, target, options, {
    'content-type': MEDIA[source.kind],
    // The daemon can refuse before anything is sent.
    expect: '100-continue',
    // A daemon that closed right after a refusal would meet our body with a reset, and the reset
    // could overtake the refusal.
    connection: 'keep-alive',
    ...(size !== undefined && { 'content-length': String(size) }),
  });
  const failure = feed(request, source.bytes, size, options.timeoutMs);
  try {
    const reply = await Promise.race([response, failure]);
    const body = await collect(reply);
    if ((reply.statusCode ?? 0) >= 300) throw errorOfReply(reply.statusCode ?? 0, body);
    return JSON.parse(body.toString('utf8')) as Reply<N>;
  } finally {
    request.destroy();
  }
}

/** Sends the source once the daemon asks for it. Settles only to fail: the reply is the success. */
export async function feed(
  request: ClientRequest,
  bytes: AsyncIterable<Uint8Array>,
  sizeBytes: number | undefined,
  timeoutMs: number,
): Promise<never> {
  const over = new AbortController();
  const end = (): void => over.abort();
  request.once('close', end).once('response', end);
  let sent = 0;
  try {
    await eventOf(request, 'continue', over.signal, timeoutMs);
    for await (const chunk of over.signal.aborted ? [] : bytes) {
      sent += chunk.byteLength;
      if (!request.write(chunk)) await eventOf(request, 'drain', over.signal, timeoutMs);
      if (over.signal.aborted) break;
    }
    if (!over.signal.aborted && sizeBytes !== undefined && sent !== sizeBytes) {
      throw new AegisError('UNREADABLE', `the source changed: ${sent} bytes, not ${sizeBytes}`);
    }
  } catch (error) {
    request.destroy();
    throw error;
  }
  if (!over.signal.aborted) request.end();
  return await silence(over.signal, timeoutMs);
}

/** Resolves on the event, or when there is no more reason to wait for it. */
function eventOf(
  request: ClientRequest,
  event: string,
  over: AbortSignal,
  timeoutMs: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(timedOut(timeoutMs)), timeoutMs);
    const settle = (): void => {
      clearTimeout(timer);
      request.off(event, settle);
      over.removeEventListener('abort', settle);
      resolve();
    };
    request.once(event, settle);
    over.addEventListener('abort', settle);
    if (over.aborted) settle();
  });
}

/** Fails when nothing has come `timeoutMs` after the last byte was sent; else never settles. */
function silence(over: AbortSignal, timeoutMs: number): Promise<never> {
  return new Promise((_, reject) => {
    if (over.aborted) return;
    const timer = setTimeout(() => reject(timedOut(timeoutMs)), timeoutMs);
    over.addEventListener('abort', () => clearTimeout(timer));
  });
}
