/**
 * CARv1 (ipld.io/specs/transport/car/carv1): a header with roots, then objects, each with its
 * length before it. A push parser that copies only objects that came in several chunks; it does
 * not check that bytes fit their CID.
 */
import { CID } from 'multiformats/cid';
import { AegisError, isAegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import type { Block } from './block.ts';
import { LIMITS } from './limits.ts';

const CID_BYTES_MAX = 128;

function varint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  while (rest >= 128) {
    out.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
  return Uint8Array.from(out);
}

export function encodeCarHeader(roots: readonly CID[]): Uint8Array {
  const header = encode({ version: 1, roots });
  return Buffer.concat([varint(header.length), header]);
}

/** The chunks of one object: length and CID, then the bytes themselves, not copied. */
export function encodeCarBlock(block: Block): Uint8Array[] {
  const name = block.cid.bytes;
  const head = Buffer.concat([varint(name.length + block.bytes.length), name]);
  return block.bytes.length === 0 ? [head] : [head, block.bytes];
}

export interface CarOptions {
  /** Longest object. @default 4 MiB */
  readonly maxBlockBytes?: number;
}

/**
 * Objects that come out may share memory with the chunks that went in: who keeps them longer than
 * the chunks copies them.
 */
export class CarDecoder {
  readonly #maxBlockBytes: number;
  readonly #chunks: Uint8Array[] = [];
  #have = 0;
  #roots: readonly CID[] | undefined;
  #failed: AegisError | undefined;

  constructor(options: CarOptions = {}) {
    this.#maxBlockBytes = options.maxBlockBytes ?? LIMITS.blockBytes;
  }

  /** The roots of the header; undefined until it has come. */
  get roots(): readonly CID[] | undefined {
    return this.#roots;
  }

  /**
   * @returns the objects that are complete now.
   * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`; the same again on any later call.
   */
  push(chunk: Uint8Array): Block[] {
    if (this.#failed !== undefined) throw this.#failed;
    if (chunk.length > 0) this.#chunks.push(chunk);
    this.#have += chunk.length;
    const blocks: Block[] = [];
    try {
      for (let frame = this.#frame(); frame !== undefined; frame = this.#frame()) {
        if (this.#roots === undefined) this.#roots = readHeader(frame);
        else blocks.push(readBlock(frame, this.#maxBlockBytes));
      }
    } catch (error) {
      this.#failed = isAegisError(error) ? error : bad('unreadable', error);
      this.#chunks.length = 0;
      throw this.#failed;
    }
    return blocks;
  }

  /** @throws {AegisError} `BAD_ENCODING` when the stream ended inside a frame. */
  end(): void {
    if (this.#failed !== undefined) throw this.#failed;
    if (this.#have > 0 || this.#roots === undefined) throw bad('cut short');
  }

  #frame(): Uint8Array | undefined {
    const isHeader = this.#roots === undefined;
    const limit = isHeader ? LIMITS.carHeaderBytes : this.#maxBlockBytes + CID_BYTES_MAX;
    const head = this.#peekLength();
    if (head === undefined) return undefined;
    if (head.length > limit) {
      throw new AegisError('TOO_LARGE', `a CAR frame of ${head.length} bytes, more than ${limit}`);
    }
    if (head.length === 0) throw bad('an empty frame');
    if (this.#have < head.size + head.length) return undefined;
    this.#take(head.size);
    return this.#take(head.length);
  }

  /** The length that stands next, and the bytes that it takes itself. */
  #peekLength(): { length: number; size: number } | undefined {
    let length = 0;
    let scale = 1;
    let size = 0;
    for (const chunk of this.#chunks) {
      for (let i = 0; i < chunk.length; i += 1) {
        const byte = chunk[i]!;
        length += (byte & 127) * scale;
        scale *= 128;
        size += 1;
        if (byte < 128) return { length, size };
        if (size === 5) throw bad('a length without end');
      }
    }
    return undefined;
  }

  #take(count: number): Uint8Array {
    this.#have -= count;
    const first = this.#chunks[0]!;
    if (first.length >= count) {
      if (first.length === count) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(count);
      return first.subarray(0, count);
    }
    const out = new Uint8Array(count);
    let filled = 0;
    let used = 0;
    while (filled < count) {
      const chunk = this.#chunks[used]!;
      const part = Math.min(chunk.length, count - filled);
      out.set(chunk.subarray(0, part), filled);
      filled += part;
      if (part === chunk.length) used += 1;
      else this.#chunks[used] = chunk.subarray(part);
    }
    this.#chunks.splice(0, used);
    return out;
  }
}

const bad = (why: string, cause?: unknown): AegisError =>
  new AegisError('BAD_ENCODING', `not a CAR: ${why}`, { cause });

function readHeader(frame: Uint8Array): readonly CID[] {
  const header = decode(frame, { maxBytes: LIMITS.carHeaderBytes });
  if (typeof header !== 'object' || header === null) throw bad('the header is not a map');
  const { version, roots } = header as { version?: unknown; roots?: unknown };
  if (version !== 1) throw bad('the header names no version that is known');
  if (!Array.isArray(roots)) throw bad('the header names no roots');
  return roots.map((root) => {
    const cid = CID.asCID(root);
    if (cid === null) throw bad('a root is not a CID');
    return cid;
  });
}

function readBlock(frame: Uint8Array, maxBlockBytes: number): Block {
  let cid: CID;
  let bytes: Uint8Array;
  try {
    [cid, bytes] = CID.decodeFirst(frame);
  } catch (error) {
    throw bad('a frame without a CID', error);
  }
  if (bytes.length > maxBlockBytes) {
    throw new AegisError('TOO_LARGE', `an object of ${bytes.length} bytes in a CAR`);
  }
  return { cid, bytes };
}
