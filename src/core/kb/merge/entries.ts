/**
 * Merges two directories by the names in them (W13 b). It sees names and CIDs only: what both
 * sides changed is for the caller to look into, who then asks `mergeKinds`.
 */
export type EntryKind = 'file' | 'directory' | 'symlink';

/** What stands under a name. Equal CIDs are equal contents. */
export interface MergeEntry {
  readonly cidText: string;
}

export type EntryMerge<E extends MergeEntry> = { readonly name: string } & (
  | { readonly type: 'take'; readonly entry: E }
  | { readonly type: 'delete' }
  /** Both changed it: `mergeKinds` says how to go on. */
  | { readonly type: 'both'; readonly base: E | undefined; readonly ours: E; readonly theirs: E }
  /** W14: one side has removed what the other has changed; that stays. */
  | {
      readonly type: 'conflict';
      readonly base: E;
      readonly ours: E | undefined;
      readonly theirs: E | undefined;
      readonly entry: E;
    }
);

/** One result for each name that any of the three has, in the order of the names. */
export function mergeEntries<E extends MergeEntry>(
  base: ReadonlyMap<string, E> | undefined,
  ours: ReadonlyMap<string, E>,
  theirs: ReadonlyMap<string, E>,
): EntryMerge<E>[] {
  const names = new Set([...(base?.keys() ?? []), ...ours.keys(), ...theirs.keys()]);
  return [...names]
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map((name) => mergeEntry(name, base?.get(name), ours.get(name), theirs.get(name)));
}

function mergeEntry<E extends MergeEntry>(
  name: string,
  base: E | undefined,
  ours: E | undefined,
  theirs: E | undefined,
): EntryMerge<E> {
  const [o, a, b] = [base, ours, theirs].map((entry) => entry?.cidText);
  const kept = a === b || o === b ? ours : theirs;
  if (a === b || o === b || o === a) {
    return kept === undefined ? { name, type: 'delete' } : { name, type: 'take', entry: kept };
  }
  if (ours !== undefined && theirs !== undefined) {
    return { name, type: 'both', base, ours, theirs };
  }
  // One side has it no more, and the other not as it was: so there was one.
  return { name, type: 'conflict', base: base!, ours, theirs, entry: (ours ?? theirs)! };
}

/**
 * How to go on with a name under which both sides have something else, or with two roots:
 * directories are merged by entry, files by `mergeFile`, anything else is a conflict of the whole.
 */
export function mergeKinds(kinds: {
  readonly base: EntryKind | undefined;
  readonly ours: EntryKind;
  readonly theirs: EntryKind;
}): 'descend' | 'file' | 'conflict' {
  const { base, ours, theirs } = kinds;
  if (ours !== theirs || (base !== undefined && base !== ours)) return 'conflict';
  if (ours === 'directory') return 'descend';
  return ours === 'file' ? 'file' : 'conflict';
}
