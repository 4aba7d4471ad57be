/**
 * Y7: finds the first key of the state at which this node differs from a final block, by asking
 * peers for nodes of the tree from the root down. Each answer is verified by its hash, so that
 * nobody can lead it astray: the root is that of the block.
 */
import { sha256Latin1 } from '../crypto/hash.ts';
import { SECOND } from '../units.ts';
import { firstPatience, type Patience } from './catch-up.ts';
import { LIMITS } from './limits.ts';
import { EMPTY_HASH, leafHash, nodeHash, type StateTree, type TreeNode } from './state-tree.ts';
import type { Turn } from './turn.ts';

export const WALK_ALARM = 'walk';

/** When nobody helps, before they are asked again. */
const PAUSE_MS = SECOND;

/** Where the states differ first. A value is undefined where the key is not there. */
export interface Difference {
  /** Hex. */
  readonly key: string;
  readonly ours: Uint8Array | undefined;
  readonly theirs: Uint8Array | undefined;
}

export type Step =
  | { readonly type: 'found'; readonly difference: Difference }
  | { readonly type: 'lie' }
  | { readonly type: 'on' };

export class DivergenceWalk {
  readonly height: number;
  readonly #ours: StateTree;
  readonly #patience: Readonly<Patience>;
  /** Bits that lead to the subtree which differs, and its hash in the state of the others. */
  #prefix = '';
  #expected: string;
  #asked: { readonly peer: string; readonly deadline: number } | undefined;
  #askedAt = 0;
  /** Those who did not help, the last one at the end: all have their turn. */
  readonly #tried: string[] = [];

  /** @param root of the final block. */
  constructor(height: number, ours: StateTree, root: Uint8Array, patience = firstPatience()) {
    this.#patience = patience;
    this.height = height;
    this.#ours = ours;
    this.#expected = textOf(root);
  }

  /** Where it is. */
  get prefix(): string {
    return this.#prefix;
  }

  /** Asks for the next node, if nobody is being asked. */
  pump(turn: Turn, peers: ReadonlySet<string>): void {
    if (this.#asked !== undefined && this.#asked.deadline > turn.now) return;
    this.#asked = undefined;
    const fresh = [...peers].find((peer) => !this.#tried.includes(peer));
    if (fresh === undefined && turn.now < this.#askedAt + PAUSE_MS) {
      turn.alarmIn(WALK_ALARM, PAUSE_MS);
      return;
    }
    const peer = fresh ?? this.#tried.find((one) => peers.has(one));
    if (peer === undefined) return;
    const at = this.#tried.indexOf(peer);
    if (at !== -1) this.#tried.splice(at, 1);
    this.#tried.push(peer);
    this.#askedAt = turn.now;
    this.#asked = { peer, deadline: turn.now + this.#patience.answerMs };
    turn.send([peer], { type: 'node-want', height: this.height, prefix: this.#prefix });
    turn.alarmIn(WALK_ALARM, this.#patience.answerMs);
  }

  take(from: string, prefix: string, node: TreeNode | undefined): Step {
    if (this.#asked?.peer !== from || prefix !== this.#prefix) return { type: 'on' };
    this.#asked = undefined;
    // It keeps that state no more, or never had it.
    if (node === undefined) return { type: 'on' };
    if (hashOf(node) !== this.#expected) return { type: 'lie' };
    // Whoever has answered once is asked on.
    this.#tried.splice(this.#tried.indexOf(from), 1);
    if (node.type !== 'inner') {
      const theirs = node.type === 'leaf' ? node : undefined;
      return { type: 'found', difference: this.#first(theirs) };
    }
    const left = textOf(node.left);
    const isLeft = hashOf(this.#below('0')) !== left;
    this.#prefix += isLeft ? '0' : '1';
    this.#expected = isLeft ? left : textOf(node.right);
    return { type: 'on' };
  }

  #below(bit: string): TreeNode {
    return this.#ours.node(this.#prefix + bit);
  }

  /** Of our leaves here and the only one of the others, if they have one. */
  #first(theirs: { readonly key: string; readonly value: Uint8Array } | undefined): Difference {
    const isSame = (value: Uint8Array | undefined): boolean =>
      value !== undefined && theirs !== undefined && Buffer.compare(value, theirs.value) === 0;
    // There may be very many: they are read up to the first.
    const ours = this.#ours
      .rows(this.#prefix)
      .find(({ key, value }) => key !== theirs?.key || !isSame(value));
    const isTheirs = theirs !== undefined && !isSame(this.#ours.get(theirs.key));
    if (ours !== undefined && (!isTheirs || ours.key <= theirs.key)) {
      const value = ours.key === theirs?.key ? theirs.value : undefined;
      return { key: ours.key, ours: ours.value, theirs: value };
    }
    const key = theirs?.key ?? '';
    return { key, ours: this.#ours.get(key), theirs: theirs?.value };
  }
}

function hashOf(node: TreeNode): string {
  if (node.type === 'empty') return EMPTY_HASH;
  if (node.type === 'leaf') return leafHash(node.key, sha256Latin1(node.value));
  return nodeHash(textOf(node.left), textOf(node.right));
}

const textOf = (hash: Uint8Array): string => Buffer.from(hash).toString('latin1');

/** Y7: the last states, for those who look for where theirs differs. Each costs what changed. */
export class LastStates {
  readonly #trees = new Map<number, StateTree>();

  add(height: number, tree: StateTree): void {
    this.#trees.set(height, tree);
    for (const [oldest, { heldBytes }] of this.#trees) {
      const isMuch = this.#trees.size > LIMITS.lastStates || heldBytes > LIMITS.lastStateBytes;
      if (!isMuch) return;
      this.#trees.delete(oldest);
    }
  }

  node(height: number, prefix: string): TreeNode | undefined {
    return this.#trees.get(height)?.node(prefix);
  }
}
