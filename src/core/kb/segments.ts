/** Cuts what is missing into pieces of about equal size, at the boundaries of known nodes. */
import type { Missing } from './local-scan.ts';
import { isBefore, type TreePath } from './tree-range.ts';

export interface Segment extends Missing {
  /** Bytes of objects in it, as their parents claim; 0 when nothing is known. */
  readonly bytes: number;
}

interface Sibling {
  readonly path: TreePath;
  readonly bytes: number;
  readonly level: number;
}

/** Largest number of pieces that one cut makes; the last takes the rest. */
const PIECES_MAX = 4096;

/**
 * The known objects of the range that have no known parent in it: to the right of the start on
 * each level, deepest first, which is depth-first order.
 */
function* siblingsOf(part: Missing): Generator<Sibling> {
  for (let level = part.ancestors.length - 1; level >= 0; level -= 1) {
    const above = part.from.slice(0, level);
    const { links } = part.ancestors[level]!;
    const isDeepest = level === part.ancestors.length - 1;
    for (let i = part.from[level]! + (isDeepest ? 0 : 1); i < links.length; i += 1) {
      const path = [...above, i];
      if (!isBefore(path, part.to)) return;
      yield { path, bytes: links[i]!.tsize, level };
    }
  }
}

export function segmentsOf(part: Missing, segmentBytes: number): Segment[] {
  if (part.ancestors.length === 0) return [{ ...part, bytes: 0 }];
  const segments: Segment[] = [];
  let from: Sibling | undefined;
  let bytes = 0;
  const close = (to: TreePath | undefined): void => {
    if (from === undefined) return;
    const ancestors = part.ancestors.slice(0, from.level + 1);
    segments.push({ from: from.path, to, ancestors, bytes });
    from = undefined;
    bytes = 0;
  };
  for (const sibling of siblingsOf(part)) {
    if (bytes >= segmentBytes && segments.length < PIECES_MAX) close(sibling.path);
    from ??= sibling;
    bytes += sibling.bytes;
  }
  close(part.to);
  return segments;
}
