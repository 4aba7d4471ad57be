/**
 * When a node merges a path (W9): it waits by its rank, so that not all do the same work, and only
 * what still has the same heads is merged then. It merges nothing itself.
 */
import { isMerge } from '../../model/merge.ts';
import type { SignedVersion } from '../../model/version.ts';
import { type Instant, instant, MINUTE, SECOND } from '../../units.ts';

export interface MergeQueueOptions {
  /** Each rank waits so much longer than the one before it. */
  readonly stepMs: number;
  /** Paths that wait; for more there is the next look over all. @default 65,536 */
  readonly pathsMax?: number;
}

interface Waiting {
  /** CIDs of the heads. */
  readonly heads: string;
  dueAt: number;
  /** Attempts that came to nothing. */
  attempts: number;
}

const RETRY_FIRST_MS = 5 * SECOND;
const RETRY_MAX_MS = 5 * MINUTE;

/**
 * W9: authors of the heads, the shown one first, then the placed holders, then other custodians.
 * Undefined for whom it is not to do.
 */
export function rankOf(
  nodeId: string,
  {
    heads,
    placed,
    custodians,
  }: {
    /** The shown one first. */
    readonly heads: readonly SignedVersion[];
    readonly placed: readonly string[];
    readonly custodians: readonly string[];
  },
): number | undefined {
  const authors = heads
    .filter(({ version }) => !isMerge(version))
    .map(({ version }) => version.author);
  const rank = [...new Set([...authors, ...placed, ...custodians])].indexOf(nodeId);
  return rank < 0 ? undefined : rank;
}

export class MergeQueue {
  readonly #options: Required<MergeQueueOptions>;
  /** By path. */
  readonly #waiting = new Map<string, Waiting>();
  /** Paths that were due when all were looked at last, or when they came. */
  #ready: string[] = [];
  #next = 0;
  /** No path is due before, but those that are ready. */
  #soonest = Infinity;

  constructor(options: MergeQueueOptions) {
    this.#options = { pathsMax: 65_536, ...options };
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** @param heads two or more, all that are final. */
  forked(path: string, heads: readonly SignedVersion[], rank: number, now: Instant): void {
    const cids = namesOf(heads);
    const known = this.#waiting.get(path);
    if (known?.heads === cids) return;
    if (known === undefined && this.#waiting.size >= this.#options.pathsMax) return;
    const dueAt = now + rank * this.#options.stepMs;
    this.#waiting.set(path, { heads: cids, dueAt, attempts: 0 });
    this.#soonest = Math.min(this.#soonest, dueAt);
  }

  /** There is one head, or it is not for this node to merge. */
  settled(path: string): void {
    this.#waiting.delete(path);
  }

  /** An attempt was made. The path stays until its heads are others: nothing is sure before. */
  tried(path: string, now: Instant): void {
    const waiting = this.#waiting.get(path);
    if (waiting === undefined) return;
    waiting.dueAt = now + Math.min(RETRY_FIRST_MS * 2 ** waiting.attempts, RETRY_MAX_MS);
    waiting.attempts += 1;
    this.#soonest = Math.min(this.#soonest, waiting.dueAt);
  }

  /** A path that is due; it is not told again before it was tried. */
  take(now: Instant): string | undefined {
    for (;;) {
      const path = this.#ready[this.#next];
      if (path === undefined && now < this.#soonest) return undefined;
      if (path === undefined) this.#look(now);
      else {
        this.#next += 1;
        if ((this.#waiting.get(path)?.dueAt ?? Infinity) <= now) return path;
      }
    }
  }

  /** When to take again, if nothing was there to be taken. */
  nextAt(): Instant | undefined {
    return this.#soonest === Infinity ? undefined : instant(this.#soonest);
  }

  #look(now: Instant): void {
    const due: [string, Waiting][] = [];
    this.#soonest = Infinity;
    for (const entry of this.#waiting) {
      const { dueAt } = entry[1];
      if (dueAt <= now) due.push(entry);
      else this.#soonest = Math.min(this.#soonest, dueAt);
    }
    this.#ready = due.toSorted(([, a], [, b]) => a.dueAt - b.dueAt).map(([path]) => path);
    this.#next = 0;
  }
}

const namesOf = (heads: readonly SignedVersion[]): string =>
  heads
    .map(({ cidText }) => cidText)
    .toSorted((a, b) => (a < b ? -1 : 1))
    .join();
