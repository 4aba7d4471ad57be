/**
 * CARv1 (ipld.io/specs/transport/car/carv1): a header with roots, then objects, each with its
 * length before it. A push parser that holds no more than one object; it does not check that bytes
 * fit their CID.
 */
import { CID } from 'multiformats/cid';
import { AegisError, isAegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import type { Block } from './block.ts';
import { LIMITS } from './limits.ts';

const CID_BYTES_MAX = 128;
/** 2^35 bytes are more than any limit. */
const LENGTH_BYTES_MAX = 5;
const NOTHING = new Uint8Array(0);

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
 * Large objects are put together as their pieces come, in memory of their own, so that the pieces
 * need not be kept and the object can be given away whole. An object that came in one piece shares
 * the memory of that piece: who keeps it longer copies it.
 */
export class CarDecoder {
  readonly #maxBlockBytes: number;
  #state: 'length' | 'header' | 'cid' | 'bytes' = 'length';
  #roots: readonly CID[] | undefined;
  #failed: AegisError | undefined;
  /** Bytes of the length that have come. */
  #lengthBytes = 0;
  /** What is left of the frame, without what `#part` holds. */
  #left = 0;
  /** The header, the beginning of a frame or an object, as far as it has come. */
  #part: Uint8Array = NOTHING;
  #filled = 0;
  #cid: CID | undefined;

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
    const blocks: Block[] = [];
    try {
      for (let rest = chunk; rest.length > 0; ) {
        if (this.#state === 'length') rest = this.#takeLength(rest);
        else if (this.#state === 'header') rest = this.#takeHeader(rest);
        else if (this.#state === 'cid') rest = this.#takeCid(rest, blocks);
        else rest = this.#takeBytes(rest, blocks);
      }
    } catch (error) {
      this.#failed = isAegisError(error) ? error : bad('unreadable', error);
      this.#part = NOTHING;
      throw this.#failed;
    }
    return blocks;
  }

  /** @throws {AegisError} `BAD_ENCODING` when the stream ended inside a frame. */
  end(): void {
    if (this.#failed !== undefined) throw this.#failed;
    const isInside = this.#state !== 'length' || this.#lengthBytes > 0;
    if (isInside || this.#roots === undefined) throw bad('cut short');
  }

  #takeLength(rest: Uint8Array): Uint8Array {
    for (let i = 0; i < rest.length; i += 1) {
      const byte = rest[i]!;
      this.#left += (byte & 127) * 128 ** this.#lengthBytes;
      this.#lengthBytes += 1;
      if (byte < 128) {
        this.#open();
        return rest.subarray(i + 1);
      }
      if (this.#lengthBytes === LENGTH_BYTES_MAX) throw bad('a length without end');
    }
    return NOTHING;
  }

  #open(): void {
    const isHeader = this.#roots === undefined;
    const limit = isHeader ? LIMITS.carHeaderBytes : this.#maxBlockBytes + CID_BYTES_MAX;
    const length = this.#left;
    if (length > limit) {
      throw new AegisError('TOO_LARGE', `a CAR frame of ${length} bytes, more than ${limit}`);
    }
    if (length === 0) throw bad('an empty frame');
    this.#lengthBytes = 0;
    this.#filled = 0;
    this.#state = isHeader ? 'header' : 'cid';
    this.#part = new Uint8Array(isHeader ? length : Math.min(length, CID_BYTES_MAX));
  }

  #takeHeader(rest: Uint8Array): Uint8Array {
    const after = this.#fill(rest);
    if (this.#filled < this.#part.length) return after;
    this.#roots = readHeader(this.#part);
    this.#close();
    return after;
  }

  /** Waits for as many bytes as a CID can have: how many it has stands in its first ones. */
  #takeCid(rest: Uint8Array, blocks: Block[]): Uint8Array {
    const after = this.#fill(rest);
    if (this.#filled < this.#part.length) return after;
    const { cid, bytes: begin } = readCid(this.#part);
    const length = this.#left + begin.length;
    if (length > this.#maxBlockBytes) {
      throw new AegisError('TOO_LARGE', `an object of ${length} bytes in a CAR`);
    }
    const isWhole = after.length >= this.#left;
    const before = rest.length - after.length;
    if (isWhole && before >= begin.length) {
      const from = before - begin.length;
      blocks.push({ cid, bytes: rest.subarray(from, from + length) });
      const next = after.subarray(this.#left);
      this.#close();
      return next;
    }
    this.#cid = cid;
    this.#part = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
    this.#part.set(begin);
    this.#filled = begin.length;
    this.#state = 'bytes';
    return isWhole ? this.#takeBytes(after, blocks) : after;
  }

  #takeBytes(rest: Uint8Array, blocks: Block[]): Uint8Array {
    const after = this.#fill(rest);
    if (this.#filled < this.#part.length) return after;
    blocks.push({ cid: this.#cid!, bytes: this.#part });
    this.#close();
    return after;
  }

  #fill(rest: Uint8Array): Uint8Array {
    const piece = rest.subarray(0, this.#part.length - this.#filled);
    this.#part.set(piece, this.#filled);
    this.#filled += piece.length;
    this.#left -= piece.length;
    return rest.subarray(piece.length);
  }

  #close(): void {
    this.#state = 'length';
    this.#left = 0;
    this.#cid = undefined;
    this.#part = NOTHING;
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
    if (!(root instanceof CID)) throw bad('a root is not a CID');
    return root;
  });
}

function readCid(begin: Uint8Array): { cid: CID; bytes: Uint8Array } {
  try {
    const [cid, bytes] = CID.decodeFirst(begin);
    return { cid, bytes };
  } catch (error) {
    throw bad('a frame without a CID', error);
  }
}
