/**
 * Merges the contents of two sides that have a base or none (W13 to W15): finds the places where
 * both have changed something, and asks for nothing else. What a side is, and which base it has,
 * heads.ts says.
 */
import type { CID } from 'multiformats/cid';
import { assert } from '../../assert.ts';
import type { MergeConflict } from '../../model/version.ts';
import { type Hashers, RAW } from '../block.ts';
import { type EntryMerge, mergeEntries, mergeKinds } from './entries.ts';
import { mergeFile } from './file.ts';
import { MERGE_LIMITS } from './limits.ts';
import {
  type Looked,
  look,
  type NamedPiece,
  type Opened,
  open,
  type Piece,
  read,
  type Steps,
  type Writing,
  writeDirectory,
  writeFile,
} from './steps.ts';

/** What one merge may read, counted over all of it, so that every node stops at the same place. */
export interface MergeBudget {
  entries: number;
  files: number;
}

const mergeBudget = (): MergeBudget => ({
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

/** What all parts of one merge share. */
export class MergeContext {
  readonly budget: MergeBudget;
  readonly hashers: Hashers;
  readonly #opened = new Map<string, Opened>();

  constructor(hashers: Hashers, budget: MergeBudget = mergeBudget()) {
    this.hashers = hashers;
    this.budget = budget;
  }

  /** What has been written in this merge is known, and need not be asked for. */
  knows(root: CID, opened: Opened): void {
    this.#opened.set(root.toString(), opened);
  }

  *open({ root }: Piece): Steps<Opened> {
    const known = this.#opened.get(root.toString());
    if (known !== undefined) return known;
    const opened = yield* open(root);
    this.knows(root, opened);
    return opened;
  }

  *look(piece: Piece): Steps<Looked> {
    const { budget } = this;
    const looked = yield* look(piece, yield* this.open(piece), budget.entries);
    if (looked.kind === 'directory') budget.entries -= looked.entries?.length ?? 0;
    return looked;
  }

  *read(piece: Piece): Steps<Uint8Array | undefined> {
    return yield* read(piece, yield* this.open(piece), MERGE_LIMITS.bytes);
  }

  /** New objects are named and sealed as those of this content are. */
  *writing({ root, cid }: Piece): Steps<Writing> {
    const { seal } = yield* this.open({ root, cid, tsize: 0 });
    const hasher = this.hashers(cid.multihash.code);
    assert(hasher !== undefined, 'what was read has a hash that is known');
    return { root, seal, hasher };
  }

  /** As it stands, or sealed anew where the content has another key; undefined: it is too much. */
  *adopted(piece: Piece, ours: Piece): Steps<Piece | undefined> {
    const { seal } = yield* this.open(piece);
    const { seal: wanted } = yield* this.open(ours);
    if (seal === undefined || seal.key.cid.equals(wanted?.key.cid)) return piece;
    const looked = yield* this.look(piece);
    const writing = yield* this.writing(ours);
    if (looked.kind === 'directory' && looked.entries !== undefined) {
      const entries: NamedPiece[] = [];
      for (const entry of looked.entries) {
        const adopted = yield* this.adopted(entry, ours);
        if (adopted === undefined) return undefined;
        entries.push({ ...adopted, name: entry.name });
      }
      return yield* writeDirectory(entries, writing);
    }
    const { budget } = this;
    if (looked.kind !== 'file' || looked.sizeBytes > MERGE_LIMITS.bytes || budget.files === 0) {
      return undefined;
    }
    budget.files -= 1;
    const bytes = yield* this.read(piece);
    return bytes === undefined ? undefined : yield* writeFile(bytes, writing);
  }

  /** What stands at a path inside a root; undefined when there is nothing. */
  *at(root: Piece, at: string): Steps<Piece | undefined> {
    let piece: Piece | undefined = root;
    for (const name of at === '' ? [] : at.split('/')) {
      const looked: Looked = yield* this.look(piece);
      piece = directoryOf(looked)?.get(name);
      if (piece === undefined) return undefined;
    }
    return piece;
  }
}

export class ContentMerge {
  readonly conflicts: MergeConflict[] = [];
  readonly #context: MergeContext;

  constructor(context: MergeContext) {
    this.#context = context;
  }

  /** What comes to stand at a place. Conflicts are gathered; nothing is thrown for a content. */
  *merge(place: Place): Steps<MergedContent> {
    const { base, ours, theirs } = place;
    // W13 (g)
    if (!(yield* this.#mayMix(ours, theirs))) return this.#conflict(place);
    const context = this.#context;
    const [a, b] = [yield* context.look(ours), yield* context.look(theirs)];
    const from = base === undefined ? undefined : yield* context.look(base);
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

  /** Nothing that some may read comes to stand where others may read it. */
  *#mayMix(ours: Piece, theirs: Piece): Steps<boolean> {
    const { seal: mine } = yield* this.#context.open(ours);
    const { seal: others } = yield* this.#context.open(theirs);
    if (mine === undefined || others === undefined) return mine === others;
    return mine.to.length === others.to.length && mine.to.every((to, n) => to === others.to[n]);
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
    const { budget } = this.#context;
    const sizes = [a, b, from].map((looked) => (looked?.kind === 'file' ? looked.sizeBytes : 0));
    const isLarge = sizes.some((sizeBytes) => sizeBytes > MERGE_LIMITS.bytes);
    // W13 (f)
    if (isLarge || budget.files === 0) return this.#conflict(place);
    budget.files -= 1;
    const mine = yield* this.#context.read(ours);
    const others = yield* this.#context.read(theirs);
    const before = base === undefined ? undefined : yield* this.#context.read(base);
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
    const piece = yield* writeFile(bytes, yield* this.#context.writing(ours));
    return { piece, moreBytes: bytes.length - mine.length };
  }

  *#directory(
    place: Place,
    entries: readonly Entry[],
    { mine, others }: { readonly mine: Directory; readonly others: Directory },
  ): Steps<MergedContent> {
    const merged: NamedPiece[] = [];
    const told = this.conflicts.length;
    let moreBytes = 0;
    for (const entry of entries) {
      const { name } = entry;
      const found = yield* this.#entry(place, entry);
      if (found === 'foreign') {
        this.conflicts.splice(told);
        return this.#conflict(place);
      }
      if (found !== undefined) merged.push({ ...found.piece, name });
      moreBytes += found?.moreBytes ?? (yield* this.#difference(mine.get(name), found?.piece));
    }
    if (isSame(merged, mine)) return { piece: place.ours, moreBytes: 0 };
    // Built as it is by whoever made it, which need not be as it would be built here.
    if (isSame(merged, others)) return { piece: place.theirs, moreBytes };
    const piece = yield* writeDirectory(merged, yield* this.#context.writing(place.ours));
    return { piece, moreBytes };
  }

  /** What comes to stand under a name; `moreBytes` where the merge itself knows it. */
  *#entry(
    place: Place,
    entry: Entry,
  ): Steps<
    { readonly piece: Piece; readonly moreBytes: number | undefined } | undefined | 'foreign'
  > {
    const { name, type } = entry;
    const at = place.at === '' ? name : `${place.at}/${name}`;
    if (type === 'delete') return undefined;
    if (type === 'both') {
      const { base, ours, theirs } = entry;
      return yield* this.merge({ at, name, base, ours, theirs });
    }
    const piece = yield* this.#context.adopted(entry.entry, place.ours);
    if (piece === undefined) return 'foreign';
    // W14
    if (type === 'conflict') {
      this.conflicts.push({ at, base: entry.base.cid, ours: piece.cid });
    }
    return { piece, moreBytes: undefined };
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
    const { seal } = yield* this.#context.open(piece);
    const isKnown = cid.code === RAW && seal === undefined;
    if (isKnown || this.#context.budget.entries === 0) return tsize;
    const looked = yield* this.#context.look(piece);
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
