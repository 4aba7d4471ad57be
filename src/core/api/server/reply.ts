/** Writes replies: JSON, errors, streams with back-pressure. */
import type { ServerResponse } from 'node:http';
import { AegisError, hasCode } from '../../errors.ts';
import { ERROR_SCHEMA } from '../contract/errors.ts';
import { MEDIA } from '../contract/routes.ts';

/** How long the last bytes of a cut reply may take to leave. */
const FLUSH_MS = 5000;
/** Replies are made for one caller and must not be kept or sniffed by anything on the way. */
const COMMON = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  sendText(response, status, MEDIA.json, `${JSON.stringify(value)}\n`);
}

export function sendText(
  response: ServerResponse,
  status: number,
  type: string,
  text: string,
): void {
  const body = Buffer.from(text);
  response.writeHead(status, { ...COMMON, 'content-type': type, 'content-length': body.length });
  response.end(body);
}

/** @param status overrides the status of the error's code, e.g. 401 and 405. */
export function sendError(response: ServerResponse, error: AegisError, status = error.http): void {
  sendJson(response, status, { schema: ERROR_SCHEMA, error: error.toBody() });
}

export function beginStream(
  response: ServerResponse,
  headers: Readonly<Record<string, string | number>>,
): void {
  response.writeHead(200, { ...COMMON, ...headers });
}

/**
 * Writes one chunk and waits until the reader has room again.
 *
 * @throws {AegisError} `STALLED` when the reader takes nothing for `idleTimeoutMs`, `INTERRUPTED`
 * when it hangs up.
 */
export async function writeChunk(
  response: ServerResponse,
  chunk: Uint8Array | string,
  idleTimeoutMs: number,
): Promise<void> {
  if (response.destroyed) throw hungUp();
  if (response.write(chunk)) return;
  await new Promise<void>((resolve, reject) => {
    const settle = (error?: AegisError): void => {
      clearTimeout(timer);
      response.off('drain', onDrain).off('close', onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onDrain = (): void => settle();
    const onClose = (): void => settle(hungUp());
    const timer = setTimeout(
      () => settle(new AegisError('STALLED', `the reader took nothing for ${idleTimeoutMs} ms`)),
      idleTimeoutMs,
    );
    response.on('drain', onDrain).on('close', onClose);
  });
}

/**
 * Ends a reply that has begun and cannot be completed. What was written still leaves, unless the
 * reader takes nothing; the end of the body never does.
 */
export function cutReply(response: ServerResponse, error: AegisError): void {
  const { socket } = response;
  if (socket === null || hasCode(error, 'STALLED', 'INTERRUPTED')) {
    response.destroy();
    return;
  }
  socket.setTimeout(FLUSH_MS, () => socket.destroy());
  socket.destroySoon();
}

const hungUp = (): AegisError => new AegisError('INTERRUPTED', 'the reader hung up');
