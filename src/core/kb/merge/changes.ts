/**
 * What turns one list of lines into another. Edits are counted, not timed, and which of several
 * shortest ways is taken does not depend on the machine: merges must come out the same everywhere.
 */
import { diffArrays } from 'diff';
import { MERGE_LIMITS } from './limits.ts';

/** `before[from]` to `before[to - 1]` became `lines`. */
export interface Change {
  readonly from: number;
  readonly to: number;
  readonly lines: readonly string[];
}

export interface Budget {
  readonly edits: number;
  readonly comparisons: number;
}

class TooManyComparisons extends Error {}

/**
 * The changes in order, none touching the next; undefined when they are beyond the budget. What is
 * all in one place, however long, needs none of it.
 */
export function changesOf(
  before: readonly string[],
  after: readonly string[],
  budget: Budget = MERGE_LIMITS,
): readonly Change[] | undefined {
  const head = commonHead(before, after);
  const tail = commonTail(before, after, head);
  const [ends, lasts] = [before.length - tail, after.length - tail];
  if (head === ends && head === lasts) return [];
  if (head === ends || head === lasts) {
    return [{ from: head, to: ends, lines: after.slice(head, lasts) }];
  }
  const [old, fresh] = numbered(before.slice(head, ends), after.slice(head, lasts));
  const parts = compare(old, fresh, budget);
  if (parts === undefined) return undefined;
  const changes: Change[] = [];
  let [at, taken] = [head, head];
  for (let n = 0; n < parts.length; ) {
    if (!isEdit(parts[n]!)) {
      at += parts[n]!.count;
      taken += parts[n]!.count;
      n += 1;
      continue;
    }
    const [from, first] = [at, taken];
    for (; n < parts.length && isEdit(parts[n]!); n += 1) {
      if (parts[n]!.removed) at += parts[n]!.count;
      else taken += parts[n]!.count;
    }
    changes.push({ from, to: at, lines: after.slice(first, taken) });
  }
  return changes;
}

interface Part {
  readonly added: boolean;
  readonly removed: boolean;
  readonly count: number;
}

const isEdit = ({ added, removed }: Part): boolean => added || removed;

function compare(
  old: readonly number[],
  fresh: readonly number[],
  { edits, comparisons }: Budget,
): readonly Part[] | undefined {
  let count = 0;
  const comparator = (a: number, b: number): boolean => {
    count += 1;
    if (count > comparisons) throw new TooManyComparisons();
    return a === b;
  };
  try {
    return diffArrays([...old], [...fresh], { comparator, maxEditLength: edits });
  } catch (error) {
    if (error instanceof TooManyComparisons) return undefined;
    throw error;
  }
}

/** Each line as a number from 1, so that long lines that are almost equal cost nothing. */
function numbered(...lists: readonly (readonly string[])[]): [number[], number[]] {
  const numbers = new Map<string, number>();
  const numberOf = (line: string): number => {
    const known = numbers.get(line) ?? numbers.size + 1;
    numbers.set(line, known);
    return known;
  };
  return lists.map((list) => list.map(numberOf)) as [number[], number[]];
}

function commonHead(a: readonly string[], b: readonly string[]): number {
  const most = Math.min(a.length, b.length);
  let n = 0;
  while (n < most && a[n] === b[n]) n += 1;
  return n;
}

function commonTail(a: readonly string[], b: readonly string[], head: number): number {
  const most = Math.min(a.length, b.length) - head;
  let n = 0;
  while (n < most && a[a.length - 1 - n] === b[b.length - 1 - n]) n += 1;
  return n;
}
