/**
 * Three-way merge of lines (diff3), with the verdicts of git: changes that touch conflict, unless
 * they are the same. A conflict anywhere is a conflict of the whole; no markers are made.
 */
import { type Change, changesOf } from './changes.ts';

/** Text as lines that each have their end of line; the last may have none. */
export const linesOf = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

/** Undefined for a conflict, or beyond the budget of edits. Symmetric. */
export function mergeText(base: string, ours: string, theirs: string): string | undefined {
  const lines = linesOf(base);
  const [a, b] = [changesOf(lines, linesOf(ours)), changesOf(lines, linesOf(theirs))];
  if (a === undefined || b === undefined) return undefined;
  const out: string[] = [];
  let at = 0;
  for (const region of regionsOf(a, b)) {
    const merged = mergeRegion(lines, region);
    if (merged === undefined) return undefined;
    for (const line of [...lines.slice(at, region.from), ...merged]) out.push(line);
    at = region.to;
  }
  return [...out, ...lines.slice(at)].join('');
}

/** Lines of the base, and the changes of each side that lie in them. */
interface Region {
  readonly from: number;
  readonly to: number;
  readonly ours: readonly Change[];
  readonly theirs: readonly Change[];
}

/** Changes of the two sides that overlap or touch come together. */
function* regionsOf(a: readonly Change[], b: readonly Change[]): Generator<Region> {
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const from = Math.min(a[i]?.from ?? Infinity, b[j]?.from ?? Infinity);
    const [firstA, firstB] = [i, j];
    let to = from;
    for (let hasGrown = true; hasGrown; ) {
      hasGrown = false;
      for (; i < a.length && a[i]!.from <= to; i += 1, hasGrown = true) to = Math.max(to, a[i]!.to);
      for (; j < b.length && b[j]!.from <= to; j += 1, hasGrown = true) to = Math.max(to, b[j]!.to);
    }
    yield { from, to, ours: a.slice(firstA, i), theirs: b.slice(firstB, j) };
  }
}

function mergeRegion(base: readonly string[], region: Region): readonly string[] | undefined {
  const { ours, theirs } = region;
  if (theirs.length === 0) return applied(base, region, ours);
  if (ours.length === 0) return applied(base, region, theirs);
  const [a, b] = [applied(base, region, ours), applied(base, region, theirs)];
  const isSame = a.length === b.length && a.every((line, n) => line === b[n]);
  return isSame ? a : undefined;
}

/** The lines of a region as one side has them. */
function applied(
  base: readonly string[],
  { from, to }: Region,
  changes: readonly Change[],
): readonly string[] {
  const out: (readonly string[])[] = [];
  let at = from;
  for (const change of changes) {
    out.push(base.slice(at, change.from), change.lines);
    at = change.to;
  }
  return [...out, base.slice(at, to)].flat();
}
