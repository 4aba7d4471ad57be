/**
 * One stream of objects from one holder: checks that each is the one that must come next, and
 * gathers them into batches for the store. Which stream gets what, and what follows from a lie, is
 * not decided here.
 */
import type { CID } from 'multiformats/cid';
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { type Block, fits, type Hashers, keyOf } from './block.ts';
import { LIMITS } from './limits.ts';
import type { Missing } from './local-scan.ts';
import { isNode, type Node } from './reader.ts';
import { type Segment, segmentsOf } from './segments.ts';
import type { TreePath } from './tree-range.ts';
import { DagWalk } from './walk.ts';

export interface IncomingOptions {
  readonly root: CID;
  readonly nodeId: string;
  /** What was asked for, in order. */
  readonly parts: readonly Missing[];
  readonly skips: (cid: CID) => boolean;
}

/** Objects for the store, and the parts of the DAG that are done when they are durable. */
export interface Gathered {
  readonly blocks: readonly Block[];
  readonly bytes: number;
  readonly parts: readonly Missing[];
}

/** Why the holder lied, as the end of a sentence. */
export type Lie = string;

interface Start {
  readonly from: TreePath;
  readonly ancestors: readonly Node[];
}

export class Incoming {
  readonly nodeId: string;
  readonly #root: CID;
  readonly #skips: (cid: CID) => boolean;
  readonly #hashers: Hashers;
  #parts: Missing[];
  #walk: DagWalk | undefined;
  #blocks: Block[] = [];
  #gatheredBytes = 0;
  #covered: Missing[] = [];
  /** Where the objects gathered from the current part begin. */
  #start: Start | undefined;
  #received = 0;

  constructor(options: IncomingOptions, deps: { readonly hashers: Hashers }) {
    this.nodeId = options.nodeId;
    this.#root = options.root;
    this.#skips = options.skips;
    this.#hashers = deps.hashers;
    this.#parts = [...options.parts];
    this.#open();
  }

  /** Objects that came and were right. */
  get received(): number {
    return this.#received;
  }

  /** Whether all that was asked for has come. */
  get isComplete(): boolean {
    return this.#walk === undefined;
  }

  get gatheredBytes(): number {
    return this.#gatheredBytes;
  }

  /**
   * @returns the object as read, or how the holder lied.
   * @throws {AegisError} when the object is the right one and the DAG itself is not sound.
   */
  take({ cid, bytes }: Block): Node | Lie {
    const step = this.#walk?.next();
    if (this.#walk === undefined || step === undefined) return 'sent more than was asked for';
    assert(step.wanted, 'what stands above a part is known');
    if (keyOf(cid) !== keyOf(step.cid)) {
      return `sent ${cid.toString()} in place of ${step.cid.toString()}`;
    }
    if (bytes.length > LIMITS.blockBytes) return `sent an object of ${bytes.length} bytes`;
    // The store checks the leaves; a node is followed at once, so it is checked now.
    if (isNode(cid) && !this.#fits(cid, bytes)) return `sent false bytes for ${cid.toString()}`;
    const { path: from } = step;
    const ancestors = this.#walk.ancestors();
    const node = this.#read(cid, bytes);
    if (typeof node === 'string') return node;
    this.#start ??= { from, ancestors };
    this.#received += 1;
    this.#blocks.push({ cid, bytes });
    this.#gatheredBytes += bytes.length;
    if (this.#walk.next() === undefined) this.#closePart();
    return node;
  }

  /** Hands over what has been gathered; undefined when that is nothing. */
  flush(): Gathered | undefined {
    const step = this.#walk?.next();
    if (this.#start !== undefined && step !== undefined) {
      this.#covered.push({ ...this.#start, to: step.path });
      this.#start = undefined;
    }
    if (this.#blocks.length === 0) return undefined;
    const gathered = {
      blocks: this.#blocks,
      bytes: this.#gatheredBytes,
      parts: this.#covered,
    };
    this.#blocks = [];
    this.#gatheredBytes = 0;
    this.#covered = [];
    return gathered;
  }

  /** What was asked for and has not come. */
  rest(): Missing[] {
    const step = this.#walk?.next();
    if (this.#walk === undefined || step === undefined) return [];
    const first = { from: step.path, to: this.#parts[0]!.to, ancestors: this.#walk.ancestors() };
    return [first, ...this.#parts.slice(1)];
  }

  /** Keeps about one piece of what is still to come and gives away the others. */
  split(segmentBytes: number): Segment[] {
    const [kept, ...others] = this.rest().flatMap((part) => segmentsOf(part, segmentBytes));
    if (kept === undefined || others.length === 0) return [];
    const gathered = this.#start;
    if (gathered !== undefined) this.#covered.push({ ...gathered, to: kept.from });
    this.#parts = [kept];
    this.#open();
    return others;
  }

  #read(cid: CID, bytes: Uint8Array): Node | Lie {
    try {
      // What is kept of a node points into its bytes, and the store may take the memory away.
      return this.#walk!.give(isNode(cid) ? Uint8Array.from(bytes) : bytes);
    } catch (error) {
      if (!isNode(cid) && !this.#fits(cid, bytes)) return `sent false bytes for ${cid.toString()}`;
      throw error;
    }
  }

  #fits(cid: CID, bytes: Uint8Array): boolean {
    const hasher = this.#hashers(cid.multihash.code);
    if (hasher === undefined) {
      const code = cid.multihash.code.toString(16);
      throw new AegisError(
        'BAD_DATA',
        `the object ${cid.toString()} has the unknown hash 0x${code}`,
      );
    }
    return fits(cid, bytes, hasher);
  }

  #closePart(): void {
    this.#covered.push({ ...this.#start!, to: this.#parts[0]!.to });
    this.#parts.shift();
    this.#open();
  }

  /** Begins the next part that has anything in it. */
  #open(): void {
    this.#start = undefined;
    this.#walk = undefined;
    for (let part = this.#parts[0]; part !== undefined; part = this.#parts[0]) {
      const { from, to, ancestors } = part;
      const ranges = [{ from, to }];
      const walk = new DagWalk({ root: this.#root, ranges, ancestors, skips: this.#skips });
      if (walk.next() !== undefined) {
        this.#walk = walk;
        return;
      }
      this.#parts.shift();
    }
  }
}
