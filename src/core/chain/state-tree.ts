/**
 * The replicated state under one root: a sparse Merkle tree over keys of 32 bytes. A subtree that
 * holds one leaf is that leaf, so a tree of n leaves is about log2(n) deep. It is persistent: an
 * update makes a new tree and shares what it did not touch, so that an undecided block costs what
 * it changes. With a store its leaves lie on the disk and are read when they are needed (W40);
 * without one all of it is in memory. It knows no refs.
 */
import { assert } from '../assert.ts';
import { sha256Latin1 } from '../crypto/hash.ts';
import type { StateReader } from '../ports.ts';
import { bitsOf, bytesOfHash, type Hash } from './state-hash.ts';
import {
  apply,
  type Bucket,
  build,
  hashOf,
  join,
  type Leaf,
  type Node,
  type Plain,
  sealTop,
  sizeOf,
  type Workshop,
  weightOf,
} from './state-nodes.ts';
import type { RangeProof, StateProof } from './state-proof.ts';
import { BUCKET_LEAVES, type Epoch, type StateStore, type Undone } from './state-store.ts';
import { bucketsIn, descend, differing, find, halves, leavesIn } from './state-walk.ts';

export { bitOf, EMPTY_HASH, leafHash, nodeHash, startsWith } from './state-hash.ts';

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

/** A leaf that is not the same in two trees. */
export interface Difference extends StateChange {
  readonly before: Uint8Array | undefined;
}

/** A subtree that has been built alone, of which `StateTree.assemble` makes a tree. */
export interface Part extends Subtree {
  readonly size: number;
  readonly top: unknown;
}

/** Where the leaves lie that are not in memory, and the state of the rows when they were there. */
interface Place {
  readonly store: StateStore;
  readonly epoch: Epoch;
}

/** What a tree has that is not in the rows. */
interface Made {
  /** Leaves as the rows have them. */
  readonly undone: ReadonlyMap<string, Uint8Array | undefined>;
  readonly buckets: readonly Bucket[];
  /** How many there are above them. */
  readonly branches: number;
}

const NOTHING: Made = { undone: new Map(), buckets: [], branches: 0 };
const KEY_PATTERN = /^[0-9a-f]{64}$/;
const KEY_BITS = 256;

const byKey = (a: { readonly key: string }, b: { readonly key: string }): number =>
  a.key < b.key ? -1 : 1;

function openHere(bucket: Bucket): Plain {
  assert(bucket.plain !== undefined, 'without a store all is in memory');
  return bucket.plain;
}

/** In which a tree without a store is made. */
const SHOP: Workshop = {
  bucketLeaves: BUCKET_LEAVES,
  open: openHere,
  made: () => undefined,
  replaced: () => undefined,
  branches: 0,
};

export class StateTree implements StateReader {
  static readonly empty = new StateTree(undefined, undefined, NOTHING);

  readonly #top: Node | undefined;
  #place: Place | undefined;
  #made: Made;

  private constructor(top: Node | undefined, place: Place | undefined, made: Made) {
    this.#top = top;
    this.#place = place;
    this.#made = made;
  }

  /** The tree of these rows, in any order; each key stands there once. */
  static of(rows: Iterable<StateRow>): StateTree {
    return StateTree.empty.update(rows);
  }

  /** The tree of the rows of a store. */
  static open(store: StateStore): StateTree {
    return new StateTree(store.top(), { store, epoch: store.epoch }, NOTHING);
  }

  /** The subtree of leaves, sorted by key, each once, whose keys begin with `prefix` (bits). */
  static part(prefix: string, rows: readonly StateRow[]): Part {
    const top = build(SHOP, rows, 0, rows.length, prefix.length);
    return { prefix, hash: bytesOfHash(hashOf(top)), size: rows.length, top };
  }

  /** The tree of parts as `cut` makes them, in the order of their keys. */
  static assemble(parts: readonly Part[]): StateTree {
    const put = (some: readonly Part[], depth: number): Node | undefined => {
      const [only] = some;
      if (only === undefined) return undefined;
      if (some.length === 1 && only.prefix.length === depth) return only.top as Node | undefined;
      const middle = some.findIndex(({ prefix }) => prefix[depth] === '1');
      const at = middle === -1 ? some.length : middle;
      return join(
        SHOP,
        '',
        depth,
        put(some.slice(0, at), depth + 1),
        put(some.slice(at), depth + 1),
      );
    };
    return new StateTree(sealTop(SHOP, put(parts, 0)), undefined, NOTHING);
  }

  /** Leaves. */
  get size(): number {
    return sizeOf(this.#top);
  }

  /** The tree after all of the changes, each key of which stands there once. */
  update(changes: Iterable<StateChange>): StateTree {
    const items = [...changes].toSorted(byKey);
    for (const [at, { key }] of items.entries()) {
      assert(KEY_PATTERN.test(key), 'a key of the state is hex of 32 bytes');
      assert(at === 0 || items[at - 1]!.key !== key, 'a key of the state changes once an update');
    }
    if (this.#place === undefined) {
      const top = sealTop(SHOP, apply(SHOP, this.#top, items, 0, items.length, 0));
      return new StateTree(top, undefined, NOTHING);
    }
    const buckets: Bucket[] = [...this.#made.buckets];
    const undone = new Map<string, Uint8Array | undefined>();
    for (const { key } of items) undone.set(key, undefined);
    const shop: Workshop = {
      bucketLeaves: this.#place.store.bucketLeaves,
      open: this.#open,
      made: (bucket) => void buckets.push(bucket),
      replaced: ({ key, value }) => void undone.set(key, value),
      branches: this.#made.branches,
    };
    const top = sealTop(shop, apply(shop, this.#top, items, 0, items.length, 0));
    for (const [key, value] of this.#made.undone) undone.set(key, value);
    return new StateTree(top, this.#place, { undone, buckets, branches: shop.branches });
  }

  /** W40: when the present step is over, it is this tree of which the rows have the leaves. */
  settle(): void {
    if (this.#place === undefined) return;
    const { store, epoch } = this.#place;
    assert(epoch === store.epoch, 'a tree settles that was made of the latest one');
    const undone = [...this.#made.undone].map(([key, value]): Undone => ({ key, value }));
    const { buckets, branches } = this.#made;
    this.#place = { store, epoch: store.advance(undone, buckets, branches) };
    this.#made = NOTHING;
  }

  /** The same of one that was made of another, where `before` was the latest. */
  replace(before: StateTree, differences: readonly Difference[]): void {
    if (before.#place === undefined) return;
    const { store } = before.#place;
    const undone = differences.map(({ key, before: value }): Undone => ({ key, value }));
    const buckets = [...bucketsIn(this.#top)];
    this.#place = { store, epoch: store.advance(undone, buckets, buckets.length) };
  }

  /** At the start of a step: what was persisted in those before is in the rows. */
  begin(): void {
    this.#place?.store.begin();
  }

  /** Bytes that are kept because somebody holds this tree, which is not the latest any more. */
  get heldBytes(): number {
    return this.#place === undefined ? 0 : this.#place.store.epoch.at - this.#place.epoch.at;
  }

  get(key: string): Uint8Array | undefined {
    const leaf = this.#leafAt(key);
    return leaf?.key === key ? leaf.value : undefined;
  }

  /** 32 bytes; zeros for the empty tree. */
  get root(): Uint8Array {
    return bytesOfHash(hashOf(this.#top));
  }

  /** Bytes of all leaves, about as they travel. */
  get weight(): number {
    return weightOf(this.#top);
  }

  /** The same below the bits of `prefix`. */
  weightUnder(prefix: string): number {
    return weightOf(find(this.#open, this.#top, prefix));
  }

  /** What stands where the bits of `prefix` lead. A leaf that is alone stands wherever those do. */
  node(prefix: string): TreeNode {
    const found = find(this.#open, this.#top, prefix);
    if (found === undefined) return { type: 'empty' };
    if (found.kind === 'leaf') return { type: 'leaf', key: found.key, value: found.value };
    const [left, right] = halves(this.#open, found, prefix).map(hashOf) as [Hash, Hash];
    return { type: 'inner', left: bytesOfHash(left), right: bytesOfHash(right) };
  }

  /** The leaves below the bits of `prefix`, in the order of their keys. */
  leaves(prefix = ''): StateRow[] {
    return [...this.rows(prefix)];
  }

  /** The same one after another. */
  *rows(prefix = ''): Generator<StateRow> {
    const found = find(this.#open, this.#top, prefix);
    for (const { key, value } of leavesIn(this.#open, found, prefix)) yield { key, value };
  }

  /** What makes the leaves of another tree of those of this one. */
  *differences(after: StateTree): Generator<Difference> {
    const ours = { open: this.#open, node: this.#top };
    const theirs = { open: after.#open, node: after.#top };
    for (const [a, b] of differing(ours, theirs)) {
      yield { key: (a ?? b)!.key, value: b?.value, before: a?.value };
    }
  }

  /**
   * Cuts the tree into subtrees of at most `bytesMax` (but for single leaves), none of them empty,
   * in the order of their keys. The same tree gives the same cuts.
   */
  cut(bytesMax: number): Subtree[] {
    const cuts: Subtree[] = [];
    const walk = (node: Node | undefined, prefix: string): void => {
      if (node === undefined) return;
      if (sizeOf(node) === 1 || weightOf(node) <= bytesMax) {
        cuts.push({ prefix, hash: bytesOfHash(node.hash) });
        return;
      }
      const [left, right] = halves(this.#open, node as Exclude<Node, Leaf>, prefix);
      walk(left, `${prefix}0`);
      walk(right, `${prefix}1`);
    };
    walk(this.#top, '');
    return cuts;
  }

  /** @returns undefined when more than `max` leaves begin with the tag (hex). */
  under(tag: string, max: number): StateRow[] | undefined {
    const found = descend(this.#open, this.#top, tag, 4 * tag.length);
    return this.#under(found, tag, max);
  }

  /**
   * What shows which leaves begin with a tag of 8 bytes (docs/proofs.md, claim `directory`).
   * @returns undefined when there are more than `max`.
   */
  proveUnder(tag: string, max: number): RangeProof | undefined {
    const siblings: Hash[] = [];
    const found = descend(this.#open, this.#top, tag, 4 * tag.length, siblings);
    const leaves = this.#under(found, tag, max);
    if (leaves === undefined) return undefined;
    const way = siblings.map(bytesOfHash);
    const isOther = found?.kind === 'leaf' && leaves.length === 0;
    return isOther
      ? { siblings: way, other: otherOf(found), leaves: [] }
      : { siblings: way, leaves };
  }

  /** What shows that a key has its value, or that it is not there. */
  prove(key: string): StateProof {
    const siblings: Hash[] = [];
    const leaf = this.#leafAt(key, siblings);
    const way = siblings.map(bytesOfHash);
    if (leaf === undefined || leaf.key === key) return { siblings: way };
    return { siblings: way, other: otherOf(leaf) };
  }

  /** The leaf at which whoever looks for a key comes out. */
  #leafAt(key: string, siblings?: Hash[]): Leaf | undefined {
    const found = descend(this.#open, this.#top, key, KEY_BITS, siblings);
    if (found === undefined) return undefined;
    assert(found.kind === 'leaf', 'a whole key leads to one leaf');
    return found;
  }

  #under(found: Node | undefined, tag: string, max: number): StateRow[] | undefined {
    if (found === undefined) return [];
    if (found.kind === 'leaf' && !found.key.startsWith(tag)) return [];
    if (sizeOf(found) > max) return undefined;
    const leaves = leavesIn(this.#open, found, bitsOf(tag, 0, 4 * tag.length));
    return [...leaves].map(({ key, value }) => ({ key, value }));
  }

  #open = (bucket: Bucket, key: string, depth: number): Plain => {
    if (this.#place === undefined) return openHere(bucket);
    const { store, epoch } = this.#place;
    return store.open(epoch, bucket, key, depth);
  };
}

const otherOf = ({ key, value }: Leaf): NonNullable<StateProof['other']> => ({
  key,
  valueHash: bytesOfHash(sha256Latin1(value)),
});
