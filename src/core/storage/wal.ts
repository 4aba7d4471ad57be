/**
 * Looks at a write-ahead log of SQLite before SQLite does: whether its tail is what a writer leaves
 * that stopped at any moment, or what remains of something that had been there
 * (sqlite.org/walformat.html). SQLite itself ends the log at the first frame that does not fit,
 * without a word. Read only.
 */
import { closeSync, lstatSync, openSync, readSync } from 'node:fs';
import { endianness } from 'node:os';

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** The last bit says in which order the words of the checksums are read. */
const MAGIC = 0x377f0682;
const PAGE_BYTES_MIN = 512;
const PAGE_BYTES_MAX = 65_536;

type Sums = readonly [number, number];

/** What is wrong with the tail of the log at `path`, in words; undefined when nothing is. */
export function tailProblem(path: string): string | undefined {
  const size = lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) return undefined;
  const file = openSync(path, 'r');
  try {
    return new Scan(file, size).problem();
  } finally {
    closeSync(file);
  }
}

class Scan {
  readonly #file: number;
  readonly #size: number;
  readonly #header: Buffer;
  readonly #isBigEndian: boolean;

  constructor(file: number, size: number) {
    this.#file = file;
    this.#size = size;
    this.#header = this.#read(0, Math.min(HEADER_BYTES, size));
    this.#isBigEndian = size >= 4 && (this.#header.readUInt32BE(0) & 1) === 1;
  }

  problem(): string | undefined {
    const header = this.#header;
    if (header.length < HEADER_BYTES) return 'the log ends within its header';
    const pageBytes = header.readUInt32BE(8);
    const isHeader =
      (header.readUInt32BE(0) & ~1) >>> 0 === MAGIC &&
      pageBytes >= PAGE_BYTES_MIN &&
      pageBytes <= PAGE_BYTES_MAX &&
      agrees(this.#sum([0, 0], header.subarray(0, 24)), header, 24);
    if (!isHeader) return 'the header of the log is damaged';
    return this.#frames(FRAME_HEADER_BYTES + pageBytes);
  }

  /** Frames that fit, one after the other; then nothing of this run of the log may follow. */
  #frames(frameBytes: number): string | undefined {
    const salts = this.#header.subarray(16, 24);
    let sums: Sums = [this.#header.readUInt32BE(24), this.#header.readUInt32BE(28)];
    let isWhole = true;
    for (let at = HEADER_BYTES; at < this.#size; at += frameBytes) {
      const frame = this.#read(at, Math.min(frameBytes, this.#size - at));
      // Frames of an earlier run have other salts; they stay until they are written over.
      const isCurrent = frame.length < 16 || frame.subarray(8, 16).equals(salts);
      if (frame.length < frameBytes && isCurrent) return 'the log ends within a frame';
      if (isWhole && isCurrent) {
        const afterHeader = this.#sum(sums, frame.subarray(0, 8));
        sums = this.#sum(afterHeader, frame.subarray(FRAME_HEADER_BYTES));
      }
      isWhole &&= isCurrent && agrees(sums, frame, 16);
      if (isCurrent && !isWhole) return `the log is damaged at byte ${at}`;
    }
    return undefined;
  }

  #read(at: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    const count = readSync(this.#file, bytes, 0, length, at);
    return bytes.subarray(0, count);
  }

  /** The checksum of SQLite's log: two running sums over pairs of 32-bit words. */
  #sum([first, second]: Sums, bytes: Buffer): Sums {
    const words = this.#words(bytes);
    let a = first;
    let b = second;
    for (let n = 0; n < words.length; n += 2) {
      a = (a + words[n]! + b) >>> 0;
      b = (b + words[n + 1]! + a) >>> 0;
    }
    return [a, b];
  }

  #words(bytes: Buffer): Uint32Array {
    // A copy, as the array of words must begin at a multiple of four.
    const copy = Buffer.from(new Uint8Array(bytes).buffer);
    if (this.#isBigEndian !== (endianness() === 'BE')) copy.swap32();
    return new Uint32Array(copy.buffer, copy.byteOffset, copy.length / 4);
  }
}

const agrees = ([a, b]: Sums, bytes: Buffer, at: number): boolean =>
  bytes.readUInt32BE(at) === a && bytes.readUInt32BE(at + 4) === b;
