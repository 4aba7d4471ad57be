/**
 * Sharded directories (ipfs/specs, UNIXFS.md, "HAMT-sharded directories"): a trie by the first
 * 64 bits of murmur3-x64-128 of the name, eight bits a level, first byte first. When 64 bits are
 * used up, the hash of the name with the count of hashes appended goes on (as js does; kubo stops
 * there, and no directory that chance makes gets so far).
 */
import { murmur364 } from '@multiformats/murmur3';
import type { CID } from 'multiformats/cid';
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { LIMITS } from './limits.ts';

export interface Leaf {
  readonly name: string;
  readonly cid: CID;
  readonly tsize: number;
}

export interface Shard {
  /** By slot, in ascending order when iterated with `slotsOf`. */
  readonly slots: Map<number, Leaf | Shard>;
}

const BITS_PER_HASH = 64;

/** The bits of a name's hash, as many as are asked for. */
class HashBits {
  readonly #name: Uint8Array;
  #hash: Uint8Array;
  #count = 0;
  #used = 0;

  constructor(name: string) {
    this.#name = Buffer.from(name);
    this.#hash = murmur(this.#name);
  }

  /** The next `bits` bits, most significant first. */
  take(bits: number): number {
    let value = 0;
    for (let i = 0; i < bits; i += 1) {
      if (this.#used === BITS_PER_HASH) {
        this.#count += 1;
        this.#hash = murmur(Buffer.concat([this.#name, Uint8Array.of(this.#count)]));
        this.#used = 0;
      }
      const byte = this.#hash[this.#used >> 3]!;
      value = value * 2 + ((byte >> (7 - (this.#used & 7))) & 1);
      this.#used += 1;
    }
    return value;
  }
}

function murmur(bytes: Uint8Array): Uint8Array {
  const hash = murmur364.encode(bytes);
  assert(hash instanceof Uint8Array, 'murmur3 is synchronous');
  return hash;
}

interface Pending {
  readonly leaf: Leaf;
  readonly bits: HashBits;
}

/** Sorts entries into a trie with 256 slots a shard. */
export function shardOf(entries: readonly Leaf[]): Shard {
  return fill(
    entries.map((leaf) => ({ leaf, bits: new HashBits(leaf.name) })),
    1,
  );
}

function fill(entries: readonly Pending[], depth: number): Shard {
  if (depth > LIMITS.depth) {
    throw new AegisError('BAD_DATA', 'a directory whose names were chosen to collide');
  }
  const groups = new Map<number, Pending[]>();
  for (const entry of entries) {
    const slot = entry.bits.take(8);
    const group = groups.get(slot);
    if (group === undefined) groups.set(slot, [entry]);
    else group.push(entry);
  }
  const slots = new Map<number, Leaf | Shard>();
  for (const [slot, group] of [...groups].toSorted(([a], [b]) => a - b)) {
    slots.set(slot, group.length === 1 ? group[0]!.leaf : fill(group, depth + 1));
  }
  return { slots };
}
