/** Opens a connection to where Tor listens. It speaks no protocol. */
import { connect, type Socket } from 'node:net';
import { AegisError } from '../errors.ts';
import { endpointText, type TorEndpoint } from './endpoint.ts';

export interface OpenOptions {
  /** What is to listen there, e.g. `control port`. */
  readonly what: string;
  readonly signal: AbortSignal;
}

/**
 * From then on the signal destroys nothing any more, and an error that nobody listens to is that of
 * a connection that has ended: `close` tells.
 * @throws {AegisError} `TOR_UNREACHABLE`, or the signal's reason.
 */
export async function openEndpoint(
  endpoint: TorEndpoint,
  { what, signal }: OpenOptions,
): Promise<Socket> {
  signal.throwIfAborted();
  const socket = connect('path' in endpoint ? { path: endpoint.path } : { ...endpoint });
  socket.setNoDelay(true).on('error', () => {});
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const onAbort = () => reject(signal.reason as Error);
  const onError = (error: Error) => reject(unreachableError(endpoint, what, error));
  signal.addEventListener('abort', onAbort);
  socket.once('connect', () => resolve(socket)).once('error', onError);
  try {
    return await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    socket.off('error', onError);
  }
}

function unreachableError(endpoint: TorEndpoint, what: string, cause: Error): AegisError {
  const { code } = cause as NodeJS.ErrnoException;
  const place = endpointText(endpoint);
  const details = { endpoint: place, errno: code };
  if (code === 'EACCES' || code === 'EPERM') {
    const message = `the ${what} of Tor at ${place} may not be opened by this user`;
    const hint = 'Put the user of aegis into the group of the socket, e.g. debian-tor.';
    return new AegisError('TOR_UNREACHABLE', message, { hint, cause, details });
  }
  const why =
    code === 'ECONNREFUSED' ? 'nothing listens' : code === 'ENOENT' ? 'there is no socket' : code;
  const message = `no ${what} of Tor at ${place}: ${why ?? 'no connection'}`;
  return new AegisError('TOR_UNREACHABLE', message, { cause, details });
}
