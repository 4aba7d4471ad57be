/**
 * W40: where the leaves of the state lie that are not in memory. Buckets of the trees are read from
 * the rows when they are needed, checked by their hash, and forgotten again when others have been
 * used since. Of trees that are not the latest, what was there before is kept beside. It writes
 * nothing: the rows are those that the machine has persisted.
 */
import { AegisError } from '../errors.ts';
import type { Row, Rows } from '../ports.ts';
import { MIB } from '../units.ts';
import { TABLES } from './rows.ts';
import {
  assembleCold,
  type Bucket,
  build,
  type Node,
  type Plain,
  type Workshop,
} from './state-nodes.ts';

/**
 * Leaves of a bucket, at most. More cost less memory for each leaf, and more hashes for each read
 * that finds its bucket cold: about three for each of its leaves.
 */
export const BUCKET_LEAVES = 16;
/** Of buckets that are not cold, about as they lie in memory. */
const CACHE_BYTES = 32 * MIB;
/** What a leaf takes beside its value, with what leads to it. */
const LEAF_BYTES = 512;
/** What a branch or a bucket takes: what is made anew is there twice while the old tree is. */
const NODE_BYTES = 200;
/** Rows that are read in one piece. */
const PAGE_ROWS = 1024;
const KEY_DIGITS = 64;

export interface StateStoreOptions {
  /** @default 32 MiB */
  readonly cacheBytes?: number | undefined;
  /** @default 16 */
  readonly bucketLeaves?: number | undefined;
}

/** A leaf as it was before; undefined: it was not there. */
export interface Undone {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** What a change of the rows has taken away, in little memory. */
class Undo {
  /** All keys, in their order, without anything between them. */
  readonly #keys: string;
  /** Where each value ends. */
  readonly #ends: Uint32Array;
  readonly #isThere: Uint8Array;
  readonly #bytes: Uint8Array;

  constructor(leaves: readonly Undone[]) {
    const sorted = leaves.toSorted((a, b) => (a.key < b.key ? -1 : 1));
    this.#keys = sorted.map(({ key }) => key).join('');
    this.#ends = new Uint32Array(sorted.length);
    this.#isThere = new Uint8Array(sorted.length);
    this.#bytes = new Uint8Array(sorted.reduce((sum, { value }) => sum + (value?.length ?? 0), 0));
    let end = 0;
    for (const [n, { value }] of sorted.entries()) {
      if (value !== undefined) {
        this.#bytes.set(value, end);
        this.#isThere[n] = 1;
        end += value.length;
      }
      this.#ends[n] = end;
    }
  }

  get sizeBytes(): number {
    return this.#keys.length + this.#bytes.length + 5 * this.#ends.length;
  }

  /** Those of the keys from `from` and before `to`. */
  *between(from: string, to: string): Generator<Undone> {
    for (let n = this.#first(from); n < this.#ends.length; n += 1) {
      const key = this.#key(n);
      if (key >= to) return;
      const start = n === 0 ? 0 : this.#ends[n - 1];
      const value = this.#isThere[n] === 1 ? this.#bytes.slice(start, this.#ends[n]) : undefined;
      yield { key, value };
    }
  }

  #key(n: number): string {
    return this.#keys.slice(n * KEY_DIGITS, (n + 1) * KEY_DIGITS);
  }

  #first(from: string): number {
    let [low, high] = [0, this.#ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#key(middle) < from) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * From one state of the rows to the next. Whoever holds an older one holds all that came after it,
 * and so what it needs; nobody holds one that no tree is of.
 */
export class Epoch {
  /** Bytes of all that was replaced before. */
  readonly at: number;
  #undo: Undo | undefined;
  #next: Epoch | undefined;

  constructor(at: number) {
    this.at = at;
  }

  /** @param nodes that were made for the tree after it. */
  end(undone: readonly Undone[], nodes: number): Epoch {
    this.#undo = new Undo(undone);
    this.#next = new Epoch(this.at + this.#undo.sizeBytes + nodes * NODE_BYTES);
    return this.#next;
  }

  /** What must be done to the rows, in this order, to have them as they were. */
  undos(): Undo[] {
    const all: Undo[] = [];
    for (let [undo, next] = [this.#undo, this.#next]; next !== undefined; ) {
      all.push(undo!);
      [undo, next] = [next.#undo, next.#next];
    }
    return all.toReversed();
  }
}

export class StateStore {
  readonly bucketLeaves: number;
  readonly #rows: Rows;
  readonly #cacheBytesMax: number;
  /** Buckets of which the rows have the leaves, the least lately used first; each its bytes. */
  readonly #warm = new Map<Bucket, number>();
  #warmBytes = 0;
  /** Buckets of which the rows will have the leaves when the present step is over. */
  #written: Bucket[] = [];
  #epoch = new Epoch(0);

  constructor(
    rows: Rows,
    { cacheBytes = CACHE_BYTES, bucketLeaves = BUCKET_LEAVES }: StateStoreOptions = {},
  ) {
    this.#rows = rows;
    this.#cacheBytesMax = cacheBytes;
    this.bucketLeaves = bucketLeaves;
  }

  /** Of the rows as they are, or will be when the present step is over. */
  get epoch(): Epoch {
    return this.#epoch;
  }

  /** The tree of the rows: each is read once, and none is kept. */
  top(): Node | undefined {
    return assembleCold(this.#all(), this.bucketLeaves);
  }

  /** At the start of a step: what was persisted in the steps before is in the rows. */
  begin(): void {
    if (this.#written.length === 0) return;
    for (const bucket of this.#written) this.#keep(bucket);
    this.#written = [];
    this.#shrink();
  }

  /**
   * The rows change with the present step.
   * @param undone each key that changes, as it was.
   * @param made buckets whose leaves they will have then.
   * @param branches that were made above them.
   */
  advance(undone: readonly Undone[], made: readonly Bucket[], branches: number): Epoch {
    for (const bucket of made) this.#written.push(bucket);
    this.#epoch = this.#epoch.end(undone, made.length + branches);
    return this.#epoch;
  }

  /**
   * What is in a bucket of a tree of this epoch.
   * @throws {AegisError} `STORE_DAMAGED` when the rows do not have it.
   */
  open(epoch: Epoch, bucket: Bucket, key: string, depth: number): Plain {
    const bytes = this.#warm.get(bucket);
    if (bytes !== undefined) {
      this.#warm.delete(bucket);
      this.#warm.set(bucket, bytes);
    }
    if (bucket.plain !== undefined) return bucket.plain;
    const plain = this.#read(epoch, bucket, key, depth);
    bucket.plain = plain;
    this.#keep(bucket);
    this.#shrink();
    return plain;
  }

  #keep(bucket: Bucket): void {
    if (bucket.plain === undefined || this.#warm.has(bucket)) return;
    const bytes = bucket.weight + bucket.size * LEAF_BYTES;
    this.#warm.set(bucket, bytes);
    this.#warmBytes += bytes;
  }

  #shrink(): void {
    if (this.#warmBytes <= this.#cacheBytesMax) return;
    for (const [bucket, bytes] of this.#warm) {
      bucket.plain = undefined;
      this.#warm.delete(bucket);
      this.#warmBytes -= bytes;
      if (this.#warmBytes <= this.#cacheBytesMax) return;
    }
  }

  #read(epoch: Epoch, bucket: Bucket, key: string, depth: number): Plain {
    const leaves = this.#leaves(epoch, key, depth, bucket.size);
    const plain = leaves.length === bucket.size && plainOf(packed(leaves), depth);
    if (plain && plain.hash === bucket.hash) return plain;
    throw new AegisError('STORE_DAMAGED', 'leaves of the state on this disk are damaged', {
      hint: 'Take the home from a backup, or make a new node; the others have the chain.',
    });
  }

  /** Those that begin with the first bits of a key, in their order. */
  #leaves(epoch: Epoch, key: string, depth: number, expected: number): readonly Row[] {
    const { from, to } = spanOf(key, depth);
    const query = { table: TABLES.state, from, to };
    const undos = epoch.undos();
    // One more than there should be.
    if (undos.length === 0) return this.#rows.range({ ...query, limit: expected + 1 });
    const leaves = new Map<string, Uint8Array>();
    for (const row of this.#pages(from, to)) leaves.set(row.key, row.value);
    for (const undo of undos) {
      for (const { key: one, value } of undo.between(from, to)) {
        if (value === undefined) leaves.delete(one);
        else leaves.set(one, value);
      }
    }
    const rows = [...leaves].map(([one, value]) => ({ key: one, value }));
    return rows.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }

  #all(): Generator<Row> {
    const { from, to } = spanOf('', 0);
    return this.#pages(from, to);
  }

  *#pages(first: string, to: string): Generator<Row> {
    let from = first;
    for (;;) {
      const page = this.#rows.range({ table: TABLES.state, from, to, limit: PAGE_ROWS });
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE_ROWS) return;
      from = `${last.key}\0`;
    }
  }
}

/** The keys that begin with the first `depth` bits of one, as a range. */
function spanOf(key: string, depth: number): { readonly from: string; readonly to: string } {
  const digits = key.slice(0, depth >> 2);
  const rest = depth & 3;
  // After the last key there is nothing that begins alike.
  const span = (low: string, high: string) => ({
    from: (digits + low).padEnd(KEY_DIGITS, '0'),
    to: `${(digits + high).padEnd(KEY_DIGITS, 'f')}~`,
  });
  if (rest === 0) return span('', '');
  const free = 0xf >> rest;
  const digit = Number.parseInt(key[depth >> 2]!, 16);
  return span((digit & ~free & 0xf).toString(16), (digit | free).toString(16));
}

const PLAIN_SHOP: Workshop = {
  bucketLeaves: Number.POSITIVE_INFINITY,
  open: (bucket) => bucket.plain!,
  made: () => undefined,
  replaced: () => undefined,
  branches: 0,
};

/** The same in one piece of memory: each of its own costs more than a value has bytes. */
function packed(leaves: readonly Row[]): Row[] {
  const bytes = new Uint8Array(leaves.reduce((sum, { value }) => sum + value.length, 0));
  let at = 0;
  return leaves.map(({ key, value }) => {
    const from = at;
    bytes.set(value, from);
    at += value.length;
    return { key, value: bytes.subarray(from, at) };
  });
}

/** The subtree of leaves in their order, without buckets. */
const plainOf = (leaves: readonly Row[], depth: number): Plain | undefined =>
  build(PLAIN_SHOP, leaves, 0, leaves.length, depth);
