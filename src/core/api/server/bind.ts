/** Where the server listens: a unix socket that only its user can open, or a loopback TCP port. */

import { chmod, lstat, unlink } from 'node:fs/promises';
import type { Server } from 'node:net';
import { dirname } from 'node:path';
import { checkSocketPath } from '../../config/home.ts';
import { AegisError, toAegisError } from '../../errors.ts';

export interface TcpListen {
  /** A loopback address: `127.0.0.1` or `::1`. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** How long a process that holds a socket may take to accept before it counts as alive anyway. */
const PROBE_TIMEOUT_MS = 2000;

/**
 * Listens on `path` with mode 0600 in a directory that must be 0700.
 *
 * @throws {AegisError} `ALREADY_RUNNING` when a process answers there, `BAD_CONFIG`,
 * `SOCKET_PATH_TOO_LONG`, `DENIED`.
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  checkSocketPath(path);
  await checkDirectory(dirname(path));
  await clearStale(path);
  await listen(server, (done) => server.listen({ path }, done));
  // Nobody can have come in before: the directory lets only this user in.
  await chmod(path, 0o600);
}

/** Returns the port. Only loopback: tokens must not cross a network in the clear. */
export async function listenOnTcp(server: Server, at: TcpListen): Promise<number> {
  if (at.host !== '127.0.0.1' && at.host !== '::1') {
    throw new AegisError('BAD_CONFIG', `the API listens on loopback only, not on ${at.host}`, {
      hint: 'Forward the unix socket instead: ssh -L local.sock:remote.sock HOST',
    });
  }
  await listen(server, (done) => server.listen({ host: at.host, port: at.port }, done));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : at.port;
}

function listen(server: Server, start: (done: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => reject(explain(error));
    server.once('error', fail);
    start(() => {
      server.off('error', fail);
      resolve();
    });
  });
}

function explain(error: NodeJS.ErrnoException): AegisError {
  if (error.code !== 'EADDRINUSE') return toAegisError(error);
  return new AegisError('PORT_IN_USE', `another process listens there: ${error.message}`, {
    cause: error,
  });
}

async function checkDirectory(path: string): Promise<void> {
  const { mode } = await lstat(path).catch((error: unknown) => {
    throw toAegisError(error);
  });
  if ((mode & 0o077) === 0) return;
  throw new AegisError('BAD_CONFIG', `the directory ${path} is open to other users`, {
    hint: `chmod 700 ${path}`,
  });
}

/** Removes a socket that nobody answers. Asks first: unlinking a live one would orphan a daemon. */
async function clearStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new AegisError('BAD_CONFIG', `${path} exists and is not a socket`, {
      hint: 'Move it away; aegis removes only sockets that nobody answers.',
    });
  }
  if (await answers(path)) {
    throw new AegisError('ALREADY_RUNNING', `another daemon answers at ${path}`);
  }
  await unlink(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = process.getBuiltinModule('node:net').connect({ path });
    const settle = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.once('connect', () => settle(true));
    // A full backlog (EAGAIN) belongs to a living process; only a refusal means nobody is there.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      settle(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
    socket.setTimeout(PROBE_TIMEOUT_MS, () => settle(true));
  });
}
