/**
 * Reads canonical dag-cbor, and nothing else: whatever the encoder would have written in another
 * way is refused where it stands. That spares encoding each value again to compare, which takes
 * four times as long. It allocates no more than the bytes can hold.
 */
import { CID } from 'multiformats/cid';

/** Nesting beyond this is refused before it can exhaust the stack. */
export const CBOR_DEPTH_MAX = 32;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Longer texts are decoded faster by the platform. */
const SHORT_TEXT_BYTES = 48;

/** Short keys that have been read: records have the same few, again and again. */
class KnownKeys {
  readonly #texts: (string | undefined)[] = Array.from({ length: 512 });

  /** That of the bytes if it has been read before; or else it is made and kept. */
  of(bytes: Uint8Array, from: number, to: number, make: () => string): string {
    let hash = to - from;
    for (let at = from; at < to; at += 1) hash = (hash * 31 + bytes[at]!) & 511;
    const known = this.#texts[hash];
    if (known !== undefined && isText(known, bytes, from, to)) return known;
    const text = make();
    this.#texts[hash] = text;
    return text;
  }
}

/** Whether these bytes are a text, if each of its characters is one byte. */
function isText(text: string, bytes: Uint8Array, from: number, to: number): boolean {
  if (text.length !== to - from) return false;
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at]!;
    if (byte > 127 || byte !== text.charCodeAt(at - from)) return false;
  }
  return true;
}

const KNOWN_KEYS = new KnownKeys();

const CID_TAG = 42;
const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const LIST = 4;
const MAP = 5;
const TAG = 6;

/** The value that the bytes are the encoding of. @throws {Error} when they are none. */
export function readCanonical(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) throw new Error('bytes follow the value');
  return value;
}

/**
 * The bytes of the field `name` of a map that has been read: its one encoding, as `encode` would
 * make it of the value.
 */
export function fieldBytes(map: Uint8Array, name: string): Uint8Array | undefined {
  return new Reader(map).field(name);
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    // Slices of a buffer would be views of it, which keep all of it in memory.
    const { buffer, byteOffset, length } = bytes;
    this.#bytes = Buffer.isBuffer(bytes) ? new Uint8Array(buffer, byteOffset, length) : bytes;
    this.#view = new DataView(buffer, byteOffset, length);
  }

  value(depth: number): unknown {
    const first = this.#byte();
    const major = first >> 5;
    if (major > TAG) return this.#simple(first);
    const argument = this.#argument(first & 31);
    switch (major) {
      case UNSIGNED:
        return Number.isSafeInteger(argument) ? argument : this.#bigArgument();
      case NEGATIVE:
        return Number.isSafeInteger(-1 - argument) ? -1 - argument : -1n - this.#bigArgument();
      case BYTES:
        return this.#bytes.slice(this.at, this.#skip(argument));
      case TEXT:
        return this.#text(this.at, this.#skip(argument));
      case LIST:
        return this.#list(argument, depth + 1);
      case MAP:
        return this.#map(argument, depth + 1);
      default:
        return this.#cid(argument, depth + 1);
    }
  }

  field(name: string): Uint8Array | undefined {
    const count = this.#argument(this.#byte() & 31);
    for (let n = 0; n < count; n += 1) {
      const key = this.value(1);
      const from = this.at;
      this.#pass();
      if (key === name) return this.#bytes.subarray(from, this.at);
    }
    return undefined;
  }

  /** Goes over one item, whatever is in it. */
  #pass(): void {
    for (let left = 1; left > 0; left -= 1) {
      const first = this.#byte();
      const major = first >> 5;
      if (major > TAG) {
        if (first === 0xfb) this.#skip(8);
        continue;
      }
      const argument = this.#argument(first & 31);
      if (major === BYTES || major === TEXT) this.#skip(argument);
      else if (major === LIST) left += argument;
      else if (major === MAP) left += 2 * argument;
      else if (major === TAG) left += 1;
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.at];
    if (byte === undefined) throw cutShort();
    this.at += 1;
    return byte;
  }

  /** The argument of an item in its shortest form; not exact beyond 2^53. */
  #argument(info: number): number {
    if (info < 24) return info;
    if (info > 27) throw new Error('indefinite or reserved length');
    const { at } = this;
    this.#skip(1 << (info - 24));
    const value = this.#number(info, at);
    const least = info === 24 ? 24 : 2 ** (4 << (info - 24));
    if (value < least) throw new Error('a number is longer than it must be');
    return value;
  }

  #number(info: number, at: number): number {
    if (info === 24) return this.#bytes[at]!;
    if (info === 25) return this.#view.getUint16(at);
    const high = this.#view.getUint32(at);
    return info === 26 ? high : high * 2 ** 32 + this.#view.getUint32(at + 4);
  }

  /** The argument of eight bytes that was read last. */
  #bigArgument(): bigint {
    return this.#view.getBigUint64(this.at - 8);
  }

  /** @returns where the `length` bytes end. */
  #skip(length: number): number {
    if (length > this.#bytes.length - this.at) throw cutShort();
    this.at += length;
    return this.at;
  }

  #text(from: number, to: number): string {
    if (to - from > SHORT_TEXT_BYTES) return utf8.decode(this.#bytes.subarray(from, to));
    let text = '';
    for (let at = from; at < to; at += 1) {
      const byte = this.#bytes[at]!;
      if (byte > 127) return utf8.decode(this.#bytes.subarray(from, to));
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** As `#text`, but mostly without making one. */
  #key(from: number, to: number): string {
    if (to - from > SHORT_TEXT_BYTES) return this.#text(from, to);
    return KNOWN_KEYS.of(this.#bytes, from, to, () => this.#text(from, to));
  }

  /** Each item has at least one byte. */
  #enter(items: number, depth: number): void {
    if (items > this.#bytes.length - this.at) throw cutShort();
    if (depth > CBOR_DEPTH_MAX) throw new Error(`nested deeper than ${CBOR_DEPTH_MAX}`);
  }

  #list(count: number, depth: number): unknown[] {
    this.#enter(count, depth);
    const list: unknown[] = [];
    for (let n = 0; n < count; n += 1) list.push(this.value(depth));
    return list;
  }

  #map(count: number, depth: number): Record<string, unknown> {
    this.#enter(count * 2, depth);
    const map: Record<string, unknown> = {};
    let before = { from: 0, to: -1 };
    for (let n = 0; n < count; n += 1) {
      const first = this.#byte();
      if (first >> 5 !== TEXT) throw new Error('a key is not text');
      const length = this.#argument(first & 31);
      const name = { from: this.at, to: this.#skip(length) };
      if (!this.#isBefore(before, name)) throw new Error('keys are out of order');
      before = name;
      const key = this.#key(name.from, name.to);
      const value = this.value(depth);
      if (key === '__proto__') define(map, key, value);
      else map[key] = value;
    }
    return map;
  }

  /** Shorter keys first, and those of one length by their bytes; so no key stands there twice. */
  #isBefore(a: { from: number; to: number }, b: { from: number; to: number }): boolean {
    const length = b.to - b.from;
    if (a.to - a.from !== length) return a.to - a.from < length;
    for (let n = 0; n < length; n += 1) {
      const difference = this.#bytes[a.from + n]! - this.#bytes[b.from + n]!;
      if (difference !== 0) return difference < 0;
    }
    return false;
  }

  /** The only tag: a zero and the bytes of a CID. */
  #cid(tag: number, depth: number): CID {
    this.#enter(1, depth);
    if (tag !== CID_TAG) throw new Error('a tag that is not that of a CID');
    const first = this.#byte();
    if (first >> 5 !== BYTES) throw new Error('a CID that is not bytes');
    const length = this.#argument(first & 31);
    const [from, to] = [this.at, this.#skip(length)];
    if (this.#bytes[from] !== 0 || from === to) throw new Error('a CID without its prefix');
    const bytes = this.#bytes.slice(from + 1, to);
    const cid = CID.decode(bytes);
    // Its numbers may be longer than they must be.
    if (Buffer.compare(cid.bytes, bytes) !== 0) throw new Error('a CID in another encoding');
    return cid;
  }

  #simple(first: number): boolean | null | number {
    if (first === 0xf4) return false;
    if (first === 0xf5) return true;
    if (first === 0xf6) return null;
    if (first !== 0xfb) throw new Error('a simple value that is none of dag-cbor');
    const { at } = this;
    this.#skip(8);
    const value = this.#view.getFloat64(at);
    if (!Number.isFinite(value)) throw new Error('not a number, or an infinity');
    if (Number.isSafeInteger(value)) throw new Error('an integer that is written as a float');
    return value;
  }
}

const cutShort = (): Error => new Error('the value is cut short');

/** An assignment would change the prototype. */
const define = (map: object, key: string, value: unknown): void =>
  void Object.defineProperty(map, key, {
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  });
