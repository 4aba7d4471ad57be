/**
 * Merges all heads of a path into the fields of one record (W7, W12, W16): one after another in the
 * order of their CIDs, each time with the base that the versions say. The order in which they
 * became known is not looked at, and neither is who asks.
 */
import type { CID } from 'multiformats/cid';
import { assert } from '../../assert.ts';
import type { MergeFields } from '../../model/merge.ts';
import type { MergeConflict, SignedVersion } from '../../model/version.ts';
import type { Hashers } from '../block.ts';
import { compareShown } from '../versions.ts';
import { basesOf } from './bases.ts';
import { ContentMerge, MergeContext } from './content.ts';
import { MERGE_LIMITS } from './limits.ts';
import { type Piece, type Steps, writeSealedRoot } from './steps.ts';

export interface MergeGraph {
  get(cidText: string): SignedVersion | undefined;
}

/** A content with what a record says of it. */
interface Root {
  readonly cid: CID;
  readonly sizeBytes: number;
  readonly isDirectory: boolean;
}

/** A head, or several that have been merged and count as one that follows them. */
interface Side {
  readonly heads: readonly string[];
  /** The greatest of them: by it a conflict is won (W15). */
  readonly greatest: SignedVersion;
  /** What was there last, and whether it has been taken away. */
  readonly root: Root;
  readonly isDeleted: boolean;
  readonly isShredded: boolean;
  /** Of the heads among themselves. */
  readonly conflicts: readonly MergeConflict[];
  /** Of heads that are merges themselves (W16). */
  readonly inherited: readonly MergeConflict[];
  readonly isMore: boolean;
}

/** Undefined: there is none. A deleted one has no root. */
type Base = { readonly root: Root | undefined } | undefined;

/**
 * @param heads two or more, each with all that it follows in the graph.
 * @returns what the record says; its contents have been written.
 */
export function* mergeHeads(
  graph: MergeGraph,
  heads: readonly SignedVersion[],
  hashers: Hashers,
): Steps<MergeFields> {
  assert(heads.length > 1, 'one head is not merged');
  const { path } = heads[0]!.version;
  const side = yield* new HeadsMerge(graph, path, hashers).all(heads, 0);
  const { root, isDeleted, conflicts, inherited, isMore } = side;
  return {
    path,
    root: root.cid,
    sizeBytes: root.sizeBytes,
    parents: heads.map(({ cid }) => cid),
    generation: Math.max(...heads.map(({ version }) => version.generation)) + 1,
    time: Math.max(...heads.map(({ version }) => version.time)),
    ...(isDeleted ? { deleted: true } : {}),
    ...(root.isDirectory ? { directory: true } : {}),
    conflicts: [...conflicts, ...inherited],
    isMore,
  };
}

class HeadsMerge {
  readonly #graph: MergeGraph;
  readonly #name: string;
  readonly #context: MergeContext;

  constructor(graph: MergeGraph, path: string, hashers: Hashers) {
    this.#graph = graph;
    this.#context = new MergeContext(hashers);
    this.#name = path.slice(path.lastIndexOf('/') + 1);
  }

  /** W12. @param depth of bases that are merged for a base. */
  *all(versions: readonly SignedVersion[], depth: number): Steps<Side> {
    const sorted = versions.toSorted((a, b) => (a.cidText < b.cidText ? -1 : 1));
    let side = sideOf(sorted[0]!);
    for (const version of sorted.slice(1)) side = yield* this.#two(side, sideOf(version), depth);
    return side;
  }

  *#two(a: Side, b: Side, depth: number): Steps<Side> {
    const base = yield* this.#base(a, b, depth);
    const isWon = compareShown(a.greatest, b.greatest) > 0;
    const [ours, theirs] = isWon ? [a, b] : [b, a];
    const heads = [...a.heads, ...b.heads];
    const { greatest } = ours;
    const { side, conflicts } = yield* this.#contents(base, ours, theirs);
    const { root, isDeleted } = side;
    const isMore = ours.isMore || theirs.isMore;
    const isShredded = ours.isShredded || theirs.isShredded;
    const told = { conflicts, inherited: [], isMore, isShredded };
    // Conflicts of a base are in no record.
    const all = depth > 0 || isDeleted ? told : yield* this.#told([ours, theirs], root, conflicts);
    return { heads, greatest, root, isDeleted, ...told, ...all };
  }

  *#base(a: Side, b: Side, depth: number): Steps<Base> {
    const bases = basesOf(this.#graph, a.heads, b.heads).map((cid) => this.#graph.get(cid)!);
    if (bases.length === 0) return undefined;
    if (bases.length > 1 && depth >= MERGE_LIMITS.baseDepth) return undefined;
    const { root, isDeleted } = yield* this.all(bases, depth + 1);
    return { root: isDeleted ? undefined : root };
  }

  /** W13 (a), W14; then what is inside. */
  *#contents(
    base: Base,
    ours: Side,
    theirs: Side,
  ): Steps<{ side: Pick<Side, 'root' | 'isDeleted'>; conflicts: readonly MergeConflict[] }> {
    const clean = (side: Side) => ({ side, conflicts: [] });
    // W14: what was destroyed comes back by no merge.
    if (ours.isShredded || theirs.isShredded) return clean(ours.isShredded ? ours : theirs);
    const [mine, others] = [keyOf(ours), keyOf(theirs)];
    if (mine === others) return clean(ours);
    const before = base === undefined ? undefined : (base.root?.cid.toString() ?? DELETED);
    if (before === others) return clean(ours);
    if (before === mine) return clean(theirs);
    const baseOf = base?.root === undefined ? {} : { base: base.root.cid };
    if (ours.isDeleted || theirs.isDeleted) {
      const side = ours.isDeleted ? theirs : ours;
      return { side, conflicts: [{ at: '', ...baseOf, ours: side.root.cid }] };
    }
    return yield* this.#roots(base?.root, ours, theirs);
  }

  *#roots(base: Root | undefined, ours: Side, theirs: Side) {
    const merge = new ContentMerge(this.#context);
    const { piece, moreBytes } = yield* merge.merge({
      at: '',
      name: this.#name,
      base: base === undefined ? undefined : pieceOf(base),
      ours: pieceOf(ours.root),
      theirs: pieceOf(theirs.root),
    });
    const { conflicts } = merge;
    if (piece.cid.equals(ours.root.cid)) return { side: ours, conflicts };
    if (piece.cid.equals(theirs.root.cid)) return { side: theirs, conflicts };
    const sizeBytes = Math.min(
      Math.max(0, ours.root.sizeBytes + moreBytes),
      Number.MAX_SAFE_INTEGER,
    );
    const cid = yield* this.#rootOf(piece, ours.root);
    const root = { cid, sizeBytes, isDirectory: ours.root.isDirectory };
    return { side: { root, isDeleted: false }, conflicts };
  }

  /** Of a new content; sealed as that of the winner is. */
  *#rootOf({ cid }: Piece, ours: Root): Steps<CID> {
    const { seal, hasher } = yield* this.#context.writing(pieceOf(ours));
    if (seal === undefined) return cid;
    const { view } = yield* this.#context.open(pieceOf(ours));
    const root = yield* writeSealedRoot(cid, seal, hasher);
    this.#context.knows(root, { content: cid, view, seal });
    return root;
  }

  /**
   * W16: of a parent that is a merge, conflicts where its content still stands. Of heads that were
   * merged into one side just now, all: what has lost against two has lost against both.
   */
  *#told(
    sides: readonly Side[],
    root: Root,
    fresh: readonly MergeConflict[],
  ): Steps<Pick<Side, 'conflicts' | 'inherited'>> {
    const content = this.#context;
    const conflicts = [...fresh];
    const inherited: MergeConflict[] = [];
    for (const conflict of sides.flatMap((side) => side.inherited)) {
      const standing = yield* content.at(pieceOf(root), conflict.at);
      if (standing !== undefined && conflict.ours?.equals(standing.cid)) inherited.push(conflict);
    }
    for (const conflict of sides.flatMap((side) => side.conflicts)) {
      const standing = yield* content.at(pieceOf(root), conflict.at);
      if (standing === undefined) continue;
      const moved = { ...conflict, ours: standing.cid };
      if (!isTold(moved, fresh)) conflicts.push(moved);
    }
    return { conflicts, inherited };
  }
}

/** Nothing is against itself, and nothing is told twice. */
const isTold = (conflict: MergeConflict, fresh: readonly MergeConflict[]): boolean =>
  conflict.theirs?.equals(conflict.ours) === true ||
  fresh.some(
    ({ at, pointer, theirs }) =>
      at === conflict.at &&
      pointer === conflict.pointer &&
      theirs?.toString() === conflict.theirs?.toString(),
  );

const DELETED = '';

const keyOf = ({ isDeleted, root }: Side): string => (isDeleted ? DELETED : root.cid.toString());

const pieceOf = ({ cid }: Root): Piece => ({ root: cid, cid, tsize: 0 });

function sideOf(signed: SignedVersion): Side {
  const { version, cidText } = signed;
  const { root, sizeBytes, directory, deleted, conflicts: inherited = [] } = version;
  return {
    heads: [cidText],
    greatest: signed,
    root: { cid: root, sizeBytes, isDirectory: directory === true },
    isDeleted: deleted === true,
    isShredded: version.shredded === true,
    conflicts: [],
    inherited,
    isMore: version.isMoreConflicts === true,
  };
}
