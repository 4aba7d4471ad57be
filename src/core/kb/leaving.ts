/**
 * Roots that are here and that the placement asks for elsewhere: those that a new placement has
 * moved away, and all of them when this node drains. Their holders are asked, a page of roots at a
 * time, until each has said that it has a copy. It deletes nothing: whoever wants to asks `may`.
 */
import { CID } from 'multiformats/cid';
import { sha256 } from '../crypto/hash.ts';
import { HOUR, instant, SECOND } from '../units.ts';
import { backoff } from './backoff.ts';
import type { Doubts } from './doubts.ts';
import type { ReplicationShared } from './replication-types.ts';
import { TABLES } from './store.ts';
import { readTime, timeRow } from './unwell.ts';

export const LEAVE_ALARM = 'leave';

const PAGE_ROOTS = 256;
/** Between two pages, so that holders have time to answer. */
const PAUSE_MS = 10 * SECOND;
const DRAIN_PAUSE_MS = SECOND;
/** W23: so long the word of a holder counts. */
const CONFIRMED_MS = HOUR;
const TIME_BYTES = 6;

/** How far a drain is. */
export interface DrainState {
  readonly isDraining: boolean;
  /** Roots without all of their copies on others, as the last look at all roots has found. */
  readonly left: number | undefined;
}

export class Leaving {
  readonly #shared: ReplicationShared;
  readonly #doubts: Doubts;
  readonly #isDraining: () => boolean;
  /** By root: the nodes that have said that they have a copy. */
  #page = new Map<string, Set<string>>();
  #last: string | undefined;
  /** Of the present look at all roots. */
  #unsafe = 0;
  #isLastPage = false;
  #left: number | undefined;

  constructor(shared: ReplicationShared, doubts: Doubts, isDraining: () => boolean) {
    this.#shared = shared;
    this.#doubts = doubts;
    this.#isDraining = isDraining;
  }

  get state(): DrainState {
    return { isDraining: this.#isDraining(), left: this.#isDraining() ? this.#left : undefined };
  }

  /** Looks at all roots, from the first one: at the start, and when others count than before. */
  begin(): void {
    this.#page.clear();
    this.#restart();
    this.#left = undefined;
    this.#arm();
  }

  /** What was asked has been answered, or is not going to be. */
  look(): void {
    const { replicas, store, turn, options } = this.#shared;
    for (const [name, said] of this.#page) {
      const placed = replicas.placed(CID.parse(name));
      const isSafe = !placed.includes(options.nodeId) && placed.every((one) => said.has(one));
      const row = Buffer.concat([timeRow(turn.now), digestOf(placed)]);
      store.set(TABLES.safe, name, isSafe ? row : undefined);
      if (!isSafe) this.#unsafe += 1;
    }
    if (this.#isLastPage) {
      this.#left = this.#unsafe;
      this.#restart();
    }
    this.#ask();
    this.#arm();
  }

  /** A node names, of the roots that it was asked for, those that are complete there. */
  heard(from: string, roots: readonly CID[]): void {
    for (const root of roots) {
      if (!this.#doubts.has(from, root)) this.#page.get(root.toString())?.add(from);
    }
  }

  /** @returns those of them that are complete here. */
  here(roots: readonly CID[]): readonly CID[] {
    return roots.filter((root) => this.#shared.replicas.hasRoot(root));
  }

  /**
   * W23: all placed holders have confirmed theirs, and at least as many others as `replicas`, each
   * within the last hour.
   */
  may(root: CID): boolean {
    const { replicas, store, turn, options } = this.#shared;
    const placed = replicas.placed(root);
    if (placed.includes(options.nodeId) || placed.length < options.replicas) return false;
    const row = store.get(TABLES.safe, root.toString());
    if (row === undefined) return false;
    const isSame = Buffer.compare(row.subarray(TIME_BYTES), digestOf(placed)) === 0;
    const isFresh = turn.now - readTime(row) <= CONFIRMED_MS;
    return isSame && isFresh && !placed.some((one) => this.#doubts.has(one, root));
  }

  /** A root is not here any more. */
  gone(root: CID): void {
    const name = root.toString();
    this.#page.delete(name);
    if (this.#shared.store.get(TABLES.safe, name) === undefined) return;
    this.#shared.store.set(TABLES.safe, name, undefined);
  }

  #restart(): void {
    this.#last = undefined;
    this.#isLastPage = false;
    this.#unsafe = 0;
  }

  #ask(): void {
    const { replicas, up, turn, options } = this.#shared;
    const roots = replicas.roots(this.#last, PAGE_ROOTS);
    const questions = new Map<string, CID[]>();
    this.#page = new Map();
    for (const root of roots) {
      const placed = replicas.placed(root);
      const isHere = placed.includes(options.nodeId);
      // W26: where nobody else could hold it, a drain does not end.
      if (isHere && !this.#isDraining()) continue;
      this.#page.set(root.toString(), new Set());
      for (const nodeId of isHere ? [] : placed) {
        if (up.has(nodeId)) questions.set(nodeId, [...(questions.get(nodeId) ?? []), root]);
      }
    }
    for (const [nodeId, asked] of questions) turn.send(nodeId, { type: 'asked', roots: asked });
    this.#isLastPage = roots.length < PAGE_ROOTS;
    this.#last = roots.at(-1)?.toString();
  }

  #arm(): void {
    const { options, turn } = this.#shared;
    const pauseMs = this.#isDraining() ? DRAIN_PAUSE_MS : PAUSE_MS;
    const delay = backoff(`${options.nodeId}/${turn.now}`, 0, { firstMs: pauseMs, maxMs: pauseMs });
    turn.alarm(LEAVE_ALARM, instant(turn.now + delay));
  }
}

/** By it the row of a root is of no use when others are placed. */
const digestOf = (placed: readonly string[]): Uint8Array =>
  sha256(Buffer.from(placed.join())).subarray(0, 8);
