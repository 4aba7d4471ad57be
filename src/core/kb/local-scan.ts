/**
 * Finds out which objects of a root are in the own store, so that a fetch asks only for the rest.
 * That is how a fetch goes on after a cut or a restart: nothing but the store is remembered.
 */
import type { CID } from 'multiformats/cid';
import { isNode, type Node } from './reader.ts';
import { comparePaths, type TreePath, type TreeRange } from './tree-range.ts';
import { DagWalk } from './walk.ts';

/** A part of a DAG that is missing, with the nodes above its start, from the root down. */
export interface Missing extends TreeRange {
  readonly ancestors: readonly Node[];
}

/** What to look up: the bytes of nodes, and whether leaves are there. */
export interface Look {
  readonly nodes: readonly CID[];
  readonly leaves: readonly CID[];
}

export interface Looked {
  readonly nodes: readonly (Uint8Array | undefined)[];
  readonly leaves: readonly boolean[];
}

/** More parts than this are joined with what lies between them. */
const PARTS_MAX = 4096;

export class LocalScan {
  readonly #walk: DagWalk;
  readonly #missing: Missing[] = [];

  constructor(options: { readonly root: CID; readonly skips?: (cid: CID) => boolean }) {
    this.#walk = new DagWalk(options);
  }

  /** What is missing, in order. Complete when `look()` returns undefined. */
  get missing(): readonly Missing[] {
    return this.#missing;
  }

  /** What has to be looked up next; undefined when all is known. */
  look(): Look | undefined {
    const step = this.#walk.next();
    if (step === undefined) return undefined;
    return isNode(step.cid)
      ? { nodes: [step.cid], leaves: [] }
      : { nodes: [], leaves: this.#walk.ahead(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY) };
  }

  /** @throws {AegisError} when a node that the store has breaks the rules of a DAG. */
  looked({ nodes, leaves }: Looked): void {
    const bytes = nodes[0];
    if (nodes.length > 0) {
      if (bytes === undefined) this.#miss();
      else this.#walk.give(bytes);
      return;
    }
    for (const present of leaves) {
      if (present) this.#walk.pass();
      else this.#miss();
    }
  }

  #miss(): void {
    const { path } = this.#walk.next()!;
    const ancestors = this.#walk.ancestors();
    this.#walk.pass();
    // Up to the next object that counts: what lies between is equal to something before.
    this.#add(path, this.#walk.next()?.path, ancestors);
  }

  #add(from: TreePath, to: TreePath | undefined, ancestors: readonly Node[]): void {
    const last = this.#missing.at(-1);
    const touches = last?.to !== undefined && comparePaths(last.to, from) === 0;
    if (last !== undefined && (touches || this.#missing.length >= PARTS_MAX)) {
      this.#missing[this.#missing.length - 1] = { ...last, to };
    } else this.#missing.push({ from, to, ancestors });
  }
}
