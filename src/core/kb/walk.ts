/**
 * Depth-first walk of a DAG: the one order in which objects travel. Holder and receiver walk in
 * step, so the receiver knows the CID of every object before it comes.
 *
 * Rules that both sides share: of equal links in one node only the first counts; an object on the
 * skip list counts as present with all below it. The walk reads no store: it names the object that
 * it needs and is given the bytes, whose hash the caller has checked or will check.
 */
import type { CID } from 'multiformats/cid';
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { keyOf } from './block.ts';
import { LIMITS } from './limits.ts';
import { isNode, type Link, type Node, parseNode } from './reader.ts';
import {
  comparePaths,
  isBefore,
  pathAfter,
  type TreePath,
  type TreeRange,
  WHOLE,
} from './tree-range.ts';

export interface WalkStep {
  readonly cid: CID;
  readonly path: TreePath;
  /** False for a node outside the ranges that is only needed on the way to them. */
  readonly wanted: boolean;
}

export interface WalkOptions {
  readonly root: CID;
  /** Sorted and apart. @default the whole DAG */
  readonly ranges?: readonly TreeRange[];
  /** @default nothing */
  readonly skips?: (cid: CID) => boolean;
  /** The nodes above the start of the first range, from the root down, when they are known. */
  readonly ancestors?: readonly Node[];
  /** @default 2,000,000 */
  readonly maxBlocks?: number;
}

interface Frame {
  readonly node: Node;
  /** Where each CID stands first. */
  readonly firsts: ReadonlyMap<string, number>;
  index: number;
}

export class DagWalk {
  readonly #root: CID;
  readonly #ranges: readonly TreeRange[];
  readonly #skips: (cid: CID) => boolean;
  readonly #maxBlocks: number;
  readonly #frames: Frame[] = [];
  #range = 0;
  #blocks = 0;
  #step: WalkStep | undefined;
  #started = false;

  constructor(options: WalkOptions) {
    this.#root = options.root;
    this.#ranges = options.ranges ?? [WHOLE];
    this.#skips = options.skips ?? (() => false);
    this.#maxBlocks = options.maxBlocks ?? LIMITS.rootBlocks;
    const from = this.#ranges[0]?.from ?? [];
    for (const [level, node] of (options.ancestors ?? []).entries()) {
      const index = from[level];
      assert(index !== undefined, 'ancestors stand above the start of the range');
      this.#frames.push({ ...frameOf(node), index });
      this.#started = true;
    }
    this.#step = this.#find();
  }

  /** The object that the walk stands at; undefined when it is over. */
  next(): WalkStep | undefined {
    return this.#step;
  }

  /** The nodes above the current object, from the root down. */
  ancestors(): Node[] {
    return this.#frames.map((frame) => frame.node);
  }

  /**
   * Moves on. `bytes` are those of the current object.
   * @returns the current object as read.
   * @throws {AegisError} `BAD_DATA`, `BAD_ENCODING`, `TOO_LARGE`; the walk stays where it is.
   */
  give(bytes: Uint8Array): Node {
    assert(this.#step !== undefined, 'the walk is not over');
    const node = parseNode(this.#step.cid, bytes);
    this.#checkPlace(this.#step.cid, node);
    this.#blocks += 1;
    if (this.#blocks > this.#maxBlocks) {
      throw new AegisError('TOO_LARGE', `a root of more than ${this.#maxBlocks} objects`);
    }
    if (node.links.length > 0) {
      if (this.#frames.length >= LIMITS.depth) {
        throw new AegisError('TOO_LARGE', `a root of more than ${LIMITS.depth} levels`);
      }
      this.#frames.push({ ...frameOf(node), index: 0 });
    } else this.#advance();
    this.#started = true;
    this.#step = this.#find();
    return node;
  }

  /** Moves on without the current object and all below it. */
  pass(): void {
    assert(this.#step !== undefined, 'the walk is not over');
    this.#advance();
    this.#started = true;
    this.#step = this.#find();
  }

  /**
   * The objects that come next as far as that is known: leaves up to `maxCount` and about
   * `maxBytes`, or one node. The first is the current one.
   */
  ahead(maxCount: number, maxBytes: number): CID[] {
    if (this.#step === undefined) return [];
    const cids = [this.#step.cid];
    const frame = this.#frames.at(-1);
    if (frame === undefined || isNode(this.#step.cid)) return cids;
    const above = this.#step.path.slice(0, -1);
    let bytes = frame.node.links[frame.index]!.tsize;
    for (let i = frame.index + 1; i < frame.node.links.length; i += 1) {
      const link = frame.node.links[i]!;
      bytes += link.tsize;
      if (isNode(link.cid) || cids.length >= maxCount || bytes > maxBytes) break;
      const range = this.#ranges[this.#range];
      if (range === undefined || !isBefore([...above, i], range.to)) break;
      if (this.#counts(frame, i)) cids.push(link.cid);
    }
    return cids;
  }

  /** Behind the current object and all below it. */
  #advance(): void {
    const frame = this.#frames.at(-1);
    if (frame !== undefined) frame.index += 1;
  }

  #counts(frame: Frame, index: number): boolean {
    const { cid } = frame.node.links[index]!;
    return frame.firsts.get(keyOf(cid)) === index && !this.#skips(cid);
  }

  #find(): WalkStep | undefined {
    if (!this.#started) {
      return this.#skips(this.#root) ? undefined : this.#visit(this.#root, []);
    }
    for (let frame = this.#frames.at(-1); frame !== undefined; frame = this.#frames.at(-1)) {
      if (frame.index >= frame.node.links.length) {
        this.#frames.pop();
        this.#advance();
        continue;
      }
      if (this.#counts(frame, frame.index)) {
        const path = this.#frames.map(({ index }) => index);
        const step = this.#visit(frame.node.links[frame.index]!.cid, path);
        if (step !== undefined) return step;
        if (this.#range >= this.#ranges.length) return undefined;
      }
      frame.index += 1;
    }
    return undefined;
  }

  /** The step at `path`, unless no range touches what is there and below. */
  #visit(cid: CID, path: TreePath): WalkStep | undefined {
    let range = this.#ranges[this.#range];
    while (range !== undefined && !isBefore(path, range.to)) {
      this.#range += 1;
      range = this.#ranges[this.#range];
    }
    if (range === undefined || !isBefore(range.from, pathAfter(path))) return undefined;
    const wanted = comparePaths(range.from, path) <= 0;
    // Leaves have nothing below them, so nobody passes through one on the way.
    if (!wanted && !isNode(cid)) return undefined;
    return { cid, path, wanted };
  }

  /** A child must be what its parent says it is. */
  #checkPlace(cid: CID, node: Node): void {
    const frame = this.#frames.at(-1);
    if (frame === undefined) return;
    const { node: parent, index } = frame;
    const problem = placeProblem(parent, parent.links[index]!, node);
    if (problem !== undefined) {
      throw new AegisError('BAD_DATA', `the object ${cid.toString()} ${problem}`);
    }
  }
}

function placeProblem(parent: Node, link: Link, child: Node): string | undefined {
  if (parent.kind === 'file') {
    if (child.kind !== 'file' && child.kind !== 'raw') return 'stands in a file and is none';
    if (child.sizeBytes !== link.sizeBytes) return 'has not the size that the file claims';
  }
  if (parent.kind === 'shard' && link.name === undefined) {
    if (child.kind !== 'shard') return 'stands for a shard and is none';
    if (child.fanout !== parent.fanout) return 'has another fanout than the shard above it';
  }
  return undefined;
}

function frameOf(node: Node): { node: Node; firsts: ReadonlyMap<string, number> } {
  const firsts = new Map<string, number>();
  for (const [index, { cid }] of node.links.entries()) {
    const key = keyOf(cid);
    if (!firsts.has(key)) firsts.set(key, index);
  }
  return { node, firsts };
}
