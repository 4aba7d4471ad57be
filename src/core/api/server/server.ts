/**
 * The server of the local API: HTTP/1.1 on a unix socket and, if asked, on a loopback TCP port.
 * It knows no node, only a `Backend`. It does not do TLS, compression, CORS or static files.
 */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { AegisError } from '../../errors.ts';
import type { Log, Metrics, Random, Security } from '../../ports.ts';
import type { Backend } from '../backend.ts';
import { ERROR_SCHEMA } from '../contract/errors.ts';
import { MEDIA } from '../contract/routes.ts';
import { listenOnSocket, listenOnTcp, type TcpListen } from './bind.ts';
import { Desk } from './desk.ts';
import { hostsOf } from './gate.ts';
import { SERVER_LIMITS, type ServerLimits } from './limits.ts';
import { issueTokens, type Tokens, withdrawTokens } from './tokens.ts';

export interface ServerOptions {
  readonly backend: Backend;
  /** Where the socket and the two tokens are; a part of the paths of a home. */
  readonly paths: {
    readonly socket: string;
    readonly readToken: string;
    readonly adminToken: string;
  };
  /** A loopback TCP port beside the socket. */
  readonly listen?: TcpListen;
  readonly limits?: Partial<ServerLimits>;
}

export interface ServerDeps {
  readonly log: Log;
  readonly random: Random;
  readonly metrics?: Metrics;
  readonly security?: Security;
}

/** @default for `stop`. */
const STOP_DEADLINE_MS = 5000;

export class Server {
  readonly #options: ServerOptions;
  readonly #listeners: HttpServer[] = [];
  readonly #desk: Desk;
  #port: number | undefined;
  #stopping: Promise<void> | undefined;

  /**
   * @throws {AegisError} `ALREADY_RUNNING`, `PORT_IN_USE`, `BAD_CONFIG`, `SOCKET_PATH_TOO_LONG`.
   */
  static async start(options: ServerOptions, deps: ServerDeps): Promise<Server> {
    const limits = { ...SERVER_LIMITS, ...options.limits };
    // Bound first: a second daemon must not overwrite the tokens of the one that runs.
    const desk = new Desk({ backend: options.backend, limits }, deps);
    const server = new Server(options, desk);
    try {
      await server.#open(limits, deps.random);
    } catch (error) {
      await server.#close();
      throw error;
    }
    deps.log.write('info', 'the API listens', { socket: options.paths.socket, port: server.port });
    return server;
  }

  private constructor(options: ServerOptions, desk: Desk) {
    this.#options = options;
    this.#desk = desk;
  }

  /** The TCP port, when one was asked for. */
  get port(): number | undefined {
    return this.#port;
  }

  /**
   * Lets running requests end until the deadline, then cuts them. Event streams end at once, with
   * a last line. Safe to call more than once.
   */
  stop(options: { deadlineMs?: number } = {}): Promise<void> {
    this.#stopping ??= this.#stop(options.deadlineMs ?? STOP_DEADLINE_MS);
    return this.#stopping;
  }

  async #open(limits: ServerLimits, random: Random): Promise<void> {
    const { paths, listen } = this.#options;
    await listenOnSocket(
      this.#listener(limits, () => undefined),
      paths.socket,
    );
    if (listen !== undefined) {
      const onTcp = this.#listener(limits, () => hostsOf(this.#port ?? 0));
      this.#port = await listenOnTcp(onTcp, listen);
    }
    const tokens: Tokens = await issueTokens(paths, random);
    this.#desk.open(tokens);
  }

  #listener(limits: ServerLimits, hosts: () => ReadonlySet<string> | undefined): HttpServer {
    const http = process.getBuiltinModule('node:http');
    const server = http.createServer({
      maxHeaderSize: limits.headBytesMax,
      headersTimeout: limits.headTimeoutMs,
      // An upload may take hours; its silence is limited instead, chunk by chunk.
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: Math.max(50, Math.min(1000, limits.headTimeoutMs / 2)),
      noDelay: true,
    });
    server.maxConnections = limits.connectionsMax;
    server.maxHeadersCount = 64;
    const serve =
      (expectsContinue: boolean) => (request: IncomingMessage, response: ServerResponse) =>
        this.#desk.serve(request, response, { hosts: hosts(), expectsContinue });
    server.on('request', serve(false));
    server.on('checkContinue', serve(true));
    server.on('checkExpectation', (_request, response: ServerResponse) => {
      response.writeHead(417, { connection: 'close' }).end();
    });
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => refuse(error, socket));
    server.on('upgrade', (_request, socket) => socket.destroy());
    server.on('connect', (_request, socket) => socket.destroy());
    this.#listeners.push(server);
    return server;
  }

  async #stop(deadlineMs: number): Promise<void> {
    const closed = this.#listeners.map(closeListener);
    await this.#desk.drain(deadlineMs);
    for (const listener of this.#listeners) listener.closeAllConnections();
    await Promise.all(closed);
    await withdrawTokens(this.#options.paths);
  }

  async #close(): Promise<void> {
    await Promise.all(this.#listeners.filter((each) => each.listening).map(closeListener));
  }
}

/** How long a caller that was refused may take to read why. */
const REFUSAL_MS = 1000;

/** What is not HTTP, or too much of it. The rest of what comes is drained, so the reply arrives. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [status, reason] = refusalOf(error);
  const body = { schema: ERROR_SCHEMA, error: new AegisError('BAD_REQUEST', reason).toBody() };
  const text = JSON.stringify(body);
  const head = [
    `HTTP/1.1 ${status}`,
    `content-type: ${MEDIA.json}`,
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`);
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), REFUSAL_MS);
  socket.once('close', () => clearTimeout(timer));
}

function refusalOf(error: NodeJS.ErrnoException): [status: string, reason: string] {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return ['431 Request Header Fields Too Large', 'the headers are too long'];
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return ['408 Request Timeout', 'the request did not come in time'];
  }
  return ['400 Bad Request', 'this is not HTTP/1.1'];
}

/** Stops accepting, closes idle connections; resolves when the last connection is gone. */
function closeListener(listener: HttpServer): Promise<void> {
  return new Promise((resolve) => {
    listener.close(() => resolve());
    listener.closeIdleConnections();
  });
}
