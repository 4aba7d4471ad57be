/**
 * The replicated state under one root: a sparse Merkle tree over keys of 32 bytes. A subtree that
 * holds one leaf is that leaf, so a tree of n leaves is about log2(n) deep. It is persistent: an
 * update makes a new tree and shares what it did not touch, so that an undecided block costs what
 * it changes. It knows no refs, and keeps nothing on a disk.
 */
import { assert } from '../assert.ts';
import { sha256Latin1 } from '../crypto/hash.ts';
import type { StateReader } from '../ports.ts';
import type { RangeProof, StateProof } from './state-proof.ts';

/** Hashes are texts of 32 characters, one a byte: a third of the memory of arrays, and faster. */
type Hash = string;

interface Leaf {
  /** Hex. */
  readonly key: string;
  readonly value: Uint8Array;
  readonly hash: Hash;
}

interface Inner {
  readonly key: undefined;
  readonly left: Node | undefined;
  readonly right: Node | undefined;
  readonly hash: Hash;
  /** Bytes of all leaves below, keys and values: where a snapshot is cut. */
  readonly weight: number;
}

type Node = Leaf | Inner;

const weightOf = (node: Node | undefined): number => {
  if (node === undefined) return 0;
  return node.key === undefined ? node.weight : node.value.length + LEAF_OVERHEAD_BYTES;
};
/** Of a leaf in a message: its key, and what frames it. */
const LEAF_OVERHEAD_BYTES = 40;

/** One node of the tree as peers tell it to one another: the root of a subtree. */
export type TreeNode =
  | { readonly type: 'empty' }
  | { readonly type: 'leaf'; readonly key: string; readonly value: Uint8Array }
  /** Hashes of its halves; of an empty one, `EMPTY_HASH`. */
  | { readonly type: 'inner'; readonly left: Uint8Array; readonly right: Uint8Array };

/** A subtree, by the bits that lead to it, written as 0 and 1. */
export interface Subtree {
  readonly prefix: string;
  /** 32 bytes; what the node above holds for it. */
  readonly hash: Uint8Array;
}

export interface StateRow {
  /** Hex of 32 bytes. */
  readonly key: string;
  readonly value: Uint8Array;
}

export interface StateChange {
  readonly key: string;
  /** Undefined takes the key away. */
  readonly value: Uint8Array | undefined;
}

/** A leaf to be: a value that is new, or a leaf that stays as it is. */
type Item = { readonly key: string; readonly value: Uint8Array | undefined } | Leaf;

const KEY_PATTERN = /^[0-9a-f]{64}$/;
export const EMPTY_HASH: Hash = '\0'.repeat(32);
/** Domains, so that no leaf passes for a node and neither for anything else that is hashed. */
const LEAF_DOMAIN = 'aegis/state-leaf/1\0';
const NODE_DOMAIN = 'aegis/state-node/1\0';
const DOMAIN_BYTES = LEAF_DOMAIN.length;
/** What is hashed is put together here: buffers of their own took half of the time. */
const LEAF_INPUT = Buffer.alloc(DOMAIN_BYTES + 64, LEAF_DOMAIN, 'latin1');
const NODE_INPUT = Buffer.alloc(DOMAIN_BYTES + 64, NODE_DOMAIN, 'latin1');

/** Hash of a leaf: of its key and the hash of its value, so that a proof can hide the value. */
export function leafHash(key: string, valueHash: Hash): Hash {
  LEAF_INPUT.write(key, DOMAIN_BYTES, 32, 'hex');
  LEAF_INPUT.write(valueHash, DOMAIN_BYTES + 32, 32, 'latin1');
  return sha256Latin1(LEAF_INPUT);
}

export function nodeHash(left: Hash, right: Hash): Hash {
  NODE_INPUT.write(left, DOMAIN_BYTES, 32, 'latin1');
  NODE_INPUT.write(right, DOMAIN_BYTES + 32, 32, 'latin1');
  return sha256Latin1(NODE_INPUT);
}

/** Bit `depth` of a key in hex, first bit first. */
export function bitOf(key: string, depth: number): 0 | 1 {
  const code = key.charCodeAt(depth >> 2);
  const nibble = code < 58 ? code - 48 : code - 87;
  return ((nibble >> (3 - (depth & 3))) & 1) as 0 | 1;
}

const newLeaf = (key: string, value: Uint8Array): Leaf => ({
  key,
  value,
  hash: leafHash(key, sha256Latin1(value)),
});

/** Puts two subtrees together; a leaf that is alone moves up. */
function join(left: Node | undefined, right: Node | undefined): Node | undefined {
  if (left === undefined && (right === undefined || right.key !== undefined)) return right;
  if (right === undefined && left?.key !== undefined) return left;
  const hash = nodeHash(left?.hash ?? EMPTY_HASH, right?.hash ?? EMPTY_HASH);
  return { key: undefined, left, right, hash, weight: weightOf(left) + weightOf(right) };
}

/** The first of the items `from` to `to` whose bit is set. */
function splitAt(items: readonly Item[], from: number, to: number, depth: number): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bitOf(items[middle]!.key, depth) === 1) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The subtree of the items `from` to `to`, which are sorted and all have a value. */
function build(items: readonly Item[], from: number, to: number, depth: number): Node | undefined {
  if (from === to) return undefined;
  if (to - from === 1) {
    const item = items[from]!;
    return 'hash' in item ? item : newLeaf(item.key, item.value!);
  }
  const middle = splitAt(items, from, to, depth);
  const left = build(items, from, middle, depth + 1);
  return join(left, build(items, middle, to, depth + 1));
}

/** The subtree after the changes `from` to `to`, sorted by key. Each node is hashed once. */
function apply(
  node: Node | undefined,
  items: readonly Item[],
  from: number,
  to: number,
  depth: number,
): Node | undefined {
  if (from === to) return node;
  if (node === undefined || node.key !== undefined) {
    const kept = items.slice(from, to).filter(({ value }) => value !== undefined);
    if (node !== undefined && !has(items, from, to, node.key)) {
      const at = kept.findIndex(({ key }) => key > node.key);
      kept.splice(at === -1 ? kept.length : at, 0, node);
    }
    return build(kept, 0, kept.length, depth);
  }
  const middle = splitAt(items, from, to, depth);
  const left = apply(node.left, items, from, middle, depth + 1);
  const right = apply(node.right, items, middle, to, depth + 1);
  return left === node.left && right === node.right ? node : join(left, right);
}

const has = (items: readonly Item[], from: number, to: number, key: string): boolean => {
  for (let at = from; at < to; at += 1) if (items[at]!.key === key) return true;
  return false;
};

const byKey = (a: { readonly key: string }, b: { readonly key: string }): number =>
  a.key < b.key ? -1 : 1;

/** A subtree that has been built alone, of which `StateTree.assemble` makes a tree. */
export interface Part extends Subtree {
  readonly size: number;
  readonly top: unknown;
}

export class StateTree implements StateReader {
  static readonly empty = new StateTree(undefined, 0);

  readonly #top: Node | undefined;
  /** Leaves. */
  readonly size: number;

  private constructor(top: Node | undefined, size: number) {
    this.#top = top;
    this.size = size;
  }

  /** The tree of these rows, in any order; each key stands there once. */
  static of(rows: Iterable<StateRow>): StateTree {
    return StateTree.empty.update(rows);
  }

  /** The subtree of leaves, sorted by key, each once, whose keys begin with `prefix` (bits). */
  static part(prefix: string, rows: readonly StateRow[]): Part {
    const top = build(rows, 0, rows.length, prefix.length);
    return { prefix, hash: bytesOf(top?.hash ?? EMPTY_HASH), size: rows.length, top };
  }

  /** The tree of parts as `cut` makes them, in the order of their keys. */
  static assemble(parts: readonly Part[]): StateTree {
    const put = (some: readonly Part[], depth: number): Node | undefined => {
      const [only] = some;
      if (only === undefined) return undefined;
      if (some.length === 1 && only.prefix.length === depth) return only.top as Node | undefined;
      const middle = some.findIndex(({ prefix }) => prefix[depth] === '1');
      const at = middle === -1 ? some.length : middle;
      return join(put(some.slice(0, at), depth + 1), put(some.slice(at), depth + 1));
    };
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    return new StateTree(put(parts, 0), size);
  }

  /** The tree after all of the changes, each key of which stands there once. */
  update(changes: Iterable<StateChange>): StateTree {
    const items = [...changes].toSorted(byKey);
    let size = this.size;
    for (const [at, { key, value }] of items.entries()) {
      assert(KEY_PATTERN.test(key), 'a key of the state is hex of 32 bytes');
      assert(at === 0 || items[at - 1]!.key !== key, 'a key of the state changes once an update');
      const isThere = this.get(key) !== undefined;
      if (isThere !== (value !== undefined)) size += isThere ? -1 : 1;
    }
    return new StateTree(apply(this.#top, items, 0, items.length, 0), size);
  }

  get(key: string): Uint8Array | undefined {
    let node = this.#top;
    for (let depth = 0; node !== undefined && node.key === undefined; depth += 1) {
      node = bitOf(key, depth) === 0 ? node.left : node.right;
    }
    return node?.key === key ? node.value : undefined;
  }

  /** 32 bytes; zeros for the empty tree. */
  get root(): Uint8Array {
    return bytesOf(this.#top?.hash ?? EMPTY_HASH);
  }

  /** Bytes of all leaves, about as they travel. */
  get weight(): number {
    return weightOf(this.#top);
  }

  /** The same below the bits of `prefix`. */
  weightUnder(prefix: string): number {
    return weightOf(this.#find(prefix));
  }

  /** What stands where the bits of `prefix` lead. A leaf that is alone stands wherever those do. */
  node(prefix: string): TreeNode {
    const found = this.#find(prefix);
    if (found === undefined) return { type: 'empty' };
    if (found.key !== undefined) return { type: 'leaf', key: found.key, value: found.value };
    const [left, right] = [found.left?.hash ?? EMPTY_HASH, found.right?.hash ?? EMPTY_HASH];
    return { type: 'inner', left: bytesOf(left), right: bytesOf(right) };
  }

  /** The leaves below the bits of `prefix`, in the order of their keys. */
  leaves(prefix = ''): StateRow[] {
    const found = this.#find(prefix);
    const rows: StateRow[] = [];
    if (found !== undefined) gather(found, rows);
    return rows;
  }

  /**
   * Cuts the tree into subtrees of at most `bytesMax` (but for single leaves), none of them empty,
   * in the order of their keys. The same tree gives the same cuts.
   */
  cut(bytesMax: number): Subtree[] {
    const cuts: Subtree[] = [];
    const walk = (node: Node | undefined, prefix: string): void => {
      if (node === undefined) return;
      if (node.key !== undefined || node.weight <= bytesMax) {
        cuts.push({ prefix, hash: bytesOf(node.hash) });
        return;
      }
      walk(node.left, `${prefix}0`);
      walk(node.right, `${prefix}1`);
    };
    walk(this.#top, '');
    return cuts;
  }

  #find(prefix: string): Node | undefined {
    let node = this.#top;
    for (const bit of prefix) {
      if (node === undefined) return undefined;
      if (node.key !== undefined) return startsWith(node.key, prefix) ? node : undefined;
      node = bit === '0' ? node.left : node.right;
    }
    return node;
  }

  /** @returns undefined when more than `max` leaves begin with the tag (hex). */
  under(tag: string, max: number): StateRow[] | undefined {
    let node = this.#top;
    for (let depth = 0; depth < 4 * tag.length; depth += 1) {
      if (node === undefined) return [];
      if (node.key !== undefined) break;
      node = bitOf(tag, depth) === 0 ? node.left : node.right;
    }
    if (node?.key !== undefined && !node.key.startsWith(tag)) return [];
    const rows: StateRow[] = [];
    return node === undefined || gatherSome(node, rows, max) ? rows : undefined;
  }

  /**
   * What shows which leaves begin with a tag of 8 bytes (docs/proofs.md, claim `directory`).
   * @returns undefined when there are more than `max`.
   */
  proveUnder(tag: string, max: number): RangeProof | undefined {
    const siblings: Uint8Array[] = [];
    let node = this.#top;
    for (let depth = 0; depth < 4 * tag.length; depth += 1) {
      if (node === undefined || node.key !== undefined) break;
      const isLeft = bitOf(tag, depth) === 0;
      siblings.push(bytesOf((isLeft ? node.right : node.left)?.hash ?? EMPTY_HASH));
      node = isLeft ? node.left : node.right;
    }
    if (node?.key !== undefined && !node.key.startsWith(tag)) {
      const other = { key: node.key, valueHash: bytesOf(sha256Latin1(node.value)) };
      return { siblings, other, leaves: [] };
    }
    const leaves: StateRow[] = [];
    const fits = node === undefined || gatherSome(node, leaves, max);
    return fits ? { siblings, leaves } : undefined;
  }

  /** What shows that a key has its value, or that it is not there. */
  prove(key: string): StateProof {
    const siblings: Uint8Array[] = [];
    let node = this.#top;
    for (let depth = 0; node !== undefined && node.key === undefined; depth += 1) {
      const isLeft = bitOf(key, depth) === 0;
      const sibling = isLeft ? node.right : node.left;
      siblings.push(bytesOf(sibling?.hash ?? EMPTY_HASH));
      node = isLeft ? node.left : node.right;
    }
    if (node === undefined || node.key === key) return { siblings };
    return { siblings, other: { key: node.key, valueHash: bytesOf(sha256Latin1(node.value)) } };
  }
}

/** @param prefix bits, written as 0 and 1. */
export function startsWith(key: string, prefix: string): boolean {
  for (let depth = 0; depth < prefix.length; depth += 1) {
    if (bitOf(key, depth) !== Number(prefix[depth])) return false;
  }
  return true;
}

function gather(node: Node, rows: StateRow[]): void {
  if (node.key !== undefined) {
    rows.push({ key: node.key, value: node.value });
    return;
  }
  if (node.left !== undefined) gather(node.left, rows);
  if (node.right !== undefined) gather(node.right, rows);
}

/** @returns false when there are more. */
function gatherSome(node: Node, rows: StateRow[], max: number): boolean {
  if (node.key !== undefined) return rows.push({ key: node.key, value: node.value }) <= max;
  return (
    (node.left === undefined || gatherSome(node.left, rows, max)) &&
    (node.right === undefined || gatherSome(node.right, rows, max))
  );
}

const bytesOf = (hash: Hash): Uint8Array => new Uint8Array(Buffer.from(hash, 'latin1'));
