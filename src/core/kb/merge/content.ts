/**
 * Merges the contents of two sides that have a base or none (W13 to W15): finds the places where
 * both have changed something, and asks for nothing else. What a side is, and which base it has,
 * heads.ts says.
 */
import { assert } from '../../assert.ts';
import type { MergeConflict } from '../../model/version.ts';
import type { Hasher } from '../../ports.ts';
import { type Hashers, RAW } from '../block.ts';
import { type EntryMerge, mergeEntries, mergeKinds } from './entries.ts';
import { mergeFile } from './file.ts';
import { MERGE_LIMITS } from './limits.ts';
import {
  type Looked,
  look,
  type NamedPiece,
  type Piece,
  read,
  type Steps,
  writeDirectory,
  writeFile,
} from './steps.ts';

/** What one merge may read, counted over all of it, so that every node stops at the same place. */
export interface MergeBudget {
  entries: number;
  files: number;
}

export const mergeBudget = (): MergeBudget => ({
  entries: MERGE_LIMITS.entries,
  files: MERGE_LIMITS.files,
});

/** One place at which both sides have something, and not the same. */
interface Place {
  /** The path inside the root; '' for the root itself. */
  readonly at: string;
  /** Its last part, or that of the path when it is the root. */
  readonly name: string;
  readonly base: Piece | undefined;
  /** Of the winner (W15). */
  readonly ours: Piece;
  readonly theirs: Piece;
}

interface MergedContent {
  readonly piece: Piece;
  /** Bytes of content that it has more than ours. */
  readonly moreBytes: number;
}

type Directory = ReadonlyMap<string, NamedPiece & { readonly cidText: string }>;
type Entry = EntryMerge<NamedPiece & { readonly cidText: string }>;

export class ContentMerge {
  readonly conflicts: MergeConflict[] = [];
  readonly #budget: MergeBudget;
  readonly #hashers: Hashers;

  constructor(budget: MergeBudget, hashers: Hashers) {
    this.#budget = budget;
    this.#hashers = hashers;
  }

  /** What comes to stand at a place. Conflicts are gathered; nothing is thrown for a content. */
  *merge(place: Place): Steps<MergedContent> {
    const { base, ours, theirs } = place;
    const [a, b] = [yield* this.#look(ours), yield* this.#look(theirs)];
    const from = base === undefined ? undefined : yield* this.#look(base);
    if (a.kind === 'other' || b.kind === 'other' || from?.kind === 'other') {
      return this.#conflict(place);
    }
    const way = mergeKinds({ base: from?.kind, ours: a.kind, theirs: b.kind });
    if (way === 'file') return yield* this.#file(place, [a, b, from]);
    if (way === 'conflict') return this.#conflict(place);
    const [mine, others] = [directoryOf(a), directoryOf(b)];
    const before = from === undefined ? new Map() : directoryOf(from);
    // W13 (f): there are more names than a merge reads.
    if (mine === undefined || others === undefined || before === undefined) {
      return this.#conflict(place);
    }
    const entries = mergeEntries(base === undefined ? undefined : before, mine, others);
    return yield* this.#directory(place, entries, { mine, others });
  }

  /** What stands at a path inside a root; undefined when there is nothing. */
  *at(root: Piece, at: string): Steps<Piece | undefined> {
    let piece: Piece | undefined = root;
    for (const name of at === '' ? [] : at.split('/')) {
      const looked: Looked = yield* this.#look(piece);
      piece = directoryOf(looked)?.get(name);
      if (piece === undefined) return undefined;
    }
    return piece;
  }

  *#look(piece: Piece): Steps<Looked> {
    const looked = yield* look(piece, this.#budget.entries);
    if (looked.kind === 'directory') this.#budget.entries -= looked.entries?.length ?? 0;
    return looked;
  }

  /** New objects are named as those of the winner are. */
  #hasher({ ours }: Place): Hasher {
    const hasher = this.#hashers(ours.cid.multihash.code);
    assert(hasher !== undefined, 'what was read has a hash that is known');
    return hasher;
  }

  #conflict({ at, base, ours, theirs }: Place, pointers?: readonly string[]): MergedContent {
    const contents = {
      ...(base === undefined ? {} : { base: base.cid }),
      ours: ours.cid,
      theirs: theirs.cid,
    };
    if (pointers === undefined) this.conflicts.push({ at, ...contents });
    else for (const pointer of pointers) this.conflicts.push({ at, pointer, ...contents });
    return { piece: ours, moreBytes: 0 };
  }

  *#file(
    place: Place,
    [a, b, from]: readonly [Looked, Looked, Looked | undefined],
  ): Steps<MergedContent> {
    const { base, ours, theirs, name } = place;
    const sizes = [a, b, from].map((looked) => (looked?.kind === 'file' ? looked.sizeBytes : 0));
    const isLarge = sizes.some((sizeBytes) => sizeBytes > MERGE_LIMITS.bytes);
    // W13 (f)
    if (isLarge || this.#budget.files === 0) return this.#conflict(place);
    this.#budget.files -= 1;
    const mine = yield* read(ours, MERGE_LIMITS.bytes);
    const others = yield* read(theirs, MERGE_LIMITS.bytes);
    const before = base === undefined ? undefined : yield* read(base, MERGE_LIMITS.bytes);
    const isLost = base !== undefined && before === undefined;
    if (mine === undefined || others === undefined || isLost) return this.#conflict(place);
    const first = ours.cid.toString() < theirs.cid.toString() ? 'ours' : 'theirs';
    const merged = mergeFile({
      name,
      ...(before === undefined ? {} : { base: before }),
      ours: mine,
      theirs: others,
      first,
    });
    if (merged.type === 'conflict') return this.#conflict(place, merged.pointers);
    const { bytes } = merged;
    const piece = yield* writeFile(bytes, this.#hasher(place));
    return { piece, moreBytes: bytes.length - mine.length };
  }

  *#directory(
    place: Place,
    entries: readonly Entry[],
    { mine, others }: { readonly mine: Directory; readonly others: Directory },
  ): Steps<MergedContent> {
    const merged: NamedPiece[] = [];
    let moreBytes = 0;
    for (const entry of entries) {
      const { name } = entry;
      const before = mine.get(name);
      const found = yield* this.#entry(place, entry);
      if (found !== undefined) merged.push({ ...found.piece, name });
      moreBytes +=
        found?.moreBytes ??
        (yield* this.#difference(before, found === undefined ? undefined : found.piece));
    }
    if (isSame(merged, mine)) return { piece: place.ours, moreBytes: 0 };
    // Built as it is by whoever made it, which need not be as it would be built here.
    if (isSame(merged, others)) return { piece: place.theirs, moreBytes };
    const piece = yield* writeDirectory(merged, this.#hasher(place));
    return { piece, moreBytes };
  }

  /** What comes to stand under a name; `moreBytes` where the merge itself knows it. */
  *#entry(
    place: Place,
    entry: Entry,
  ): Steps<{ readonly piece: Piece; readonly moreBytes: number | undefined } | undefined> {
    const { name, type } = entry;
    const at = place.at === '' ? name : `${place.at}/${name}`;
    if (type === 'delete') return undefined;
    if (type === 'both') {
      const { base, ours, theirs } = entry;
      return yield* this.merge({ at, name, base, ours, theirs });
    }
    if (type === 'conflict') {
      // W14
      const { base, entry: kept } = entry;
      this.conflicts.push({ at, base: base.cid, ours: kept.cid });
    }
    return { piece: entry.entry, moreBytes: undefined };
  }

  /** Bytes of content that `after` has more than `before`. */
  *#difference(before: Piece | undefined, after: Piece | undefined): Steps<number> {
    if (before !== undefined && after?.cid.equals(before.cid) === true) return 0;
    const had = before === undefined ? 0 : yield* this.#sizeOf(before);
    return (after === undefined ? 0 : yield* this.#sizeOf(after)) - had;
  }

  /** Bytes of content; what the link claims where too much would have to be read for it. */
  *#sizeOf(piece: Piece): Steps<number> {
    const { cid, tsize } = piece;
    if (cid.code === RAW || this.#budget.entries === 0) return tsize;
    const looked = yield* this.#look(piece);
    if (looked.kind === 'file') return looked.sizeBytes;
    if (looked.kind === 'other' || looked.entries === undefined) return tsize;
    let sizeBytes = 0;
    for (const entry of looked.entries) sizeBytes += yield* this.#sizeOf(entry);
    return sizeBytes;
  }
}

function directoryOf(looked: Looked): Directory | undefined {
  if (looked.kind !== 'directory' || looked.entries === undefined) return undefined;
  return new Map(
    looked.entries.map((entry) => [entry.name, { ...entry, cidText: entry.cid.toString() }]),
  );
}

const isSame = (merged: readonly NamedPiece[], directory: Directory): boolean =>
  merged.length === directory.size &&
  merged.every(({ name, cid }) => directory.get(name)?.cid.equals(cid) === true);
