/**
 * The UnixFS message inside a dag-pb node (ipfs/specs, UNIXFS.md). Own codec because the input is
 * hostile: nothing is allocated before its count is known, and numbers stay numbers.
 */
import { AegisError } from '../errors.ts';

/** Wire values of UnixFS `DataType`, written literally. */
export const UNIXFS_TYPE = { raw: 0, directory: 1, file: 2, metadata: 3, symlink: 4, hamt: 5 };
/** Multicodec of murmur3-x64-64, the hash of sharded directories. */
export const MURMUR3 = 0x22;

export interface UnixfsData {
  readonly type: number;
  readonly data?: Uint8Array;
  readonly fileSize?: number;
  readonly blockSizes: readonly number[];
  readonly hashType?: number;
  readonly fanout?: number;
}

const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `not UnixFS: ${why}`);

/** Appends a protobuf varint. Exact up to 2^53. */
function putVarint(out: number[], value: number): void {
  let rest = value;
  while (rest >= 128) {
    out.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
}

/** Fields in the order and form of the reference encoder. */
export function encodeUnixfs(value: UnixfsData): Uint8Array {
  const out: number[] = [0x08];
  putVarint(out, value.type);
  if (value.data !== undefined && value.data.length > 0) {
    out.push(0x12);
    putVarint(out, value.data.length);
    for (const byte of value.data) out.push(byte);
  }
  if (value.fileSize !== undefined) {
    out.push(0x18);
    putVarint(out, value.fileSize);
  }
  for (const size of value.blockSizes) {
    out.push(0x20);
    putVarint(out, size);
  }
  if (value.hashType !== undefined) {
    out.push(0x28);
    putVarint(out, value.hashType);
  }
  if (value.fanout !== undefined) {
    out.push(0x30);
    putVarint(out, value.fanout);
  }
  return Uint8Array.from(out);
}

/** Reads protobuf fields in place. */
export class FieldReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i += 1) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw bad('cut short');
      this.#at += 1;
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (value > Number.MAX_SAFE_INTEGER) throw bad('a number beyond 2^53');
        return value;
      }
      scale *= 128;
    }
    throw bad('a number without end');
  }

  bytes(): Uint8Array {
    const length = this.varint();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw bad('cut short');
    const out = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return out;
  }

  skip(wireType: number): void {
    if (wireType === 0) this.varint();
    else if (wireType === 1) this.#at += 8;
    else if (wireType === 2) this.bytes();
    else if (wireType === 5) this.#at += 4;
    else throw bad('an unknown wire type');
    if (this.#at > this.#bytes.length) throw bad('cut short');
  }
}

/**
 * @param options.maxSizes most block sizes that are read.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`.
 */
export function decodeUnixfs(
  bytes: Uint8Array,
  options: { readonly maxSizes: number },
): UnixfsData {
  const reader = new FieldReader(bytes);
  const blockSizes: number[] = [];
  const numbers = new Map<number, number>();
  let data: Uint8Array | undefined;
  while (!reader.done) {
    const tag = reader.varint();
    const field = Math.floor(tag / 8);
    const wireType = tag % 8;
    if (field === 2 && wireType === 2) data = reader.bytes();
    else if (field === 4 && wireType === 0) {
      if (blockSizes.length === options.maxSizes) {
        throw new AegisError('TOO_LARGE', `a node with more than ${options.maxSizes} block sizes`);
      }
      blockSizes.push(reader.varint());
    } else if (field === 4 && wireType === 2) throw bad('packed block sizes');
    else if ((field === 1 || field === 3 || field === 5 || field === 6) && wireType === 0) {
      numbers.set(field, reader.varint());
    } else reader.skip(wireType);
  }
  const type = numbers.get(1);
  if (type === undefined) throw bad('no type');
  const fileSize = numbers.get(3);
  const hashType = numbers.get(5);
  const fanout = numbers.get(6);
  return {
    type,
    blockSizes,
    ...(data === undefined ? {} : { data }),
    ...(fileSize === undefined ? {} : { fileSize }),
    ...(hashType === undefined ? {} : { hashType }),
    ...(fanout === undefined ? {} : { fanout }),
  };
}
