/** The base of two versions (W12): what both follow, and nothing else that both follow does. */
import { assert } from '../../assert.ts';
import { MERGE_LIMITS } from './limits.ts';

/** What of a version says what it follows. */
export interface Followed {
  readonly version: {
    readonly generation: number;
    readonly parents: readonly { toString(): string }[];
  };
}

const A = 1;
const B = 2;
/** Both follow something that follows this one. */
const STALE = 4;

/**
 * CIDs of the bases, in their order. Each side is one version, or several that count as one that
 * follows them all. None when there are none, or more than 100,000 versions lie between.
 */
export function basesOf(
  graph: { get(cidText: string): Followed | undefined },
  a: readonly string[],
  b: readonly string[],
): string[] {
  const queue = new Queue(graph);
  for (const cid of a) queue.mark(cid, A);
  for (const cid of b) queue.mark(cid, B);
  const found: string[] = [];
  let seen = 0;
  while (queue.isOpen) {
    seen += 1;
    if (seen > MERGE_LIMITS.ancestors) return [];
    const { cid, marks, version } = queue.take();
    const isCommon = (marks & (A | B)) === (A | B);
    if (isCommon && (marks & STALE) === 0) found.push(cid);
    for (const parent of version.parents)
      queue.mark(String(parent), isCommon ? A | B | STALE : marks);
  }
  return found
    .filter((cid) => (queue.marksOf(cid) & STALE) === 0)
    .toSorted((x, y) => (x < y ? -1 : 1));
}

interface Waiting {
  readonly cid: string;
  readonly version: Followed['version'];
}

/**
 * Versions to look at, the greatest generation first, so that all that follows one is seen before
 * it. An author may choose a generation too small: then one is looked at again when its marks grow.
 */
class Queue {
  readonly #graph: { get(cidText: string): Followed | undefined };
  readonly #marks = new Map<string, number>();
  readonly #waiting = new Set<string>();
  readonly #heap: Waiting[] = [];
  /** Waiting ones that are not stale. */
  #fresh = 0;

  constructor(graph: { get(cidText: string): Followed | undefined }) {
    this.#graph = graph;
  }

  get isOpen(): boolean {
    return this.#fresh > 0;
  }

  marksOf(cid: string): number {
    return this.#marks.get(cid) ?? 0;
  }

  mark(cid: string, marks: number): void {
    const before = this.marksOf(cid);
    const now = before | marks;
    if (now === before) return;
    this.#marks.set(cid, now);
    const wasWaiting = this.#waiting.has(cid);
    if (wasWaiting && (before & STALE) === 0) this.#fresh -= 1;
    if ((now & STALE) === 0) this.#fresh += 1;
    if (wasWaiting) return;
    const version = this.#graph.get(cid)?.version;
    assert(version !== undefined, 'what a version follows is known before it');
    this.#waiting.add(cid);
    this.#push({ cid, version });
  }

  take(): Waiting & { readonly marks: number } {
    const next = this.#pop();
    this.#waiting.delete(next.cid);
    const marks = this.marksOf(next.cid);
    if ((marks & STALE) === 0) this.#fresh -= 1;
    return { ...next, marks };
  }

  #push(waiting: Waiting): void {
    const heap = this.#heap;
    let n = heap.push(waiting) - 1;
    for (let above = (n - 1) >> 1; n > 0 && isBefore(waiting, heap[above]!); above = (n - 1) >> 1) {
      heap[n] = heap[above]!;
      n = above;
    }
    heap[n] = waiting;
  }

  #pop(): Waiting {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    let n = 0;
    for (;;) {
      const [left, right] = [2 * n + 1, 2 * n + 2];
      if (left >= heap.length) break;
      const isRight = right < heap.length && isBefore(heap[right]!, heap[left]!);
      const below = isRight ? right : left;
      if (!isBefore(heap[below]!, last)) break;
      heap[n] = heap[below]!;
      n = below;
    }
    heap[n] = last;
    return top;
  }
}

const isBefore = (a: Waiting, b: Waiting): boolean =>
  a.version.generation > b.version.generation ||
  (a.version.generation === b.version.generation && a.cid < b.cid);
