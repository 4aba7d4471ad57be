/**
 * The thread with the socket to a signer. It connects, connects again, and passes frames on; it
 * knows no keys. A signer counts as reached once it has said what it holds: the kernel accepts
 * connections for a process that is stopped.
 */
import { connect, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../assert.ts';
import {
  decodeReply,
  encodeRequest,
  frameOf,
  NOTICE_ID,
  type SignerFrame,
  SignerFrames,
} from './signer-frames.ts';
import {
  type FromLink,
  type LinkStart,
  STATE,
  sharedMemory,
  type ToLink,
  WORD,
} from './signer-link.ts';

/** The number of the first question on each connection. */
const HELLO_ID = 0xffff_ffff;
const RETRY_FIRST_MS = 20;
const RETRY_MAX_MS = 1000;
const NOTHING = new Uint8Array();

assert(parentPort !== null, 'this runs in a worker thread only');
const port = parentPort;
const start = workerData as LinkStart;
const { words, body: answer } = sharedMemory(start.buffer);

class Wire {
  #socket: Socket | undefined;
  #retryMs = RETRY_FIRST_MS;
  #isUp = false;
  /** The request that the other thread waits for. */
  #asked: number | undefined;

  dial(): void {
    const frames = new SignerFrames();
    const socket = connect({ path: start.socket });
    const timer = setTimeout(() => socket.destroy(new Error('no answer')), start.deadlineMs);
    this.#socket = socket;
    let reason = 'the connection was closed';
    socket.on('error', (error) => (reason = error.message));
    socket.on('close', () => {
      clearTimeout(timer);
      this.#lost(reason);
    });
    socket.on('connect', () => {
      const hello = { op: 'describe', key: NOTHING, payload: NOTHING } as const;
      socket.write(frameOf(HELLO_ID, encodeRequest(hello)));
    });
    socket.on('data', (bytes) => {
      try {
        for (const frame of frames.push(bytes)) {
          if (frame.id === HELLO_ID) clearTimeout(timer);
          this.#take(frame);
        }
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
  }

  take(message: ToLink): void {
    if (message.type === 'reset') {
      this.#asked = undefined;
      this.#socket?.destroy();
    } else if (message.type === 'tell') {
      this.#socket?.write(message.frame);
    } else if (this.#isUp) {
      this.#asked = message.id;
      this.#socket?.write(message.frame);
    } else {
      settle(STATE.failed);
    }
  }

  #take({ id, body }: SignerFrame): void {
    if (id === HELLO_ID || id === NOTICE_ID) {
      this.#described(body);
    } else if (id === this.#asked) {
      this.#asked = undefined;
      answer.set(body);
      words[WORD.length] = body.length;
      settle(STATE.answered);
    }
  }

  #described(body: Uint8Array): void {
    const reply = decodeReply(body);
    if (reply.type === 'refused') throw new Error(reply.why);
    this.#isUp = true;
    this.#retryMs = RETRY_FIRST_MS;
    Atomics.store(words, WORD.up, 1);
    tell({ type: 'up', description: reply.bytes });
  }

  #lost(reason: string): void {
    Atomics.store(words, WORD.up, 0);
    this.#isUp = false;
    this.#socket = undefined;
    if (this.#asked !== undefined) {
      this.#asked = undefined;
      settle(STATE.failed);
    }
    tell({ type: 'down', reason });
    setTimeout(() => this.dial(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
  }
}

const tell = (message: FromLink): void => port.postMessage(message);

function settle(state: number): void {
  Atomics.store(words, WORD.state, state);
  Atomics.notify(words, WORD.state);
}

const wire = new Wire();
port.on('message', (message: ToLink) => wire.take(message));
wire.dial();
