/** Reads a number of bytes from a socket, and not one more: what follows belongs to others. */
import type { Socket } from 'node:net';

/**
 * @returns undefined when the connection ends before.
 * @throws the signal's reason. The socket is left to the caller.
 */
export async function exactly(
  socket: Socket,
  length: number,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | undefined>();
  const onReadable = (): void => {
    const bytes = socket.read(length) as Buffer | null;
    // At the end of the stream a shorter rest is given out.
    if (bytes !== null) resolve(bytes.length === length ? bytes : undefined);
  };
  const onEnd = () => resolve(undefined);
  const onAbort = () => reject(signal.reason as Error);
  socket.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', onEnd);
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  else if (socket.destroyed) onEnd();
  else onReadable();
  try {
    return await promise;
  } finally {
    socket.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', onEnd);
    signal.removeEventListener('abort', onAbort);
  }
}
