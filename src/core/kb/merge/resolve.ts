/**
 * The content in which what has lost takes its place (W17), at some places of a merge or at all. It
 * is found in the history by its CID; what the rest says stays as it is.
 */
import type { CID } from 'multiformats/cid';
import { AegisError } from '../../errors.ts';
import type { MergeConflict, SignedVersion, Version } from '../../model/version.ts';
import type { Hashers } from '../block.ts';
import { MergeContext } from './content.ts';
import type { MergeGraph } from './heads.ts';
import {
  type NamedPiece,
  type Piece,
  type Steps,
  writeDirectory,
  writeSealedRoot,
} from './steps.ts';

type Content = Pick<Version, 'root' | 'sizeBytes' | 'directory'>;

/** Versions of the history that are looked through for what has lost. */
const LOOKED_MAX = 64;

/**
 * @param places of the conflicts that are resolved so; undefined: all of them.
 * @returns undefined when nothing is left: what has lost at the root was a deletion.
 * @throws {AegisError} `NOT_FOUND` for a place without a conflict, or without what has lost there.
 */
export function* takeTheirs(
  graph: MergeGraph,
  merge: SignedVersion,
  places: readonly string[] | undefined,
  hashers: Hashers,
): Steps<Content | undefined> {
  return yield* new Resolution(graph, merge, hashers).run(places);
}

class Resolution {
  readonly #graph: MergeGraph;
  readonly #merge: SignedVersion;
  readonly #context: MergeContext;

  constructor(graph: MergeGraph, merge: SignedVersion, hashers: Hashers) {
    this.#graph = graph;
    this.#merge = merge;
    this.#context = new MergeContext(hashers);
  }

  *run(places: readonly string[] | undefined): Steps<Content | undefined> {
    const { version } = this.#merge;
    const all = version.conflicts ?? [];
    const missing = places?.find((place) => !all.some(({ at }) => at === place));
    if (missing !== undefined) throw noConflict(version.path, missing);
    // Of several that have lost at one place the first: each can be got by its CID.
    const byPlace = new Map<string, MergeConflict>();
    for (const conflict of all) {
      const isWanted = places === undefined || places.includes(conflict.at);
      if (isWanted && !byPlace.has(conflict.at)) byPlace.set(conflict.at, conflict);
    }
    const whole = byPlace.get('');
    if (whole !== undefined) return this.#whole(whole);
    const root: Piece = { root: version.root, cid: version.root, tsize: 0 };
    let sizeBytes = version.sizeBytes;
    let piece = root;
    for (const [at, conflict] of byPlace) {
      const theirs = yield* this.#theirs(conflict);
      const before = yield* this.#context.at(root, at);
      sizeBytes += (yield* this.#sizeOf(theirs)) - (yield* this.#sizeOf(before));
      piece = yield* this.#replaced(piece, at.split('/'), theirs);
    }
    const sized = Math.max(0, sizeBytes);
    return { root: yield* this.#rootOf(piece), sizeBytes: sized, directory: true };
  }

  /** All of the content: that of the version which had it. */
  #whole({ theirs }: MergeConflict): Content | undefined {
    if (theirs === undefined) return undefined;
    for (const { version } of this.#history()) {
      if (version.deleted !== true && version.root.equals(theirs)) return version;
    }
    throw lost(this.#merge.version.path);
  }

  /** What has lost at a place, sealed as the merge is; undefined: that it is gone. */
  *#theirs({ at, theirs }: MergeConflict): Steps<Piece | undefined> {
    if (theirs === undefined) return undefined;
    for (const { version } of this.#history()) {
      const { root } = version;
      const found = yield* this.#context.at({ root, cid: root, tsize: 0 }, at);
      if (found?.cid.equals(theirs) !== true) continue;
      const own = this.#merge.version.root;
      const adopted = yield* this.#context.adopted(found, { root: own, cid: own, tsize: 0 });
      if (adopted !== undefined) return adopted;
    }
    throw lost(at);
  }

  /** The versions before the merge, the nearest first. */
  *#history(): Generator<SignedVersion> {
    const seen = new Set<string>();
    let level = [this.#merge];
    while (level.length > 0 && seen.size < LOOKED_MAX) {
      const next: SignedVersion[] = [];
      for (const cid of level.flatMap(({ version }) => version.parents)) {
        const name = cid.toString();
        const signed = seen.has(name) ? undefined : this.#graph.get(name);
        seen.add(name);
        if (signed === undefined) continue;
        yield signed;
        next.push(signed);
      }
      level = next;
    }
  }

  *#replaced(
    piece: Piece,
    [name, ...rest]: readonly string[],
    by: Piece | undefined,
  ): Steps<Piece> {
    const looked = yield* this.#context.look(piece);
    const entries = looked.kind === 'directory' ? looked.entries : undefined;
    if (entries === undefined) throw lost(name!);
    const kept: NamedPiece[] = entries.filter((entry) => entry.name !== name);
    const below = entries.find((entry) => entry.name === name);
    const next =
      rest.length === 0 || below === undefined ? by : yield* this.#replaced(below, rest, by);
    if (next !== undefined) kept.push({ ...next, name: name! });
    const { root } = this.#merge.version;
    return yield* writeDirectory(kept, yield* this.#context.writing({ root, cid: root, tsize: 0 }));
  }

  *#sizeOf(piece: Piece | undefined): Steps<number> {
    if (piece === undefined) return 0;
    const looked = yield* this.#context.look(piece);
    return looked.kind === 'file' ? looked.sizeBytes : piece.tsize;
  }

  *#rootOf({ cid }: Piece): Steps<CID> {
    const { root } = this.#merge.version;
    const { seal, hasher } = yield* this.#context.writing({ root, cid: root, tsize: 0 });
    return seal === undefined ? cid : yield* writeSealedRoot(cid, seal, hasher);
  }
}

const noConflict = (path: string, at: string): AegisError =>
  new AegisError('NOT_FOUND', `${path} has no conflict at ${JSON.stringify(at)}`, {
    hint: 'See where it has some: aegis kb conflicts',
  });

const lost = (what: string): AegisError =>
  new AegisError(
    'NOT_FOUND',
    `what has lost at ${JSON.stringify(what)} is not in the last ${LOOKED_MAX} versions`,
    { hint: 'Put the content that it is to have: aegis kb put' },
  );
