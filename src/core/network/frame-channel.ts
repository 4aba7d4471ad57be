/**
 * Length-prefixed frames on a raw libp2p message stream, for the short talk before a muxer exists.
 * It reads no further than it must: bytes that belong to the next protocol are given back.
 */
import type { MessageStream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface';
import { AegisError } from '../errors.ts';
import { KIB } from '../units.ts';

const PREFIX_BYTES = 4;
/** A listener may start its muxer right behind its hello; more than this is not that. */
const MAX_EARLY_BYTES = 256 * KIB;

interface Waiter {
  readonly resolve: (frame: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

const cut = (): AegisError =>
  new AegisError('DIAL_FAILED', 'the other side closed the connection too early');

export class FrameChannel {
  readonly #stream: MessageStream;
  readonly #maxBytes: number;
  /** What has come, in pieces: joined only when it may hold a whole frame. */
  #pieces: Uint8Array[] = [];
  #piecesBytes = 0;
  #buffered: Uint8Array = new Uint8Array(0);
  /** Bytes without which another look is useless. */
  #neededBytes = PREFIX_BYTES;
  #waiter: Waiter | undefined;
  #failure: AegisError | undefined;

  /** @param options.maxBytes limit of one frame, checked before its body is read. */
  constructor(options: { maxBytes: number }, stream: MessageStream) {
    this.#stream = stream;
    this.#maxBytes = options.maxBytes;
    stream.addEventListener('message', this.#onMessage);
    stream.addEventListener('close', this.#onClose);
    stream.addEventListener('remoteCloseWrite', this.#onEnd);
    if (stream.status !== 'open') this.#fail(cut());
  }

  /** @throws {AegisError} `TOO_LARGE`, `DIAL_FAILED` when cut. */
  read(signal: AbortSignal): Promise<Uint8Array> {
    return new Promise<Uint8Array>((resolve, reject) => {
      const onAbort = (): void => {
        reject(new AegisError('TIMEOUT', 'the other side sent nothing in time'));
      };
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      const done = (): void => signal.removeEventListener('abort', onAbort);
      this.#waiter = {
        resolve: (frame) => {
          done();
          resolve(frame);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      this.#settle();
    });
  }

  write(frame: Uint8Array): void {
    const framed = new Uint8Array(PREFIX_BYTES + frame.byteLength);
    new DataView(framed.buffer).setUint32(0, frame.byteLength);
    framed.set(frame, PREFIX_BYTES);
    this.#stream.send(framed);
  }

  /** Stops reading; what has been read and not used is pushed back for the next protocol. */
  release(): void {
    this.#stream.removeEventListener('message', this.#onMessage);
    this.#stream.removeEventListener('close', this.#onClose);
    this.#stream.removeEventListener('remoteCloseWrite', this.#onEnd);
    const rest = this.#join();
    this.#buffered = new Uint8Array(0);
    if (rest.byteLength > 0 && this.#stream.status === 'open') this.#stream.unshift(rest);
  }

  readonly #onMessage = (event: StreamMessageEvent): void => {
    const data = event.data.subarray();
    if (this.#failure !== undefined) return;
    this.#pieces.push(data);
    this.#piecesBytes += data.byteLength;
    if (this.#buffered.byteLength + this.#piecesBytes >= this.#neededBytes) this.#settle();
  };

  readonly #onClose = (_event: StreamCloseEvent): void => this.#fail(cut());

  readonly #onEnd = (): void => this.#fail(cut());

  #fail(error: AegisError): void {
    this.#failure ??= error;
    this.#settle();
  }

  #settle(): void {
    const frame = this.#take();
    const waiter = this.#waiter;
    if (waiter === undefined) return;
    if (frame !== undefined) {
      this.#waiter = undefined;
      waiter.resolve(frame);
    } else if (this.#failure !== undefined) {
      this.#waiter = undefined;
      waiter.reject(this.#failure);
    }
  }

  #join(): Uint8Array {
    if (this.#pieces.length === 0) return this.#buffered;
    const joined = new Uint8Array(this.#buffered.byteLength + this.#piecesBytes);
    let at = 0;
    for (const piece of [this.#buffered, ...this.#pieces]) {
      joined.set(piece, at);
      at += piece.byteLength;
    }
    this.#buffered = joined;
    this.#pieces = [];
    this.#piecesBytes = 0;
    return joined;
  }

  /** A whole frame, only when somebody waits for it. */
  #take(): Uint8Array | undefined {
    const have = this.#join();
    this.#neededBytes = PREFIX_BYTES;
    if (have.byteLength < PREFIX_BYTES) return undefined;
    const length = new DataView(have.buffer, have.byteOffset, PREFIX_BYTES).getUint32(0);
    if (length > this.#maxBytes && this.#waiter !== undefined) {
      this.#buffered = new Uint8Array(0);
      this.#failure ??= new AegisError(
        'TOO_LARGE',
        `a frame of ${length} bytes is over the limit of ${this.#maxBytes}`,
      );
      return undefined;
    }
    if (have.byteLength > this.#maxBytes + MAX_EARLY_BYTES) {
      this.#buffered = new Uint8Array(0);
      this.#failure ??= new AegisError('TOO_LARGE', 'too many bytes behind a frame');
      return undefined;
    }
    if (this.#waiter === undefined) {
      this.#neededBytes = this.#maxBytes + MAX_EARLY_BYTES + 1;
      return undefined;
    }
    if (have.byteLength < PREFIX_BYTES + length) {
      this.#neededBytes = PREFIX_BYTES + length;
      return undefined;
    }
    this.#buffered = have.subarray(PREFIX_BYTES + length);
    return have.slice(PREFIX_BYTES, PREFIX_BYTES + length);
  }
}
