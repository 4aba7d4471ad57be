/**
 * Commands down a socket, replies in the same order, events between them. It neither authenticates
 * nor reconnects. A command that is given up leaves its place, for its reply still comes.
 */
import type { Socket } from 'node:net';
import { assert } from '../../assert.ts';
import { AegisError, isAegisError } from '../../errors.ts';
import { TOR_LIMITS } from '../limits.ts';
import { LineFramer } from './lines.ts';
import { refusal } from './refusal.ts';
import { type ControlEvent, type ControlReply, ReplyReader } from './replies.ts';

export interface CommandOptions {
  /** Goes after the line, ended with a point. */
  readonly data?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** The command carries a key: no word of it or of the answer to it goes into an error. */
  readonly secret?: boolean;
}

/** A command in the order of sending. */
interface Place {
  readonly verb: string;
  readonly isSecret: boolean;
  /** Undefined once it has been given up. */
  taker: { resolve: (reply: ControlReply) => void; reject: (error: Error) => void } | undefined;
}

export interface PipeOptions {
  /** The endpoint, for messages. */
  readonly place: string;
  readonly hangMs?: number;
}

export class ControlPipe {
  /** Resolves with the reason, once, however it ends. */
  readonly closed: Promise<AegisError>;
  readonly #socket: Socket;
  readonly #place: string;
  readonly #hangMs: number;
  readonly #queue: Place[] = [];
  readonly #listeners = new Set<(event: ControlEvent) => void>();
  readonly #ended = Promise.withResolvers<AegisError>();
  #reason: AegisError | undefined;
  #hang: NodeJS.Timeout | undefined;
  #sawReply = false;

  constructor(socket: Socket, { place, hangMs = TOR_LIMITS.hangMs }: PipeOptions) {
    this.#socket = socket;
    this.#place = place;
    this.#hangMs = hangMs;
    this.closed = this.#ended.promise;
    const framer = new LineFramer(TOR_LIMITS.controlLineBytes);
    const reader = new ReplyReader({
      reply: (reply) => this.#onReply(reply),
      event: (event) => this.#onEvent(event),
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const line of framer.push(chunk)) {
          if (this.#reason !== undefined) return;
          reader.line(line);
        }
      } catch (error) {
        this.#end(this.#noTor(error));
      }
    });
    socket.on('error', (error) => this.#end(this.#unreachable('the connection broke', error)));
    socket.on('close', () => this.#end(this.#unreachable('Tor ended the connection')));
  }

  /** @throws what ended the pipe, the signal's reason, `TIMEOUT`, or what `refusal` says. */
  command(line: string, options: CommandOptions = {}): Promise<ControlReply> {
    const { data, signal, timeoutMs = TOR_LIMITS.commandTimeoutMs } = options;
    assert(!/[\r\n\0]/.test(line), 'a command is one line');
    const text = data === undefined ? `${line}\r\n` : `+${line}\r\n${dataOf(data)}.\r\n`;
    assert(text.length <= TOR_LIMITS.controlCommandBytes, 'a command of aegis is not so long');
    if (this.#reason !== undefined) return Promise.reject(this.#reason);
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    if (this.#queue.length >= TOR_LIMITS.controlCommands) {
      const message = `${TOR_LIMITS.controlCommands} commands wait for Tor`;
      return Promise.reject(new AegisError('TOR_BUSY', message));
    }
    const { promise, resolve, reject } = Promise.withResolvers<ControlReply>();
    const verb = line.split(' ', 1)[0]!;
    const place: Place = { verb, isSecret: options.secret ?? false, taker: { resolve, reject } };
    const giveUp = (error: Error) => {
      place.taker = undefined;
      reject(error);
    };
    const onAbort = () => giveUp(signal!.reason as Error);
    const onTimeout = () => giveUp(lateError(verb, timeoutMs));
    const timer = setTimeout(onTimeout, timeoutMs);
    signal?.addEventListener('abort', onAbort);
    this.#queue.push(place);
    if (this.#queue.length === 1) this.#watch();
    this.#socket.write(text, 'latin1');
    return promise.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    });
  }

  onEvent(listener: (event: ControlEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.#end(this.#unreachable('the connection was closed here'));
  }

  #onReply(reply: ControlReply): void {
    this.#sawReply = true;
    const place = this.#queue.shift();
    this.#watch();
    if (place === undefined) {
      throw new AegisError('BAD_ENCODING', 'there is a reply to nothing');
    }
    const { verb, isSecret, taker } = place;
    const error = refusal(verb, reply, isSecret);
    if (error === undefined) taker?.resolve(reply);
    else taker?.reject(error);
  }

  /** A listener that throws keeps neither the others nor what follows from being heard. */
  #onEvent(event: ControlEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** Tor answers in order and at once: a first place that stays for long is a Tor that hangs. */
  #watch(): void {
    clearTimeout(this.#hang);
    if (this.#queue.length === 0 || this.#reason !== undefined) return;
    const { verb } = this.#queue[0]!;
    this.#hang = setTimeout(() => {
      const seconds = Math.round(this.#hangMs / 1000);
      this.#end(this.#unreachable(`it has not answered ${verb} for ${seconds} s`));
    }, this.#hangMs);
  }

  #end(reason: AegisError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    clearTimeout(this.#hang);
    this.#listeners.clear();
    this.#socket.destroy();
    for (const { taker } of this.#queue.splice(0)) taker?.reject(reason);
    this.#ended.resolve(reason);
  }

  #unreachable(why: string, cause?: Error): AegisError {
    const message = `the control port of Tor at ${this.#place} is gone: ${why}`;
    return new AegisError('TOR_UNREACHABLE', message, {
      ...(cause === undefined ? {} : { cause }),
    });
  }

  /** What answers is no control port, or no longer speaks as one. */
  #noTor(error: unknown): AegisError {
    if (!isAegisError(error)) throw error;
    const message = this.#sawReply
      ? `the control port of Tor at ${this.#place} is not understood: ${error.message}`
      : `what answers at ${this.#place} is no control port of Tor: ${error.message}`;
    const hint = 'See that tor.control names the control port, not the SOCKS port, which is 9050.';
    return new AegisError('TOR_UNREACHABLE', message, { hint, cause: error });
  }
}

const dataOf = (data: string): string =>
  data
    .split(/\r?\n/)
    .map((line) => `${line.startsWith('.') ? '.' : ''}${line}\r\n`)
    .join('');

const lateError = (verb: string, timeoutMs: number): AegisError =>
  new AegisError('TIMEOUT', `Tor has not answered ${verb} within ${timeoutMs} ms`);
