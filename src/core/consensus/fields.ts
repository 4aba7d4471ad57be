/** Reads lists of fields strictly, one after the other: exact counts, exact types, limits. */
import { AegisError } from '../errors.ts';
import { CUSTODIANS_MAX, HEIGHT_MAX, VIEW_MAX } from './types.ts';

export const SHARE_BYTES = 96;
export const SIGNATURE_BYTES = 64;

/** The fields of one decoded list, in their order. */
export class Fields {
  readonly #what: string;
  readonly #items: readonly unknown[];
  #at = 0;

  /** @throws {AegisError} `BAD_ENCODING` when `value` is no list of `count` items. */
  constructor(value: unknown, count: number, what: string) {
    this.#what = what;
    if (!Array.isArray(value) || value.length !== count) throw this.bad(`is no list of ${count}`);
    this.#items = value;
  }

  get #next(): unknown {
    const value = this.#items[this.#at];
    this.#at += 1;
    return value;
  }

  integer(min: number, max: number): number {
    const value = this.#next;
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      throw this.bad(`has something else in place of an integer from ${min} to ${max}`);
    }
    return value as number;
  }

  height(min = 1): number {
    return this.integer(min, HEIGHT_MAX);
  }

  view(): number {
    return this.integer(0, VIEW_MAX);
  }

  bytes(length: number): Uint8Array {
    const value = this.#next;
    if (!(value instanceof Uint8Array) || value.length !== length) {
      throw this.bad(`has something else in place of ${length} bytes`);
    }
    return value;
  }

  /** Bytes of any length up to a limit. */
  blob(maxBytes: number): Uint8Array {
    const value = this.#next;
    if (!(value instanceof Uint8Array)) throw this.bad('has something else in place of bytes');
    if (value.length > maxBytes) {
      throw new AegisError('TOO_LARGE', `the ${this.#what} has more than ${maxBytes} bytes`);
    }
    return value;
  }

  digest(): string {
    return hex(this.bytes(32));
  }

  word<W extends string>(words: readonly W[]): W {
    const value = this.#next;
    if (!words.includes(value as W)) throw this.bad('has an unknown word');
    return value as W;
  }

  read<T>(read: (value: unknown) => T): T {
    return read(this.#next);
  }

  /** Null stands for what is not there. */
  optional<T>(read: (value: unknown) => T): T | undefined {
    const value = this.#next;
    return value === null ? undefined : read(value);
  }

  list<T>(max: number, read: (value: unknown) => T): T[] {
    const value = this.#next;
    if (!Array.isArray(value)) throw this.bad('has something else in place of a list');
    if (value.length > max) throw this.bad(`has a list of more than ${max}`);
    return value.map(read);
  }

  /** A bitmap of indices, least first, without trailing zero bytes; at least one bit is set. */
  signers(): number[] {
    const bitmap = this.blob(CUSTODIANS_MAX / 8);
    if (bitmap.length === 0 || bitmap.at(-1) === 0) throw this.bad('has a bad bitmap of signers');
    const signers: number[] = [];
    for (let index = 0; index < bitmap.length * 8; index += 1) {
      if (((bitmap[index >> 3] ?? 0) >> (index & 7)) & 1) signers.push(index);
    }
    return signers;
  }

  bad(why: string): AegisError {
    return new AegisError('BAD_ENCODING', `the ${this.#what} ${why}`);
  }
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

/** One integer, or null for none. */
export const orNull = <T>(value: T | undefined): T | null => value ?? null;

/** @param signers ascending indices, at least one. */
export function bitmapOf(signers: readonly number[]): Uint8Array {
  const bitmap = new Uint8Array(((signers.at(-1) ?? 0) >> 3) + 1);
  for (const signer of signers) bitmap[signer >> 3] = bitmap[signer >> 3]! | (1 << (signer & 7));
  return bitmap;
}
