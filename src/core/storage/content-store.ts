/**
 * The objects of the knowledge base, in `content.db`, named by the hash of their bytes. A worker
 * hashes, checks, writes and reads, so that the loop of the node waits for none of it. This store
 * does not know replicas or who may read; two CIDs with one multihash are one object.
 */
import { CID } from 'multiformats/cid';
import { decode as decodeDigest } from 'multiformats/hashes/digest';
import type { LeafKeys } from '../crypto/sealed-leaf.ts';
import { AegisError, hasCode } from '../errors.ts';
import { KIB, MIB } from '../units.ts';
import { ByteGate } from './byte-gate.ts';
import { Collection } from './collection.ts';
import { ContentLease, type LeaseOptions } from './content-lease.ts';
import type { OpenOptions } from './database.ts';
import { Link, type StoreDependencies } from './link.ts';
import { packKeys, unpackKeys } from './multihash.ts';
import type {
  ContentLimits,
  ContentOperations,
  ContentSpace,
  PinRow,
  RootRow,
  ScrubState,
  Totals,
} from './protocol.ts';
import { ownsBuffer } from './service.ts';
import { YoungMemory } from './young-memory.ts';

export interface Block {
  readonly cid: CID;
  readonly bytes: Uint8Array;
}

export interface Root {
  readonly cid: CID;
  /** Whether every object below it is in the store. */
  readonly complete: boolean;
  /** Bytes of content below it. */
  readonly sizeBytes: number;
}

export interface Scrubbed {
  readonly bytes: number;
  /** Damaged objects, named as raw ones, whatever they are: whoever has one sends its bytes. */
  readonly damaged: readonly CID[];
  readonly isDone: boolean;
}

/** W32 */
export type Pin = Omit<PinRow, 'cid'> & { readonly cid: CID };

export interface ReadOptions {
  /** Hash again what is read; a damaged object is set aside and refused. @default false */
  readonly verify?: boolean;
}

export interface PutOptions {
  /** Refuse bytes that are not what their CID says. */
  readonly verify: boolean;
  /**
   * Give the memory away: the caller's arrays become empty, also when the call fails. Saves a copy
   * of arrays that fill their memory (views are copied). @default false
   */
  readonly transfer?: boolean;
}

/** Multicodec of raw leaves. */
const RAW_CODEC = 0x55;
/** Content that one `getMany` may answer; `stream` is for more. */
export const GET_MANY_BYTES_MAX = 64 * MIB;
/** One portion from the worker. */
const PORTION_BYTES = 4 * MIB;
/** Arrays below this size travel together in one piece of memory. */
const PACK_BYTES_MAX = 64 * KIB;
const DELETE_BATCH_LENGTH = 256;
/** Keys of one question. */
const KEYS_LENGTH_MAX = 4096;

export class ContentStore {
  readonly #link: Link<ContentOperations>;
  readonly #gate = new ByteGate();
  readonly #young = new YoungMemory();
  #lastLease = 0;

  private constructor(link: Link<ContentOperations>) {
    this.#link = link;
  }

  /** @throws {AegisError} `STORE_DAMAGED`, `HOME_TOO_NEW`, `DISK_FULL`, `DENIED`. */
  static async open(
    path: string,
    dependencies: StoreDependencies,
    options: OpenOptions = {},
  ): Promise<ContentStore> {
    return new ContentStore(await Link.open('content', path, dependencies, options));
  }

  /** Bytes given to `put` and `addLeaves` that are not durable yet. */
  get loadBytes(): number {
    return this.#gate.loadBytes;
  }

  /**
   * Stores all blocks or none; durable when it resolves. Keep a few calls in flight, not all: what
   * waits is held in memory.
   * @throws {AegisError} `BAD_HASH` naming the CID; `DISK_FULL`; `BUSY`; `BAD_DATA`.
   */
  async put(blocks: readonly Block[], options: PutOptions, lease?: number): Promise<void> {
    if (blocks.length === 0) return;
    const keys = keysOf(blocks.map(({ cid }) => cid));
    const bytes = blocks.map((block) => block.bytes);
    const sizeBytes = sum(bytes);
    this.#young.passed(sizeBytes);
    try {
      await this.#gate.pass(sizeBytes, () => {
        const { arrays, transfer } = pack(bytes, options.transfer ?? false);
        const args = { keys, blobs: arrays, verify: options.verify, lease };
        return this.#link.call('put', args, transfer);
      });
    } catch (error) {
      throw named(
        error,
        blocks.map(({ cid }) => cid),
      );
    }
  }

  /**
   * Hashes and stores chunks of a file as raw leaves. Takes their memory; durable at the end.
   * @param seal with which they are sealed before (W43).
   */
  async addLeaves(
    chunks: Uint8Array[],
    hash: 'blake3' | 'sha2-256',
    seal?: LeafKeys,
    lease?: number,
  ): Promise<CID[]> {
    if (chunks.length === 0) return [];
    const sizeBytes = sum(chunks);
    this.#young.passed(sizeBytes);
    const keys = await this.#gate.pass(sizeBytes, () => {
      const { arrays, transfer } = pack(chunks, true);
      return this.#link.call('addLeaves', { chunks: arrays, hash, seal, lease }, transfer);
    });
    return unpackKeys(keys).map((multihash) => CID.createV1(RAW_CODEC, decodeDigest(multihash)));
  }

  /** @throws {AegisError} `BAD_HASH` naming the CID, once the damaged row is set aside. */
  async get(cid: CID, options: ReadOptions = {}): Promise<Uint8Array | undefined> {
    const [bytes] = await this.#portion([cid], options, undefined);
    return bytes;
  }

  /** In the order of `cids`. @throws {AegisError} `TOO_LARGE`; as `get`. */
  async getMany(
    cids: readonly CID[],
    options: ReadOptions = {},
    lease?: number,
  ): Promise<(Uint8Array | undefined)[]> {
    const found: (Uint8Array | undefined)[] = [];
    let sizeBytes = 0;
    while (found.length < cids.length) {
      const portion = await this.#portion(cids.slice(found.length), options, lease);
      sizeBytes += sum(portion);
      if (sizeBytes > GET_MANY_BYTES_MAX) {
        const limit = `${GET_MANY_BYTES_MAX} bytes`;
        throw new AegisError('TOO_LARGE', `the objects have more than ${limit} together`);
      }
      found.push(...portion);
    }
    return found;
  }

  /**
   * The objects in the order of `cids`, missing ones with undefined bytes. Reads one portion ahead
   * of the consumer, so it holds about 8 MiB (or two objects) whatever the length of the list.
   */
  async *stream(
    cids: readonly CID[],
    options: ReadOptions = {},
  ): AsyncGenerator<{ cid: CID; bytes: Uint8Array | undefined }, void, undefined> {
    let next = cids.length === 0 ? undefined : this.#portion(cids, options, undefined);
    for (let at = 0; next !== undefined; ) {
      const portion = await next;
      const from = at;
      at += portion.length;
      next = at < cids.length ? this.#portion(cids.slice(at), options, undefined) : undefined;
      // Whoever leaves early does not wait for what was read ahead, and neither does its failure.
      next?.catch(() => undefined);
      for (const [index, bytes] of portion.entries()) {
        yield { cid: cids[from + index] as CID, bytes };
      }
    }
  }

  async has(cids: readonly CID[], lease?: number): Promise<boolean[]> {
    const found: boolean[] = [];
    // In portions, so that a long list does not hold up the reads and writes of others.
    for (let at = 0; at < cids.length; at += KEYS_LENGTH_MAX) {
      const keys = keysOf(cids.slice(at, at + KEYS_LENGTH_MAX));
      found.push(...(await this.#link.call('has', { keys, lease })));
    }
    return found;
  }

  /** Remembers a root, or changes what is known of it. Durable when it resolves. */
  async setRoot(
    cid: CID,
    { complete, sizeBytes }: { complete: boolean; sizeBytes: number },
    lease?: number,
  ): Promise<void> {
    await this.setRoots([{ cid, complete, sizeBytes }], lease);
  }

  /** Many at once: a question each would cost more than what it asks. */
  async setRoots(
    known: readonly { readonly cid: CID; readonly complete: boolean; readonly sizeBytes: number }[],
    lease?: number,
  ): Promise<void> {
    const roots = known.map(({ cid, ...rest }) => ({ ...rest, cid: cid.bytes }));
    await this.#link.call('setRoots', { roots, lease });
  }

  /** For whoever is about to write, or to count on what is here: see `ContentLease`. */
  lease({ root, isBound }: LeaseOptions): ContentLease {
    this.#lastLease += 1;
    const id = this.#lastLease;
    // Questions are taken in order. A store that is closed says so at the first write.
    const say = <T>(said: Promise<T>): void => void said.catch(() => undefined);
    say(this.#link.call('lease', { lease: id, root: root?.bytes, isBound }));
    return new ContentLease(this, id, () => say(this.#link.call('release', id)));
  }

  /** @throws {AegisError} `BUSY` when a collection is under way. */
  async collect(): Promise<Collection> {
    return await Collection.begin(this.#link);
  }

  /** W28: from now on. */
  async limit(limits: ContentLimits): Promise<void> {
    await this.#link.call('limit', limits);
  }

  async space(): Promise<ContentSpace> {
    return await this.#link.call('space', undefined);
  }

  /** W32. Durable when it resolves. */
  async setPin({ cid, ...pin }: Pin): Promise<void> {
    await this.#link.call('setPin', { ...pin, cid: cid.bytes });
  }

  /** @returns whether it was there. */
  async removePin(cid: CID): Promise<boolean> {
    return await this.#link.call('removePin', cid.bytes);
  }

  async pin(cid: CID): Promise<Pin | undefined> {
    const row = await this.#link.call('pin', cid.bytes);
    return row === undefined ? undefined : asPin(row);
  }

  /** In the order of their CIDs. */
  async pins(after: CID | undefined, limit: number): Promise<Pin[]> {
    const from = after?.bytes ?? new Uint8Array();
    return (await this.#link.call('pins', { after: from, limit })).map(asPin);
  }

  async root(cid: CID): Promise<Root | undefined> {
    const row = await this.#link.call('root', cid.bytes);
    return row === undefined ? undefined : asRoot(row);
  }

  /** Which of the roots are complete here; a page of them at a time. */
  async areComplete(cids: readonly CID[]): Promise<boolean[]> {
    const keys = cids.map(({ bytes }) => bytes);
    return await this.#link.call('areComplete', keys);
  }

  /** Of the file: another one, though at the same place, has another. */
  async identity(): Promise<string> {
    return await this.#link.call('identity', undefined);
  }

  /** Forgets objects and gives their room back to the file system. */
  async delete(cids: readonly CID[]): Promise<void> {
    for (let at = 0; at < cids.length; at += DELETE_BATCH_LENGTH) {
      const batch = cids.slice(at, at + DELETE_BATCH_LENGTH);
      await this.#link.call('delete', keysOf(batch));
    }
  }

  /** W27: looks at the next objects, about so many bytes; what is damaged is set aside. */
  async scrub(bytesMax: number): Promise<Scrubbed> {
    const { damaged, ...rest } = await this.#link.call('scrub', { bytesMax });
    const objects = unpackKeys(damaged).map((key) => CID.createV1(RAW_CODEC, decodeDigest(key)));
    return { ...rest, damaged: objects };
  }

  async scrubState(): Promise<ScrubState> {
    return await this.#link.call('scrubState', undefined);
  }

  async restartScrub(): Promise<void> {
    await this.#link.call('restartScrub', undefined);
  }

  /** W46: destroys objects, and refuses them from now on. Durable when it resolves. */
  async shred(cids: readonly CID[]): Promise<void> {
    await this.#link.call('shred', keysOf(cids));
  }

  /** Sealed roots here that link to this object. */
  async *sealedRoots(object: CID): AsyncGenerator<CID> {
    let after: Uint8Array | undefined;
    do {
      const args = { object: object.bytes, after, limit: KEYS_LENGTH_MAX };
      const { roots, next } = await this.#link.call('sealedRoots', args);
      for (const root of roots) yield CID.decode(root);
      after = next;
    } while (after !== undefined);
  }

  async stat(): Promise<Totals> {
    return await this.#link.call('stat', undefined);
  }

  async close(): Promise<void> {
    await this.#link.close();
  }

  async #portion(
    cids: readonly CID[],
    { verify = false }: ReadOptions,
    lease: number | undefined,
  ): Promise<(Uint8Array | undefined)[]> {
    const asked = cids.slice(0, KEYS_LENGTH_MAX);
    try {
      const keys = keysOf(asked);
      const args = { keys, verify, bytesMax: PORTION_BYTES, lease };
      const found = await this.#link.call('getMany', args);
      this.#young.passed(sum(found));
      return found;
    } catch (error) {
      throw named(error, asked);
    }
  }
}

const keysOf = (cids: readonly CID[]): Uint8Array =>
  packKeys(cids.map(({ multihash }) => multihash.bytes));

const asRoot = ({ cid, complete, sizeBytes }: RootRow): Root => ({
  cid: CID.decode(cid),
  complete,
  sizeBytes,
});

const asPin = ({ cid, ...pin }: PinRow): Pin => ({ ...pin, cid: CID.decode(cid) });

const sum = (arrays: readonly (Uint8Array | undefined)[]): number =>
  arrays.reduce((total, array) => total + (array?.length ?? 0), 0);

const indexOf = (error: unknown): number | undefined =>
  hasCode(error, 'BAD_HASH') ? (error.details['index'] as number) : undefined;

/** Says which object was meant: the workers know positions, people know CIDs. */
function named(error: unknown, cids: readonly CID[]): unknown {
  const index = indexOf(error);
  if (index === undefined) return error;
  const cid = String(cids[index]);
  const message = `the bytes of ${cid} do not match their name`;
  return new AegisError('BAD_HASH', message, { cause: error, details: { cid } });
}

/**
 * Arrays that can move to another thread. Small ones are copied into one piece; large ones move as
 * they are if `give` allows and they own their memory, and are copied otherwise.
 */
function pack(
  bytes: readonly Uint8Array[],
  give: boolean,
): { arrays: Uint8Array[]; transfer: ArrayBuffer[] } {
  const small = bytes.filter((array) => array.length < PACK_BYTES_MAX);
  const packed = new Uint8Array(sum(small));
  const transfer: ArrayBuffer[] = packed.length > 0 ? [packed.buffer] : [];
  let at = 0;
  const arrays = bytes.map((array) => {
    if (array.length < PACK_BYTES_MAX) {
      packed.set(array, at);
      at += array.length;
      return packed.subarray(at - array.length, at);
    }
    const own = give && ownsBuffer(array) ? array : new Uint8Array(array);
    transfer.push(own.buffer);
    return own;
  });
  return { arrays, transfer: [...new Set(transfer)] };
}
