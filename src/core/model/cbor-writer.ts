/**
 * Writes canonical dag-cbor of the values that are written all the time: whole numbers, texts,
 * bytes, lists, plain maps with plain names, CIDs. The library takes five times as long, and has
 * the rest: `writeCanonical` says that it has met something else.
 */
import { CID } from 'multiformats/cid';

const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const LIST = 4;
const MAP = 5;
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;
/** Tag 42, in two bytes. */
const CID_TAG = 0xd82a;

const START_BYTES = 256;
/** A longer text may need more room in UTF-8 than is worth reserving. */
const UTF8_BYTES_A_UNIT = 3;
const PLAIN_NAME = /^[\x20-\x7e]*$/;

/** The encoding, or undefined when the library has to make it, or to refuse the value. */
export function writeCanonical(value: unknown): Uint8Array | undefined {
  const writer = new Writer();
  return writer.value(value, 0) ? writer.bytes : undefined;
}

const DEPTH_MAX = 32;

class Writer {
  #buffer = Buffer.allocUnsafe(START_BYTES);
  #at = 0;

  get bytes(): Uint8Array {
    const bytes = new Uint8Array(this.#at);
    bytes.set(this.#buffer.subarray(0, this.#at));
    return bytes;
  }

  /** @returns false for what is not written here. */
  value(value: unknown, depth: number): boolean {
    switch (typeof value) {
      case 'string':
        return this.#text(value);
      case 'number':
        return this.#number(value);
      case 'boolean':
        return this.#byte(value ? TRUE : FALSE);
      case 'object':
        if (value === null) return this.#byte(NULL);
        return depth < DEPTH_MAX && this.#object(value, depth);
      default:
        return false;
    }
  }

  #object(value: object, depth: number): boolean {
    if (value instanceof Uint8Array) return this.#bytes(value);
    if (Array.isArray(value)) return this.#list(value, depth);
    if (value instanceof CID) return this.#cid(value);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return false;
    return this.#map(value as Readonly<Record<string, unknown>>, depth);
  }

  #number(value: number): boolean {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) return false;
    if (value >= 0) this.#head(UNSIGNED, value);
    else this.#head(NEGATIVE, -1 - value);
    return true;
  }

  #text(text: string): boolean {
    const { length } = text;
    if (length < 24) {
      // Most are short and plain, and known to be so after one look.
      this.#reserve(1 + length);
      const start = this.#at;
      let at = start + 1;
      for (let unit = 0; unit < length; unit += 1) {
        const code = text.charCodeAt(unit);
        if (code > 127) return this.#longText(text);
        this.#buffer[at] = code;
        at += 1;
      }
      this.#buffer[start] = (TEXT << 5) | length;
      this.#at = at;
      return true;
    }
    return this.#longText(text);
  }

  #longText(text: string): boolean {
    if (!text.isWellFormed()) return false;
    const sizeBytes = Buffer.byteLength(text);
    this.#head(TEXT, sizeBytes);
    this.#reserve(text.length * UTF8_BYTES_A_UNIT);
    this.#at += this.#buffer.write(text, this.#at, 'utf8');
    return true;
  }

  #bytes(bytes: Uint8Array): boolean {
    this.#head(BYTES, bytes.length);
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
    return true;
  }

  #list(list: readonly unknown[], depth: number): boolean {
    this.#head(LIST, list.length);
    for (const item of list) if (!this.value(item, depth + 1)) return false;
    return true;
  }

  /** Shorter names first, then by their bytes. */
  #map(map: Readonly<Record<string, unknown>>, depth: number): boolean {
    const names = Object.keys(map);
    if (!names.every((name) => PLAIN_NAME.test(name))) return false;
    names.sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
    this.#head(MAP, names.length);
    for (const name of names) {
      this.#text(name);
      if (!this.value(map[name], depth + 1)) return false;
    }
    return true;
  }

  #cid(cid: CID): boolean {
    const { bytes } = cid;
    this.#reserve(2);
    this.#at = this.#buffer.writeUInt16BE(CID_TAG, this.#at);
    this.#head(BYTES, bytes.length + 1);
    this.#byte(0);
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
    return true;
  }

  #byte(byte: number): true {
    this.#reserve(1);
    this.#buffer[this.#at] = byte;
    this.#at += 1;
    return true;
  }

  /** Type and argument, in the shortest form. */
  #head(major: number, argument: number): void {
    this.#reserve(9);
    const type = major << 5;
    if (argument < 24) {
      this.#buffer[this.#at] = type | argument;
      this.#at += 1;
    } else if (argument < 0x100) {
      this.#buffer[this.#at] = type | 24;
      this.#at = this.#buffer.writeUInt8(argument, this.#at + 1);
    } else if (argument < 0x10000) {
      this.#buffer[this.#at] = type | 25;
      this.#at = this.#buffer.writeUInt16BE(argument, this.#at + 1);
    } else if (argument < 0x100000000) {
      this.#buffer[this.#at] = type | 26;
      this.#at = this.#buffer.writeUInt32BE(argument, this.#at + 1);
    } else {
      this.#buffer[this.#at] = type | 27;
      this.#at = this.#buffer.writeUInt32BE(Math.floor(argument / 2 ** 32), this.#at + 1);
      this.#at = this.#buffer.writeUInt32BE(argument % 2 ** 32, this.#at);
    }
  }

  #reserve(sizeBytes: number): void {
    const needed = this.#at + sizeBytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length));
    this.#buffer.copy(grown, 0, 0, this.#at);
    this.#buffer = grown;
  }
}
