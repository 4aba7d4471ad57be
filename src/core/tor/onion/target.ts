/**
 * The socket to which Tor hands what comes in through our onion services. Whoever can reach it on
 * this machine can speak to this node as if through Tor, so it is a unix socket of this user where
 * Tor can use that, and on loopback else; hello lets nobody in for that.
 */
import { chmod, lstat, unlink } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { assert } from '../../assert.ts';
import { AegisError, toAegisError } from '../../errors.ts';
import { endpointText, type TorEndpoint } from '../endpoint.ts';

const LOOPBACK = new Set(['127.0.0.1', '::1']);

export interface TargetOptions {
  readonly target: TorEndpoint;
  readonly socketsMax: number;
}

export class TargetSocket {
  readonly #options: TargetOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #takers: ((socket: Socket) => void)[] = [];
  #endpoint: TorEndpoint | undefined;

  constructor(options: TargetOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  get endpoint(): TorEndpoint {
    assert(this.#endpoint !== undefined, 'the target of the onion services is open');
    return this.#endpoint;
  }

  /** @throws {AegisError} `PORT_IN_USE`, `BAD_CONFIG`, `DENIED`. */
  async open(): Promise<void> {
    const { target } = this.#options;
    if (!('path' in target) && !LOOPBACK.has(target.host)) {
      throw new AegisError('BAD_CONFIG', `${endpointText(target)} is not on loopback (O2)`);
    }
    if ('path' in target) await clear(target.path);
    await this.#listen(target);
    if ('path' in target) await chmod(target.path, 0o600);
    const bound = this.#server.address();
    this.#endpoint =
      'path' in target || bound === null || typeof bound === 'string'
        ? target
        : { host: target.host, port: bound.port };
  }

  /** The last one to come takes them; when it goes, the one before it does again. */
  serve(take: (socket: Socket) => void): () => void {
    this.#takers.push(take);
    return () => {
      this.#takers = this.#takers.filter((one) => one !== take);
    };
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    this.#endpoint = undefined;
  }

  #accept(socket: Socket): void {
    // Without a listener an error would end the process.
    socket.on('error', () => undefined);
    const take = this.#takers.at(-1);
    if (take === undefined || this.#sockets.size >= this.#options.socketsMax) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    take(socket);
  }

  #listen(target: TorEndpoint): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException): void => reject(explain(target, error));
      this.#server.once('error', fail);
      this.#server.listen(target, () => {
        this.#server.off('error', fail);
        this.#server.on('error', () => undefined);
        resolve();
      });
    });
  }
}

/** A socket of ours from before: the home is locked, so nobody else is behind it. */
async function clear(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new AegisError('BAD_CONFIG', `${path} exists and is not a socket`, {
      hint: 'Move it away, or choose another path with tor.target.',
    });
  }
  await unlink(path);
}

function explain(target: TorEndpoint, error: NodeJS.ErrnoException): AegisError {
  if (error.code !== 'EADDRINUSE') return toAegisError(error);
  return new AegisError('PORT_IN_USE', `another process listens at ${endpointText(target)}`, {
    cause: error,
  });
}
