/** Reads request bodies: JSON up to a limit, uploads as a stream with an idle limit. */
import type { IncomingMessage } from 'node:http';
import { AegisError, isAegisError } from '../../errors.ts';
import { patiently } from '../patience.ts';

export interface BodyOptions {
  /** Between two chunks. */
  readonly idleTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * The chunks as they come; the next is read when the one before has been taken. Ending the
 * iteration early leaves the connection open, so that the reply can still be sent on it.
 *
 * @throws {AegisError} `STALLED` after `idleTimeoutMs` of silence, or the signal's reason.
 */
export async function* readStream(
  request: IncomingMessage,
  options: BodyOptions,
): AsyncGenerator<Uint8Array, void> {
  const chunks = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Uint8Array>;
  try {
    yield* patiently(chunks, { ...options, late: () => stalled(options.idleTimeoutMs) });
  } catch (error) {
    if (isAegisError(error)) throw error;
    throw new AegisError('INTERRUPTED', 'the caller hung up during the upload', { cause: error });
  }
}

/** @throws {AegisError} `TOO_LARGE`, `STALLED`. */
export async function readAll(
  request: IncomingMessage,
  bytesMax: number,
  options: BodyOptions,
): Promise<Uint8Array> {
  const tooLarge = (): AegisError =>
    new AegisError('TOO_LARGE', `the body is longer than ${bytesMax} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw tooLarge();
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of readStream(request, options)) {
    size += part.byteLength;
    if (size > bytesMax) throw tooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts);
}

const stalled = (timeoutMs: number): AegisError =>
  new AegisError('STALLED', `the upload sent nothing for ${timeoutMs} ms`);
