/** Goes through the nodes of the tree of the state, opening buckets on the way. Changes nothing. */
import { assert } from '../assert.ts';
import { bitOf, EMPTY_HASH, type Hash, hexOfBits, matchedBits } from './state-hash.ts';
import { type Bucket, type Leaf, lower, type Node, type Plain } from './state-nodes.ts';

export type Open = (bucket: Bucket, key: string, depth: number) => Plain;

/**
 * What stands where the first `length` bits of a key lead. A leaf that is alone stands wherever
 * those do, so it may be another one.
 * @param siblings hears the hash of what is beside the way, from the root down.
 */
export function descend(
  open: Open,
  top: Node | undefined,
  key: string,
  length: number,
  siblings?: Hash[],
): Node | undefined {
  let node = top;
  let depth = 0;
  while (node !== undefined && depth < length) {
    switch (node.kind) {
      case 'leaf':
        return node;
      case 'bucket':
        node = open(node, key, depth);
        break;
      case 'branch': {
        const isLeft = bitOf(key, depth) === 0;
        siblings?.push((isLeft ? node.right : node.left).hash);
        node = isLeft ? node.left : node.right;
        depth += 1;
        break;
      }
      default: {
        const wanted = Math.min(node.bits.length, length - depth);
        const matched = Math.min(wanted, matchedBits(node.bits, key, depth));
        if (siblings !== undefined) {
          for (let n = 0; n < matched; n += 1) siblings.push(EMPTY_HASH);
          if (matched < wanted) siblings.push(lower(node, matched + 1).hash);
        }
        if (matched < wanted) return undefined;
        node = lower(node, matched);
        depth += matched;
      }
    }
  }
  // One leaf is a leaf, wherever it lies.
  return node?.kind === 'bucket' && node.size === 1 ? open(node, key, depth) : node;
}

/** The same by bits; a leaf only if they lead to it. */
export function find(open: Open, top: Node | undefined, prefix: string): Node | undefined {
  const node = descend(open, top, hexOfBits(prefix), prefix.length);
  if (node?.kind !== 'leaf' || matchedBits(prefix, node.key, 0) === prefix.length) return node;
  return undefined;
}

/** The halves of a subtree of more than one leaf. */
export function halves(
  open: Open,
  node: Exclude<Node, Leaf>,
  prefix: string,
): readonly [Node | undefined, Node | undefined] {
  if (node.kind === 'bucket') {
    const plain = open(node, hexOfBits(prefix), prefix.length);
    assert(plain.kind !== 'leaf', 'one leaf has no halves');
    return halves(open, plain, prefix);
  }
  if (node.kind === 'branch') return [node.left, node.right];
  const rest = lower(node, 1);
  return node.bits[0] === '0' ? [rest, undefined] : [undefined, rest];
}

/** The leaves of a subtree to which `prefix` leads, in the order of their keys. */
export function* leavesIn(open: Open, node: Node | undefined, prefix: string): Generator<Leaf> {
  if (node === undefined) return;
  switch (node.kind) {
    case 'leaf':
      yield node;
      return;
    case 'bucket': {
      const leaves: Leaf[] = [];
      gather(open(node, hexOfBits(prefix), prefix.length), leaves);
      yield* leaves;
      return;
    }
    case 'branch':
      yield* leavesIn(open, node.left, `${prefix}0`);
      yield* leavesIn(open, node.right, `${prefix}1`);
      return;
    default:
      yield* leavesIn(open, node.below, prefix + node.bits);
  }
}

function gather(node: Node, leaves: Leaf[]): void {
  switch (node.kind) {
    case 'leaf':
      leaves.push(node);
      return;
    case 'chain':
      return gather(node.below, leaves);
    case 'branch':
      gather(node.left, leaves);
      return gather(node.right, leaves);
    default:
  }
}

/** All of it but what lies in buckets. */
export function* bucketsIn(node: Node | undefined): Generator<Bucket> {
  if (node?.kind === 'bucket') yield node;
  else if (node?.kind === 'chain') yield* bucketsIn(node.below);
  else if (node?.kind === 'branch') {
    yield* bucketsIn(node.left);
    yield* bucketsIn(node.right);
  }
}

export interface Side {
  readonly open: Open;
  readonly node: Node | undefined;
}

/** Leaves that are not the same on both sides; those subtrees that are, are not looked at. */
export function* differing(
  a: Side,
  b: Side,
  prefix = '',
): Generator<readonly [Leaf | undefined, Leaf | undefined]> {
  if (a.node?.hash === b.node?.hash) return;
  if (isLarge(a.node) && isLarge(b.node)) {
    const [ours, theirs] = [halves(a.open, a.node, prefix), halves(b.open, b.node, prefix)];
    for (const half of [0, 1] as const) {
      yield* differing({ ...a, node: ours[half] }, { ...b, node: theirs[half] }, prefix + half);
    }
    return;
  }
  yield* merged(leavesIn(a.open, a.node, prefix), leavesIn(b.open, b.node, prefix));
}

const isLarge = (node: Node | undefined): node is Exclude<Node, Leaf | Bucket> =>
  node?.kind === 'branch' || node?.kind === 'chain';

function* merged(
  ours: Iterator<Leaf>,
  theirs: Iterator<Leaf>,
): Generator<readonly [Leaf | undefined, Leaf | undefined]> {
  let [a, b] = [ours.next(), theirs.next()];
  while (!a.done || !b.done) {
    const isA = !a.done && (b.done === true || a.value.key <= b.value.key);
    const isB = !b.done && (a.done === true || b.value.key <= a.value.key);
    const pair = [isA ? a.value : undefined, isB ? b.value : undefined] as const;
    if (pair[0]?.hash !== pair[1]?.hash) yield pair as [Leaf | undefined, Leaf | undefined];
    if (isA) a = ours.next();
    if (isB) b = theirs.next();
  }
}
