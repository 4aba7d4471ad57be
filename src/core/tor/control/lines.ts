/**
 * Cuts bytes into lines, as they come in pieces of any size. A line ends with LF, of which one CR
 * before it is a part. It knows nothing of what the lines say.
 */
import { AegisError } from '../../errors.ts';

const LF = 0x0a;
const CR = 0x0d;
const FIRST_BYTES = 4096;

export class LineFramer {
  readonly #maxBytes: number;
  /** The beginning of a line whose end has not come; grows by doubling, to the limit. */
  #rest = Buffer.alloc(0);
  #length = 0;

  /** @param maxBytes of one line, without its end. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * The lines that are complete with `chunk`: one character for each byte, for the protocol is of
   * bytes, and what is text in it escapes all but ASCII.
   * @throws {AegisError} `TOO_LARGE` for a longer line; nothing more is kept.
   */
  push(chunk: Uint8Array): string[] {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const lines: string[] = [];
    let from = 0;
    for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, from)) {
      lines.push(this.#line(bytes.subarray(from, end)));
      from = end + 1;
    }
    if (from < bytes.length) this.#keep(bytes.subarray(from));
    return lines;
  }

  /** Bytes that wait for the end of their line. */
  get waiting(): number {
    return this.#length;
  }

  #line(piece: Buffer): string {
    if (this.#length > 0) {
      this.#keep(piece);
      piece = this.#rest.subarray(0, this.#length);
      this.#length = 0;
    }
    const isCr = piece.length > 0 && piece[piece.length - 1] === CR;
    const line = isCr ? piece.subarray(0, -1) : piece;
    this.#check(line.length);
    return line.toString('latin1');
  }

  #keep(piece: Buffer): void {
    const length = this.#length + piece.length;
    // A CR may turn out to belong to the end.
    this.#check(length - 1);
    if (length > this.#rest.length) {
      const grown = Buffer.alloc(Math.max(FIRST_BYTES, length, this.#rest.length * 2));
      this.#rest.copy(grown, 0, 0, this.#length);
      this.#rest = grown;
    }
    piece.copy(this.#rest, this.#length);
    this.#length = length;
  }

  #check(length: number): void {
    if (length <= this.#maxBytes) return;
    this.#rest = Buffer.alloc(0);
    this.#length = 0;
    throw new AegisError('TOO_LARGE', `a line has more than ${this.#maxBytes} bytes`);
  }
}
