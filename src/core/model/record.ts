/** Reads the fields of a decoded record strictly: exact names, exact types, limits everywhere. */
import { CID } from 'multiformats/cid';
import { AegisError } from '../errors.ts';

interface TextLimits {
  readonly maxBytes: number;
  /** @default 0 */
  readonly minBytes?: number;
}

const utf8 = new TextEncoder();

export const bytesOfText = (text: string): Uint8Array => utf8.encode(text);

/** 9999-12-31T23:59:59.999Z. Later times cannot be written for people, or not at all. */
export const TIME_MAX = 253_402_300_799_999;

/** Whether a record was refused for its age. */
export const isOlder = ({ details }: AegisError): boolean => details['olderThan'] !== undefined;

/** A decoded map with a `type` and a version `v`, read field by field. */
export class RecordReader {
  readonly #what: string;
  readonly #fields: Readonly<Record<string, unknown>>;

  /**
   * @param names every name that may occur, besides `v` and `type`.
   * @param version `null` for a map inside a record, which has neither version nor type.
   * @throws {AegisError} `BAD_ENCODING` for another type, version or name.
   */
  constructor(value: unknown, type: string, names: readonly string[], version: number | null = 1) {
    this.#what = type;
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isObject || value instanceof Uint8Array || value instanceof CID) {
      throw this.#bad('is not a map');
    }
    this.#fields = value as Readonly<Record<string, unknown>>;
    if (version !== null) this.#checkKind(type, version);
    for (const name of Object.keys(value)) {
      const isKind = version !== null && (name === 'v' || name === 'type');
      if (!isKind && !names.includes(name)) {
        throw this.#bad('has a field that this aegis does not know');
      }
    }
  }

  #checkKind(type: string, version: number): void {
    if (this.#get('type') !== type) throw this.#bad(`is not of the type "${type}"`);
    const found = this.#get('v');
    if (found === version) return;
    if (Number.isSafeInteger(found) && (found as number) > 0 && (found as number) < version) {
      throw new AegisError('BAD_ENCODING', `the ${type} was made by an older aegis`, {
        hint: `This aegis reads version ${version} of it. Make it again with this aegis.`,
        details: { olderThan: version },
      });
    }
    throw this.#bad('has a version that this aegis does not know');
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#fields, name);
  }

  bytes(name: string, limits: { readonly length: number } | { readonly maxBytes: number }) {
    const value = this.#get(name);
    if (!(value instanceof Uint8Array)) throw this.#bad(`"${name}" is not bytes`);
    this.#checkLength(name, value, limits);
    return value;
  }

  text(name: string, limits: TextLimits): string {
    return this.#text(name, this.#get(name), limits);
  }

  integer(name: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.#get(name);
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      throw this.#bad(`"${name}" is not an integer from ${min} to ${max}`);
    }
    return value as number;
  }

  /** Milliseconds since the Unix epoch, of a year that RFC 3339 can write. */
  time(name: string): number {
    return this.integer(name, 0, TIME_MAX);
  }

  flag(name: string): boolean {
    const value = this.#get(name);
    if (typeof value !== 'boolean') throw this.#bad(`"${name}" is not a boolean`);
    return value;
  }

  cid(name: string): CID {
    return this.#cid(name, this.#get(name));
  }

  /** `null` stands for itself. */
  cidOrNull(name: string): CID | null {
    const value = this.#get(name);
    return value === null ? null : this.#cid(name, value);
  }

  cids(name: string, maxItems: number): CID[] {
    return this.#list(name, maxItems).map((item) => this.#cid(name, item));
  }

  texts(name: string, maxItems: number, limits: TextLimits): string[] {
    return this.#list(name, maxItems).map((item) => this.#text(name, item, limits));
  }

  byteStrings(name: string, maxItems: number, maxBytes: number): Uint8Array[] {
    return this.#list(name, maxItems).map((item) => {
      if (!(item instanceof Uint8Array)) throw this.#bad(`"${name}" holds something not bytes`);
      this.#checkLength(name, item, { maxBytes });
      return item;
    });
  }

  /** The items, undecoded: for maps inside a record. */
  list(name: string, maxItems: number): readonly unknown[] {
    return this.#list(name, maxItems);
  }

  /** One value, undecoded: for a map inside a record. */
  item(name: string): unknown {
    return this.#get(name);
  }

  #get(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined;
  }

  #list(name: string, maxItems: number): unknown[] {
    const value = this.#get(name);
    if (!Array.isArray(value)) throw this.#bad(`"${name}" is not a list`);
    if (value.length > maxItems) throw this.#bad(`"${name}" has more than ${maxItems} items`);
    return value;
  }

  #text(name: string, value: unknown, limits: TextLimits): string {
    if (typeof value !== 'string') throw this.#bad(`"${name}" is not text`);
    const sizeBytes = Buffer.byteLength(value);
    if (sizeBytes > limits.maxBytes || sizeBytes < (limits.minBytes ?? 0)) {
      const { minBytes = 0, maxBytes } = limits;
      throw this.#bad(`"${name}" does not have ${minBytes} to ${maxBytes} bytes`);
    }
    return value;
  }

  #cid(name: string, value: unknown): CID {
    // `CID.asCID` would take a map for one whose fields "/" and "bytes" are equal.
    if (!(value instanceof CID)) throw this.#bad(`"${name}" is not a CID`);
    return value;
  }

  #checkLength(
    name: string,
    value: Uint8Array,
    limits: { readonly length: number } | { readonly maxBytes: number },
  ): void {
    if ('length' in limits && value.length !== limits.length) {
      throw this.#bad(`"${name}" does not have ${limits.length} bytes`);
    }
    if ('maxBytes' in limits && value.length > limits.maxBytes) {
      throw this.#bad(`"${name}" has more than ${limits.maxBytes} bytes`);
    }
  }

  #bad(why: string): AegisError {
    return new AegisError('BAD_ENCODING', `the ${this.#what} ${why}`);
  }
}
