/**
 * Writing to and reading from libp2p streams with back-pressure. It knows no frames.
 *
 * `stream.onDrain()` of @libp2p/utils 7.4 keeps its first promise for ever, so it resolves at once
 * from the second wait on; here the event itself is waited for.
 */
import type { Stream, StreamMessageEvent } from '@libp2p/interface';
import { AegisError } from '../errors.ts';

export const cutOff = (): AegisError =>
  new AegisError('NOT_REACHABLE', 'the connection to the other node was cut');

/** Sends; the bytes wait in the stream's buffer if the other side is slow. */
export function sendTo(stream: Stream, bytes: Uint8Array): void {
  if (stream.status !== 'open' || stream.writeStatus !== 'writable') throw cutOff();
  try {
    stream.send(bytes);
  } catch {
    throw cutOff();
  }
}

/**
 * Waits until at most `maxBytes` wait in the stream's buffer.
 * @throws {AegisError} `STALLED` after `idleMs` without any progress, `NOT_REACHABLE` when cut.
 */
export async function drained(
  stream: Stream,
  options: { maxBytes: number; idleMs: number; signal?: AbortSignal },
): Promise<void> {
  while (stream.writeBufferLength > options.maxBytes) {
    await drainEvent(stream, options);
  }
  if (stream.status !== 'open') throw cutOff();
}

function drainEvent(
  stream: Stream,
  options: { idleMs: number; signal?: AbortSignal },
): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const { signal } = options;
    const onDrain = (): void => finish();
    const onClose = (): void => finish(cutOff());
    const onAbort = (): void => finish(new AegisError('INTERRUPTED', 'the transfer was cancelled'));
    const onIdle = (): void =>
      finish(new AegisError('STALLED', `the other node took no byte for ${options.idleMs} ms`));
    const timer = setTimeout(onIdle, options.idleMs);
    const finish = (error?: AegisError): void => {
      clearTimeout(timer);
      stream.removeEventListener('drain', onDrain);
      stream.removeEventListener('close', onClose);
      signal?.removeEventListener('abort', onAbort);
      if (error === undefined) resolve();
      else reject(error);
    };
    stream.addEventListener('drain', onDrain);
    stream.addEventListener('close', onClose);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    else if (stream.status !== 'open') onClose();
  });
}

/** Calls back with each piece that arrives, without copying; returns a function that stops it. */
export function onBytes(stream: Stream, listener: (bytes: Uint8Array) => void): () => void {
  const onMessage = (event: StreamMessageEvent): void => {
    const { data } = event;
    if (data instanceof Uint8Array) listener(data);
    else for (const part of data) listener(part);
  };
  stream.addEventListener('message', onMessage);
  return () => stream.removeEventListener('message', onMessage);
}
