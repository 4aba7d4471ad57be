/**
 * Places in a DAG, seen as a tree: the child indexes from the root down. In depth-first order a
 * node comes before its children, so places are ordered as words in a dictionary are.
 */

/** `[]` is the root, `[2, 0]` the first child of its third child. */
export type TreePath = readonly number[];

/** All places from `from` on and before `to`; `undefined` is the end of the DAG. */
export interface TreeRange {
  readonly from: TreePath;
  readonly to: TreePath | undefined;
}

export const WHOLE: TreeRange = { from: [], to: undefined };

export function comparePaths(a: TreePath, b: TreePath): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i += 1) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return a.length - b.length;
}

/** The first place behind everything below `path`; undefined behind the root. */
export function pathAfter(path: TreePath): TreePath | undefined {
  const last = path.at(-1);
  return last === undefined ? undefined : [...path.slice(0, -1), last + 1];
}

/** Whether `path` stands before `end`. */
export const isBefore = (path: TreePath, end: TreePath | undefined): boolean =>
  end === undefined || comparePaths(path, end) < 0;
