/**
 * Reads one HTTP/1.1 reply from bytes (RFC 9112): status line, headers, a body by Content-Length,
 * by chunks, or up to the end of the connection. It knows no socket and no clock.
 *
 * It does not do: trailers (read and dropped), compression, more than one reply a connection.
 */
import { AegisError } from '../../errors.ts';
import { MIB } from '../../units.ts';

export interface ResponseLimits {
  /** Status line and headers, and again the trailers. @default 16 KiB */
  readonly headBytesMax?: number;
  /** @default 64 MiB */
  readonly bodyBytesMax?: number;
}

export interface Response {
  readonly status: number;
  /** Names in lower case; of repeated headers the last. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

const HEAD_BYTES_MAX = 16 * 1024;
const BODY_BYTES_MAX = 64 * MIB;
const CHUNK_LINE_BYTES_MAX = 256;
/** More 1xx replies than this before the real one are refused. */
const INTERIM_MAX = 8;

const bad = (why: string): AegisError =>
  new AegisError('BAD_ENCODING', `the daemon's reply is not valid HTTP: ${why}`, {
    hint: 'Something else may be listening at this address.',
  });

type State = 'head' | 'length' | 'close' | 'chunk-size' | 'chunk-data' | 'trailers' | 'done';

export class ResponseReader {
  readonly #headBytesMax: number;
  readonly #bodyBytesMax: number;
  #state: State = 'head';
  /** What has come and not been used. */
  #rest: Buffer = Buffer.alloc(0);
  #status = 0;
  #headers = new Map<string, string>();
  #body: Buffer[] = [];
  #bodyBytes = 0;
  /** Bytes that the body, or the chunk with its CRLF, still lacks. */
  #wanted = 0;
  #trailerBytes = 0;
  #interim = 0;

  constructor(limits: ResponseLimits = {}) {
    this.#headBytesMax = limits.headBytesMax ?? HEAD_BYTES_MAX;
    this.#bodyBytesMax = limits.bodyBytesMax ?? BODY_BYTES_MAX;
  }

  get done(): boolean {
    return this.#state === 'done';
  }

  /** Bytes after the end of the reply are ignored. @throws {AegisError} BAD_ENCODING, TOO_LARGE. */
  push(chunk: Uint8Array): void {
    if (this.#state === 'done') return;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (this.#advance());
  }

  /** The connection has ended. @throws {AegisError} when the reply is not complete. */
  end(): void {
    if (this.#state === 'close') this.#state = 'done';
    if (this.#state === 'done') return;
    const begun = this.#status !== 0 || this.#rest.length > 0;
    throw begun
      ? new AegisError('STALLED', 'the daemon hung up in the middle of its reply')
      : new AegisError('DAEMON_UNREACHABLE', 'the daemon hung up without a reply');
  }

  /** Call only when `done`. */
  response(): Response {
    return { status: this.#status, headers: this.#headers, body: Buffer.concat(this.#body) };
  }

  /** One transition; `false` when more bytes are needed. */
  #advance(): boolean {
    switch (this.#state) {
      case 'head':
        return this.#head();
      case 'length':
      case 'chunk-data':
        return this.#data();
      case 'close':
        this.#take(this.#rest.length);
        return false;
      case 'chunk-size':
        return this.#chunkSize();
      case 'trailers':
        return this.#trailers();
      default:
        return false;
    }
  }

  #head(): boolean {
    const end = this.#rest.indexOf('\r\n\r\n');
    if ((end === -1 ? this.#rest.length : end) > this.#headBytesMax) {
      throw new AegisError('TOO_LARGE', 'the headers of the reply are too long');
    }
    // Something that does not speak HTTP may never send an empty line, so the start is looked at.
    if (!'HTTP/1.'.startsWith(this.#rest.toString('latin1', 0, Math.min(7, this.#rest.length)))) {
      throw bad('it does not begin with HTTP/1');
    }
    if (end === -1) return false;
    const [first = '', ...lines] = this.#rest.toString('latin1', 0, end).split('\r\n');
    this.#rest = this.#rest.subarray(end + 4);
    const status = /^HTTP\/1\.[01] ([1-5]\d\d)(?: [^\0\r\n]*)?$/.exec(first)?.[1];
    if (status === undefined) throw bad('the status line is malformed');
    this.#status = Number(status);
    this.#headers = parseHeaders(lines);
    return this.#begin();
  }

  /** Chooses how the body ends (RFC 9112, section 6.3). */
  #begin(): boolean {
    if (this.#status < 200) {
      this.#interim += 1;
      if (this.#interim > INTERIM_MAX || this.#status === 101)
        throw bad('unexpected interim reply');
      this.#status = 0;
      return true;
    }
    const encoding = this.#headers.get('transfer-encoding');
    const length = this.#headers.get('content-length');
    if (this.#status === 204 || this.#status === 304) this.#state = 'done';
    else if (encoding !== undefined) {
      if (encoding.toLowerCase() !== 'chunked') throw bad('unknown transfer encoding');
      if (length !== undefined) throw bad('both a length and a transfer encoding');
      this.#state = 'chunk-size';
    } else if (length === undefined) this.#state = 'close';
    else {
      if (!/^\d{1,15}$/.test(length)) throw bad('the content length is not a number');
      this.#wanted = Number(length);
      this.#room(this.#wanted);
      this.#state = this.#wanted === 0 ? 'done' : 'length';
    }
    return this.#state !== 'done';
  }

  #data(): boolean {
    if (this.#rest.length === 0) return false;
    if (this.#state === 'length') {
      this.#wanted -= this.#take(this.#wanted);
      if (this.#wanted > 0) return false;
      this.#state = 'done';
      return false;
    }
    if (this.#wanted > 0) {
      this.#wanted -= this.#take(this.#wanted);
      return this.#wanted === 0;
    }
    if (this.#rest.length < 2) return false;
    if (this.#rest[0] !== 13 || this.#rest[1] !== 10) throw bad('a chunk is longer than announced');
    this.#rest = this.#rest.subarray(2);
    this.#state = 'chunk-size';
    return true;
  }

  #chunkSize(): boolean {
    const line = this.#line(CHUNK_LINE_BYTES_MAX);
    if (line === undefined) return false;
    const size = /^([0-9a-fA-F]{1,12})[ \t]*(?:;[^\0\r\n]*)?$/.exec(line)?.[1];
    if (size === undefined) throw bad('the size of a chunk is malformed');
    this.#wanted = Number.parseInt(size, 16);
    this.#room(this.#wanted);
    this.#state = this.#wanted === 0 ? 'trailers' : 'chunk-data';
    return true;
  }

  #trailers(): boolean {
    const line = this.#line(this.#headBytesMax - this.#trailerBytes);
    if (line === undefined) return false;
    this.#trailerBytes += line.length + 2;
    if (line === '') this.#state = 'done';
    return line !== '';
  }

  /** The next line without its CRLF, or `undefined` until it is complete. */
  #line(bytesMax: number): string | undefined {
    const end = this.#rest.indexOf('\r\n');
    if ((end === -1 ? this.#rest.length : end) > bytesMax) throw bad('a line is too long');
    if (end === -1) return undefined;
    const line = this.#rest.toString('latin1', 0, end);
    this.#rest = this.#rest.subarray(end + 2);
    return line;
  }

  /** Moves at most `bytes` from what has come to the body. Returns how many. */
  #take(bytes: number): number {
    const part = this.#rest.subarray(0, bytes);
    this.#room(part.length);
    this.#rest = this.#rest.subarray(part.length);
    if (part.length > 0) this.#body.push(part);
    this.#bodyBytes += part.length;
    return part.length;
  }

  #room(bytes: number): void {
    if (this.#bodyBytes + bytes <= this.#bodyBytesMax) return;
    throw new AegisError('TOO_LARGE', `the reply is longer than ${this.#bodyBytesMax} bytes`);
  }
}

function parseHeaders(lines: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r\n]*?)[ \t]*$/.exec(line);
    if (match === null) throw bad('a header is malformed');
    const [, name = '', value = ''] = match;
    const key = name.toLowerCase();
    const before = headers.get(key);
    if (key === 'content-length' && before !== undefined && before !== value) {
      throw bad('two content lengths');
    }
    headers.set(key, value);
  }
  return headers;
}
