/** Replies that are streams: downloads, events, anything raw. Loaded when one is needed. */
import type { IncomingMessage } from 'node:http';
import { AegisError, isAegisError } from '../../errors.ts';
import { MIB } from '../../units.ts';
import type { Reply } from '../contract/endpoints.ts';
import { HEADER, MEDIA, ROUTES } from '../contract/routes.ts';
import { patiently } from '../patience.ts';
import { collect, open, type StreamOptions, withTimeout } from './connection.ts';
import { exchange } from './exchange.ts';
import { splitLines } from './lines.ts';
import { errorOfBody, errorOfReply, requestTarget, type Target } from './request.ts';
import { feed } from './upload.ts';

export interface ContentReply {
  readonly kind: 'file' | 'directory';
  readonly path: string;
  readonly cid: string;
  readonly version: string;
  readonly sizeBytes: number;
  readonly final: boolean;
  readonly height: number | null;
  /** W17: conflicts there, of a merge. */
  readonly conflicts: number;
  /** The file, or a tar for `unpackTar`. Throws when the stream is cut. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Hangs up. To be called unless `bytes` is read. */
  readonly cancel: () => void;
}

/** The server sends a heartbeat each 5 s; a daemon that misses four is not there. */
const EVENTS_IDLE_MS = 20_000;
/** Longest line of the event stream; the snapshot is the longest. */
const EVENT_BYTES_MAX = 16 * MIB;

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
    final: header(HEADER.final) === 'true',
    height: header(HEADER.height) === '' ? null : Number(header(HEADER.height)),
    conflicts: Number(header(HEADER.conflicts)),
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

/** Records as they come, one a line. The server sends heartbeats in between. */
export async function* watch<T>(
  at: Target,
  target: string,
  options: StreamOptions,
): AsyncGenerator<T, void> {
  const { request, response } = open(at, 'GET', target, options);
  request.end();
  try {
    const reply = await withTimeout(response, request, options.timeoutMs);
    if (reply.statusCode !== 200) throw errorOfReply(reply.statusCode ?? 0, await collect(reply));
    for await (const line of splitLines(listen(reply, EVENTS_IDLE_MS), EVENT_BYTES_MAX)) {
      yield JSON.parse(line) as T;
    }
  } catch (error) {
    if (options.signal?.aborted) return;
    if (isAegisError(error)) throw error;
    throw new AegisError('STALLED', 'the event stream was cut', { cause: error });
  } finally {
    request.destroy();
  }
}
