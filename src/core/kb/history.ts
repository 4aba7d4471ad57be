/** The versions of a path, from its heads back, read as they are taken. */
import type { SignedVersion } from '../model/version.ts';
import { compareShown } from './path-heads.ts';

/**
 * Each version once: of those that are in reach the greatest, and behind it what it follows.
 * @param heads CIDs, the greatest first.
 */
export function* history(
  heads: Iterator<string>,
  get: (cidText: string) => SignedVersion,
): Generator<SignedVersion> {
  const seen = new Set<string>();
  /** In reach and not told, the greatest last. */
  const waiting: SignedVersion[] = [];
  const nextHead = (): SignedVersion | undefined => {
    const { done, value } = heads.next();
    return done === true ? undefined : get(value);
  };
  let head = nextHead();
  for (;;) {
    const isHead =
      head !== undefined && (waiting.length === 0 || compareShown(head, waiting.at(-1)!) > 0);
    const next = isHead ? head : waiting.pop();
    if (next === undefined) return;
    if (isHead) head = nextHead();
    yield next;
    for (const parent of next.version.parents) {
      const cidText = parent.toString();
      if (seen.has(cidText)) continue;
      seen.add(cidText);
      const version = get(cidText);
      waiting.splice(placeOf(waiting, version), 0, version);
    }
  }
}

function placeOf(sorted: readonly SignedVersion[], version: SignedVersion): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (compareShown(sorted[middle]!, version) < 0) from = middle + 1;
    else to = middle;
  }
  return from;
}
