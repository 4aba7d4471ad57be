/** Streams of the local API: uploads, downloads, events. Loaded only by calls that need one. */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { AegisError, hasCode, isAegisError } from '../../errors.ts';
import { MIB } from '../../units.ts';
import type { Reply } from '../contract/endpoints.ts';
import type { ApiEvent } from '../contract/events.ts';
import { HEADER, MEDIA, ROUTES } from '../contract/routes.ts';
import { patiently } from '../patience.ts';
import { exchange, timedOut } from './exchange.ts';
import { splitLines } from './lines.ts';
import {
  authorization,
  checkRequestLine,
  connectionError,
  errorOfBody,
  errorOfReply,
  hostHeader,
  requestTarget,
  type Target,
} from './request.ts';

export interface StreamOptions {
  readonly signal?: AbortSignal;
  /** Until the reply begins; for uploads counted from the last byte that was sent. */
  readonly timeoutMs: number;
}

export interface UploadSource {
  readonly kind: 'file' | 'directory';
  /** The bytes of the file, or of a tar. An error it throws ends the upload; nothing is stored. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** When known: a body that is longer or shorter is then refused. */
  readonly sizeBytes?: number;
}

export interface ContentReply {
  readonly kind: 'file' | 'directory';
  readonly path: string;
  readonly cid: string;
  readonly version: string;
  readonly sizeBytes: number;
  /** The file, or a tar for `unpackTar`. Throws when the stream is cut. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Hangs up. To be called unless `bytes` is read. */
  readonly cancel: () => void;
}

/** Longest JSON reply to an upload, and longest error. */
const REPLY_BYTES_MAX = MIB;
/** The server sends a heartbeat each 5 s; a daemon that misses four is not there. */
const EVENTS_IDLE_MS = 20_000;
/** Longest line of the event stream; the snapshot is the longest. */
const EVENT_BYTES_MAX = 16 * MIB;

export async function upload(
  at: Target,
  target: string,
  source: UploadSource,
  options: StreamOptions,
): Promise<Reply<'kb.put'>> {
  const size = source.sizeBytes;
  const { request, response } = open(at, ROUTES['kb.put'].method, target, options, {
    'content-type': MEDIA[source.kind],
    // The daemon can refuse before anything is sent.
    expect: '100-continue',
    ...(size !== undefined && { 'content-length': String(size) }),
  });
  const failure = feed(request, source.bytes, size, options.timeoutMs);
  try {
    const reply = await Promise.race([response, failure]);
    const body = await collect(reply);
    if ((reply.statusCode ?? 0) >= 300) throw errorOfReply(reply.statusCode ?? 0, body);
    return JSON.parse(body.toString('utf8')) as Reply<'kb.put'>;
  } finally {
    request.destroy();
  }
}

/** Sends the source once the daemon asks for it. Settles only to fail: the reply is the success. */
async function feed(
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

export async function download(
  at: Target,
  target: string,
  options: StreamOptions,
): Promise<ContentReply> {
  const { request, response } = open(at, 'GET', target, options);
  request.end();
  const reply = await withTimeout(response, request, options.timeoutMs);
  if (reply.statusCode !== 200) throw errorOfReply(reply.statusCode ?? 0, await collect(reply));
  const header = (name: string): string => decodeURIComponent(String(reply.headers[name] ?? ''));
  return {
    kind: header(HEADER.kind) === 'directory' ? 'directory' : 'file',
    path: header(HEADER.path),
    cid: header(HEADER.cid),
    version: header(HEADER.version),
    sizeBytes: Number(header(HEADER.sizeBytes)),
    bytes: whole(reply, options, () => whyCut(at, header(HEADER.request), options.timeoutMs)),
    cancel: () => request.destroy(),
  };
}

/** A request as its caller wrote it. */
export interface RawRequest {
  readonly method: string;
  /** Path and query, percent-encoded. */
  readonly target: string;
  readonly body?: AsyncIterable<Uint8Array>;
  readonly contentType?: string;
}

export interface RawReply {
  readonly status: number;
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly cancel: () => void;
}

/** Sends any request and streams any reply. @throws {AegisError} for an error status too. */
export async function send(at: Target, raw: RawRequest, options: StreamOptions): Promise<RawReply> {
  const headers: Record<string, string> =
    raw.body === undefined
      ? {}
      : { 'content-type': raw.contentType ?? MEDIA.json, expect: '100-continue' };
  const { request, response } = open(at, raw.method, raw.target, options, headers);
  if (raw.body === undefined) request.end();
  const feeding = raw.body && feed(request, raw.body, undefined, options.timeoutMs);
  const waited = feeding ? Promise.race([response, feeding]) : response;
  const reply = await (feeding ? waited : withTimeout(waited, request, options.timeoutMs));
  const status = reply.statusCode ?? 0;
  if (status >= 300) throw errorOfReply(status, await collect(reply));
  const bytes = whole(reply, options, () =>
    whyCut(at, String(reply.headers[HEADER.request] ?? ''), options.timeoutMs),
  );
  return { status, bytes, cancel: () => request.destroy() };
}

/** Passes the body on; when it is cut, asks the daemon why. */
async function* whole(
  reply: IncomingMessage,
  options: StreamOptions,
  why: () => Promise<AegisError>,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* listen(reply, options.timeoutMs, options.signal);
  } catch (error) {
    if (options.signal?.aborted) throw options.signal.reason;
    throw isAegisError(error) ? error : await why();
  } finally {
    reply.destroy();
  }
}

/** The body, chunk by chunk, unless the daemon falls silent. */
function listen(
  reply: IncomingMessage,
  idleTimeoutMs: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const chunks = reply[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  const late = (): Error =>
    new AegisError('STALLED', `the daemon sent nothing for ${idleTimeoutMs} ms`);
  return patiently(chunks, { idleTimeoutMs, signal, late });
}

async function whyCut(at: Target, id: string, timeoutMs: number): Promise<AegisError> {
  const cut = new AegisError('STALLED', 'the daemon cut the stream before its end');
  if (id === '') return cut;
  try {
    const target = requestTarget(ROUTES['failures.show'].path, { id });
    const reply = await exchange(at, { method: 'GET', target, timeoutMs });
    if (reply.status !== 200) return cut;
    const { failure } = JSON.parse(reply.body.toString('utf8')) as Reply<'failures.show'>;
    return errorOfBody(failure);
  } catch {
    return cut;
  }
}

export async function* watch(
  at: Target,
  target: string,
  options: StreamOptions,
): AsyncGenerator<ApiEvent, void> {
  const { request, response } = open(at, 'GET', target, options);
  request.end();
  try {
    const reply = await withTimeout(response, request, options.timeoutMs);
    if (reply.statusCode !== 200) throw errorOfReply(reply.statusCode ?? 0, await collect(reply));
    for await (const line of splitLines(listen(reply, EVENTS_IDLE_MS), EVENT_BYTES_MAX)) {
      yield JSON.parse(line) as ApiEvent;
    }
  } catch (error) {
    if (options.signal?.aborted) return;
    if (isAegisError(error)) throw error;
    throw new AegisError('STALLED', 'the event stream was cut', { cause: error });
  } finally {
    request.destroy();
  }
}

function open(
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

async function withTimeout(
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

async function collect(reply: IncomingMessage): Promise<Buffer> {
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
