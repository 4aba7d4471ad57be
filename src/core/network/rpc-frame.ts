/**
 * Frames of `/aegis/rpc/1`: u32 length (of what follows), u8 kind, u32 id, body. Big-endian.
 * Pure: it neither reads nor writes streams, and gives no meaning to methods.
 */
import { AegisError, ERRORS, type ErrorCode, isAegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';

/** Written literally on the wire; numbers are never reused. */
export const KIND = {
  request: 1,
  reply: 2,
  failure: 3,
  cancel: 4,
  ping: 5,
  pong: 6,
  envelope: 7,
} as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

export interface Frame {
  readonly kind: Kind;
  readonly id: number;
  readonly body: Uint8Array;
}

/** Kind and id. */
const HEAD_BYTES = 5;
const PREFIX_BYTES = 4;
const NAME_MAX_BYTES = 128;
const FAILURE_MAX_BYTES = 4096;
const FAILURE_TEXT_MAX = 512;
/** Room for the name and the deadline in front of a request's body. */
export const REQUEST_OVERHEAD_BYTES = 1 + NAME_MAX_BYTES + 4;

const utf8 = new TextEncoder();

/** A frame as one buffer; the body is copied once. */
export function encodeFrame(kind: Kind, id: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.byteLength, HEAD_BYTES);
  const frame = new Uint8Array(PREFIX_BYTES + length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, length);
  view.setUint8(PREFIX_BYTES, kind);
  view.setUint32(PREFIX_BYTES + 1, id);
  let at = PREFIX_BYTES + HEAD_BYTES;
  for (const part of parts) {
    frame.set(part, at);
    at += part.byteLength;
  }
  return frame;
}

function nameBytes(name: string): Uint8Array {
  const bytes = utf8.encode(name);
  if (bytes.byteLength === 0 || bytes.byteLength > NAME_MAX_BYTES) {
    throw new AegisError(
      'BAD_REQUEST',
      `a method name of ${bytes.byteLength} bytes is not allowed`,
    );
  }
  return Uint8Array.of(bytes.byteLength, ...bytes);
}

export function encodeRequest(
  id: number,
  request: { method: string; timeoutMs: number; body: Uint8Array },
): Uint8Array {
  const deadline = new Uint8Array(4);
  new DataView(deadline.buffer).setUint32(0, Math.min(request.timeoutMs, 0xffffffff));
  return encodeFrame(KIND.request, id, nameBytes(request.method), deadline, request.body);
}

export const encodeEnvelope = (protocol: string, body: Uint8Array): Uint8Array =>
  encodeFrame(KIND.envelope, 0, nameBytes(protocol), body);

const malformed = (what: string): AegisError =>
  new AegisError('BAD_ENCODING', `the other node sent a malformed ${what}`);

function openName(body: Uint8Array, what: string): { name: string; rest: Uint8Array } {
  const length = body[0] ?? 0;
  if (length === 0 || length > NAME_MAX_BYTES || body.byteLength < 1 + length) {
    throw malformed(what);
  }
  try {
    const name = new TextDecoder('utf-8', { fatal: true }).decode(body.subarray(1, 1 + length));
    return { name, rest: body.subarray(1 + length) };
  } catch {
    throw malformed(what);
  }
}

/** @throws {AegisError} `BAD_ENCODING`. */
export function openRequest(body: Uint8Array): {
  method: string;
  timeoutMs: number;
  body: Uint8Array;
} {
  const { name, rest } = openName(body, 'request');
  if (rest.byteLength < 4) throw malformed('request');
  const timeoutMs = new DataView(rest.buffer, rest.byteOffset, 4).getUint32(0);
  return { method: name, timeoutMs, body: rest.subarray(4) };
}

/** @throws {AegisError} `BAD_ENCODING`. */
export function openEnvelope(body: Uint8Array): { protocol: string; body: Uint8Array } {
  const { name, rest } = openName(body, 'envelope');
  return { protocol: name, body: rest };
}

const clip = (value: string): string => value.slice(0, FAILURE_TEXT_MAX).toWellFormed();

/** What a failed handler tells the other node: code, message and hint, never a stack. */
export function encodeFailure(error: unknown): Uint8Array {
  const known = isAegisError(error);
  const code: ErrorCode = known ? error.code : 'BUG';
  const message = known ? clip(error.message) : 'the other node failed to answer';
  const hint = known && error.hint !== undefined ? { hint: clip(error.hint) } : {};
  return encode({ code, message, ...hint });
}

const isCode = (value: unknown): value is ErrorCode =>
  typeof value === 'string' && Object.hasOwn(ERRORS, value);

/** Text of another node is shown to people, so nothing in it may steer a terminal. */
const printable = (value: unknown): string | undefined =>
  typeof value === 'string' ? clip(value.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')) : undefined;

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function openFailure(body: Uint8Array): AegisError {
  const value = decode(body, { maxBytes: FAILURE_MAX_BYTES });
  if (value === null || typeof value !== 'object') throw malformed('failure');
  const { code, message, hint } = value as Record<string, unknown>;
  const text = printable(message);
  if (text === undefined) throw malformed('failure');
  const advice = printable(hint);
  const options = { details: { remote: true }, ...(advice === undefined ? {} : { hint: advice }) };
  return new AegisError(isCode(code) ? code : 'TRY_AGAIN', text, options);
}

const KINDS: ReadonlySet<number> = new Set(Object.values(KIND));
const isKind = (value: number): value is Kind => KINDS.has(value);

export interface FrameSink {
  /**
   * How many body bytes of this frame may be kept: asked before any is. `skip` reads over them.
   * A body beyond `maxBytes` is an offence and ends the stream.
   */
  room(kind: Kind, id: number, bodyBytes: number): 'keep' | 'skip';
  frame(frame: Frame): void;
}

/** Push parser. Keeps at most one frame, and of that only bytes that have really arrived. */
export class FrameDecoder {
  readonly #maxBytes: number;
  readonly #sink: FrameSink;
  readonly #head = new Uint8Array(PREFIX_BYTES + HEAD_BYTES);
  #headBytes = 0;
  #kind: Kind = KIND.ping;
  #id = 0;
  #missing = 0;
  #keep = false;
  #parts: Uint8Array[] = [];

  /** @param options.maxBytes limit of a frame's body. */
  constructor(options: { maxBytes: number }, sink: FrameSink) {
    this.#maxBytes = options.maxBytes;
    this.#sink = sink;
  }

  /** @throws {AegisError} `TOO_LARGE`, `BAD_ENCODING`: the stream cannot go on. */
  push(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.byteLength > 0) {
      if (this.#headBytes < this.#head.byteLength) {
        const taken = rest.subarray(0, this.#head.byteLength - this.#headBytes);
        this.#head.set(taken, this.#headBytes);
        this.#headBytes += taken.byteLength;
        rest = rest.subarray(taken.byteLength);
        if (this.#headBytes < this.#head.byteLength) return;
        this.#openHead();
      } else {
        const taken = rest.subarray(0, this.#missing);
        if (this.#keep) this.#parts.push(taken);
        this.#missing -= taken.byteLength;
        rest = rest.subarray(taken.byteLength);
      }
      if (this.#missing === 0) this.#finish();
    }
  }

  #openHead(): void {
    const view = new DataView(this.#head.buffer);
    const length = view.getUint32(0) - HEAD_BYTES;
    const kind = view.getUint8(PREFIX_BYTES);
    if (length < 0 || !isKind(kind)) throw malformed('frame');
    if (length > this.#maxBytes) {
      throw new AegisError(
        'TOO_LARGE',
        `the other node sent a frame of ${length} bytes; the limit is ${this.#maxBytes}`,
      );
    }
    this.#kind = kind;
    this.#id = view.getUint32(PREFIX_BYTES + 1);
    this.#missing = length;
    this.#keep = this.#sink.room(kind, this.#id, length) === 'keep';
  }

  #finish(): void {
    const parts = this.#parts;
    const keep = this.#keep;
    this.#parts = [];
    this.#headBytes = 0;
    if (!keep) return;
    const body = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    this.#sink.frame({ kind: this.#kind, id: this.#id, body });
  }
}
