/**
 * `aegis keys serve` without the process around it: connections, frames and limits in front of the
 * desk. One request after the other, whichever connection it comes from. Who may connect is for
 * the file system: the socket is 0600 in a directory that is 0700.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { isAegisError, toAegisError } from '../errors.ts';
import type { Log } from '../ports.ts';
import type { SignerDesk } from './signer-desk.ts';
import {
  decodeRequest,
  encodeDescription,
  encodeReply,
  frameOf,
  NOTICE_ID,
  SIGNER_PROTOCOL,
  type SignerDescription,
  type SignerFrame,
  SignerFrames,
  type SignerReply,
} from './signer-frames.ts';

/** Nodes that one signer serves, at most. */
export const SIGNER_CONNECTIONS_MAX = 16;
/** Signatures a second and connection; far more than a node needs, far less than hurts. */
export const SIGNER_RATE_MAX = 2000;
/** A node has one request under way; more that wait means that nobody reads the answers. */
const UNSENT_BYTES_MAX = 1024 * 1024;

export interface SignerServerDeps {
  readonly desk: SignerDesk;
  readonly log: Log;
  /** Milliseconds. @default performance.now */
  readonly now?: () => number;
}

export class SignerServer {
  /** Not listening yet. */
  readonly net: Server;
  readonly #deps: SignerServerDeps;
  readonly #sockets = new Set<Socket>();

  constructor(deps: SignerServerDeps) {
    this.#deps = deps;
    this.net = createServer((socket) => this.#welcome(socket));
    this.net.maxConnections = SIGNER_CONNECTIONS_MAX;
    this.net.on('drop', () => {
      deps.log.write('warn', 'a connection was refused: there are too many', {
        max: SIGNER_CONNECTIONS_MAX,
      });
    });
  }

  /** Tells every node that the keys are others now. */
  announce(description: SignerDescription): void {
    const bytes = encodeDescription(description);
    const frame = frameOf(NOTICE_ID, encodeReply({ type: 'done', bytes }));
    for (const socket of this.#sockets) socket.write(frame);
  }

  /** Answers what has been asked, and no more. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.net.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroySoon();
    await closed;
  }

  #welcome(socket: Socket): void {
    const frames = new SignerFrames();
    const rate = new Rate(this.#deps.now ?? (() => performance.now()));
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    // The node has gone; it comes back by itself.
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      try {
        for (const frame of frames.push(bytes)) this.#answer(socket, frame, rate);
      } catch (error) {
        const { code, message: reason } = toAegisError(error);
        this.#deps.log.write('warn', 'a connection was closed: it sent no frames', {
          code,
          reason,
        });
        socket.destroy();
      }
    });
  }

  #answer(socket: Socket, frame: SignerFrame, rate: Rate): void {
    const reply = rate.take() ? this.#reply(frame) : TOO_MANY;
    const send = (done: SignerReply): void => {
      socket.write(frameOf(frame.id, encodeReply(done)));
      if (socket.writableLength > UNSENT_BYTES_MAX) socket.destroy();
    };
    if (reply instanceof Promise) void reply.then(send);
    else send(reply);
  }

  #reply({ version, body }: SignerFrame): SignerReply | Promise<SignerReply> {
    if (version !== SIGNER_PROTOCOL) {
      return badForm(`this signer speaks version ${SIGNER_PROTOCOL} only`);
    }
    try {
      return this.#deps.desk.answer(decodeRequest(body));
    } catch (error) {
      if (!isAegisError(error)) throw error;
      return badForm(error.message);
    }
  }
}

const badForm = (why: string): SignerReply => ({ type: 'refused', refusal: 'BAD_FORM', why });
const TOO_MANY: SignerReply = {
  type: 'refused',
  refusal: 'RATE',
  why: `more than ${SIGNER_RATE_MAX} requests a second`,
};

/** What may be asked at once grows by `SIGNER_RATE_MAX` a second, up to as many. */
class Rate {
  readonly #now: () => number;
  #left = SIGNER_RATE_MAX;
  #atMs: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#atMs = now();
  }

  take(): boolean {
    const atMs = this.#now();
    const gained = ((atMs - this.#atMs) / 1000) * SIGNER_RATE_MAX;
    this.#left = Math.min(SIGNER_RATE_MAX, this.#left + gained);
    this.#atMs = atMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
