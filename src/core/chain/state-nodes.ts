/**
 * The nodes of the tree of the state and how they are put together. A subtree of few leaves is a
 * bucket, which may be cold: then it is known by its hash and its sums only (W40). Where there is
 * but one way to go, as above each directory, all of it is one node. None of this shows in hashes.
 */
import { assert } from '../assert.ts';
import { sha256Latin1 } from '../crypto/hash.ts';
import {
  bitOf,
  bitsOf,
  chainHash,
  EMPTY_HASH,
  type Hash,
  leafHash,
  matchedBits,
  nodeHash,
  sharedBits,
} from './state-hash.ts';

export interface Leaf {
  readonly kind: 'leaf';
  /** Hex. */
  readonly key: string;
  readonly value: Uint8Array;
  readonly hash: Hash;
}

interface Sums {
  readonly hash: Hash;
  /** Bytes of all leaves below, keys and values: where a snapshot is cut. */
  readonly weight: number;
  /** Leaves. */
  readonly size: number;
}

export interface Branch extends Sums {
  readonly kind: 'branch';
  readonly left: Node;
  readonly right: Node;
}

/** Where these bits lead is a branch, and on the way there is nothing else. */
export interface Chain extends Sums {
  readonly kind: 'chain';
  readonly bits: string;
  readonly below: Branch;
}

export interface Bucket extends Sums {
  readonly kind: 'bucket';
  /** Undefined: it is cold, and lies in the table of the state. */
  plain: Plain | undefined;
}

/** What is in a bucket; none of it is a bucket. */
export type Plain = Leaf | Branch | Chain;
export type Node = Plain | Bucket;

/** A leaf to be: a value that is new, or a leaf that stays as it is. */
export type Item =
  | { readonly kind?: undefined; readonly key: string; readonly value: Uint8Array | undefined }
  | Leaf;

/** In what nodes are made. */
export interface Workshop {
  /** Subtrees of more leaves are no buckets. */
  readonly bucketLeaves: number;
  /** What is in a bucket at `depth`, to which the bits of `key` lead. */
  open(bucket: Bucket, key: string, depth: number): Plain;
  /** Hears of each bucket that is made. */
  made(bucket: Bucket): void;
  /** A leaf that stands there no more, or with another value. */
  replaced(leaf: Leaf): void;
  /** Counts the branches above buckets that were made. */
  branches: number;
}

/** Of a leaf in a message: its key, and what frames it. */
const LEAF_OVERHEAD_BYTES = 40;

export const weightOf = (node: Node | undefined): number => {
  if (node === undefined) return 0;
  return node.kind === 'leaf' ? node.value.length + LEAF_OVERHEAD_BYTES : node.weight;
};

export const sizeOf = (node: Node | undefined): number => {
  if (node === undefined) return 0;
  return node.kind === 'leaf' ? 1 : node.size;
};

export const hashOf = (node: Node | undefined): Hash => node?.hash ?? EMPTY_HASH;

const newLeaf = (key: string, value: Uint8Array): Leaf => ({
  kind: 'leaf',
  key,
  value,
  hash: leafHash(key, sha256Latin1(value)),
});

function chain(bits: string, below: Branch, hash: Hash): Chain {
  const { weight, size } = below;
  return { kind: 'chain', bits, below, hash, weight, size };
}

const branch = (left: Node, right: Node): Branch => ({
  kind: 'branch',
  left,
  right,
  hash: nodeHash(left.hash, right.hash),
  weight: weightOf(left) + weightOf(right),
  size: sizeOf(left) + sizeOf(right),
});

/** The node to which `bits` lead, seen from above. A leaf that is alone stands there as well. */
function raise(node: Plain, bits: string): Plain {
  if (bits === '' || sizeOf(node) === 1) return node;
  const hash = chainHash(bits, node.hash);
  switch (node.kind) {
    case 'branch':
      return chain(bits, node, hash);
    case 'chain':
      return chain(bits + node.bits, node.below, hash);
    default:
      return node;
  }
}

/** What is left of a chain behind some of its bits. */
export function lower({ bits, below }: Chain, count: number): Branch | Chain {
  const rest = bits.slice(count);
  return rest === '' ? below : chain(rest, below, chainHash(rest, below.hash));
}

function seal(shop: Workshop, node: Node): Node {
  const [size, weight] = [sizeOf(node), weightOf(node)];
  if (node.kind === 'bucket' || size > shop.bucketLeaves) return node;
  const bucket: Bucket = { kind: 'bucket', hash: node.hash, weight, size, plain: node };
  shop.made(bucket);
  return bucket;
}

/** Of a whole tree. */
export const sealTop = (shop: Workshop, node: Node | undefined): Node | undefined =>
  node === undefined ? undefined : seal(shop, node);

/**
 * Puts two subtrees at `depth + 1` together. With few leaves it is no bucket yet: whoever puts it
 * into a larger one makes it that.
 * @param key whose bits lead there.
 */
export function join(
  shop: Workshop,
  key: string,
  depth: number,
  left: Node | undefined,
  right: Node | undefined,
): Plain | undefined {
  const plain = (node: Node, bit: 0 | 1): Plain =>
    node.kind === 'bucket' ? shop.open(node, withBit(key, depth, bit), depth + 1) : node;
  // What stands alone now is read where it was: around it there may be others in the rows.
  if (left === undefined) return right && raise(plain(right, 1), '1');
  if (right === undefined) return raise(plain(left, 0), '0');
  if (sizeOf(left) + sizeOf(right) > shop.bucketLeaves) {
    shop.branches += 1;
    return branch(seal(shop, left), seal(shop, right));
  }
  return branch(plain(left, 0), plain(right, 1));
}

/** A key with the bits of another up to `depth`, and this one there. */
function withBit(key: string, depth: number, bit: 0 | 1): string {
  const at = depth >> 2;
  const mask = 8 >> (depth & 3);
  const digit = Number.parseInt(key[at] ?? '0', 16);
  const changed = bit === 1 ? digit | mask : digit & ~mask;
  return key.slice(0, at) + changed.toString(16) + key.slice(at + 1);
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
export function build(
  shop: Workshop,
  items: readonly Item[],
  from: number,
  to: number,
  depth: number,
): Plain | undefined {
  if (from === to) return undefined;
  const first = items[from]!;
  if (to - from === 1) {
    return first.kind === 'leaf' ? first : newLeaf(first.key, first.value!);
  }
  const fork = depth + sharedBits(first.key, items[to - 1]!.key, depth);
  const middle = splitAt(items, from, to, fork);
  const left = build(shop, items, from, middle, fork + 1);
  const right = build(shop, items, middle, to, fork + 1);
  return raise(join(shop, first.key, fork, left, right)!, bitsOf(first.key, depth, fork));
}

/** The subtree after the changes `from` to `to`, sorted by key. Each node is hashed once. */
export function apply(
  shop: Workshop,
  node: Node | undefined,
  items: readonly Item[],
  from: number,
  to: number,
  depth: number,
): Node | undefined {
  if (from === to) return node;
  switch (node?.kind) {
    case 'bucket': {
      const plain = shop.open(node, items[from]!.key, depth);
      const next = apply(shop, plain, items, from, to, depth);
      return next === plain ? node : next;
    }
    case 'branch': {
      const middle = splitAt(items, from, to, depth);
      const left = apply(shop, node.left, items, from, middle, depth + 1);
      const right = apply(shop, node.right, items, middle, to, depth + 1);
      const isSame = left === node.left && right === node.right;
      return isSame ? node : join(shop, items[from]!.key, depth, left, right);
    }
    case 'chain':
      return applyToChain(shop, node, items, from, to, depth);
    default:
      return applyToLeaf(shop, node, items, from, to, depth);
  }
}

function applyToChain(
  shop: Workshop,
  node: Chain,
  items: readonly Item[],
  from: number,
  to: number,
  depth: number,
): Node | undefined {
  const { bits, below } = node;
  const [first, last] = [items[from]!.key, items[to - 1]!.key];
  // They are sorted: what the outermost share with the chain, all do.
  const shared = Math.min(matchedBits(bits, first, depth), matchedBits(bits, last, depth));
  const at = depth + shared;
  if (shared === bits.length) {
    const next = apply(shop, below, items, from, to, at);
    if (next === below) return node;
    assert(next?.kind !== 'bucket', 'what has changed is no bucket yet');
    return next && raise(next, bits);
  }
  const middle = splitAt(items, from, to, at);
  const rest = lower(node, shared + 1);
  const isLeft = bits[shared] === '0';
  const left = apply(shop, isLeft ? rest : undefined, items, from, middle, at + 1);
  const right = apply(shop, isLeft ? undefined : rest, items, middle, to, at + 1);
  const isSame = left === (isLeft ? rest : undefined) && right === (isLeft ? undefined : rest);
  if (isSame) return node;
  const next = join(shop, first, at, left, right);
  return next && raise(next, bits.slice(0, shared));
}

function applyToLeaf(
  shop: Workshop,
  node: Leaf | undefined,
  items: readonly Item[],
  from: number,
  to: number,
  depth: number,
): Node | undefined {
  const kept = items.slice(from, to).filter(({ value }) => value !== undefined);
  if (node !== undefined && has(items, from, to, node.key)) shop.replaced(node);
  else if (node !== undefined) {
    const at = kept.findIndex(({ key }) => key > node.key);
    kept.splice(at === -1 ? kept.length : at, 0, node);
  }
  return build(shop, kept, 0, kept.length, depth);
}

const has = (items: readonly Item[], from: number, to: number, key: string): boolean => {
  for (let at = from; at < to; at += 1) if (items[at]!.key === key) return true;
  return false;
};

/**
 * The tree of leaves that come in the order of their keys, each once. It holds no more of them
 * than the buckets that are being filled: those that are full are made cold.
 */
export function assembleCold(
  leaves: Iterable<{ readonly key: string; readonly value: Uint8Array }>,
  bucketLeaves: number,
): Node | undefined {
  const shop: Workshop = {
    bucketLeaves,
    open: (bucket) => bucket.plain!,
    made: (bucket) => {
      bucket.plain = undefined;
    },
    replaced: () => undefined,
    branches: 0,
  };
  /** Subtrees that are complete, each to the left of the bit at `fork`, deeper and deeper. */
  const left: { readonly node: Node; readonly fork: number }[] = [];
  let node: Plain | undefined;
  let depth = 256;
  let last = '';
  /** Seen from above; its leaves share their bits up to there. */
  const raiseTo = (to: number): Plain =>
    sizeOf(node) === 1 ? node! : raise(node!, bitsOf(last, to, depth));
  const closeTo = (fork: number): void => {
    for (let top = left.at(-1); top !== undefined && top.fork > fork; top = left.at(-1)) {
      left.pop();
      node = join(shop, last, top.fork, top.node, raiseTo(top.fork + 1))!;
      depth = top.fork;
    }
  };
  for (const { key, value } of leaves) {
    if (node !== undefined) {
      const fork = sharedBits(last, key, 0);
      closeTo(fork);
      left.push({ node: raiseTo(fork + 1), fork });
    }
    node = newLeaf(key, value);
    depth = 256;
    last = key;
  }
  if (node === undefined) return undefined;
  closeTo(-1);
  return sealTop(shop, raiseTo(0));
}
