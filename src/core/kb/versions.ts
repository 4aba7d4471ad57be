/**
 * All versions that this node knows, as a graph: the heads of each path, which of them is shown,
 * the history behind it, and what another node lacks. Nothing is ever overwritten or merged here,
 * and nothing is made durable: the machine that owns the graph does that.
 */
import { AegisError } from '../errors.ts';
import type { SignedVersion } from '../model/version.ts';
import type { Verified } from '../units.ts';
import { AuthorLog } from './author-log.ts';
import { LIMITS } from './limits.ts';
import { Orphans } from './orphans.ts';

export interface VersionGraphOptions {
  /** @default 1,000,000 */
  readonly maxVersions?: number;
  /** @default 250,000 */
  readonly maxVersionsPerAuthor?: number;
  /** @default 128 MiB */
  readonly maxBytesPerAuthor?: number;
  /** @default 4,096 */
  readonly maxOrphans?: number;
  /** @default 512 */
  readonly maxOrphansPerAuthor?: number;
}

/** An author has signed several versions of one sequence. */
export interface Equivocation {
  readonly author: string;
  readonly sequence: number;
  readonly versions: readonly SignedVersion[];
}

export interface Added {
  /** `known` also when it waits already; `dropped` when too many by its author wait. */
  readonly status: 'added' | 'known' | 'orphan' | 'dropped';
  /** What is new in the graph: the version, and those that had waited for it, in order. */
  readonly added: readonly SignedVersion[];
  readonly equivocations: readonly Equivocation[];
}

export interface ListEntry {
  readonly path: string;
  readonly shown: SignedVersion;
  /** Heads besides the one that is shown. */
  readonly others: number;
}

/** By author, how far its versions are known. */
export type VersionVector = ReadonlyMap<string, number>;

/** The greatest of `(generation, time, CID)` is shown. */
export const compareShown = (a: SignedVersion, b: SignedVersion): number =>
  a.version.generation - b.version.generation ||
  a.version.time - b.version.time ||
  Number(a.cidText > b.cidText) - Number(a.cidText < b.cidText);

/** The heads of one path. */
interface Heads {
  readonly all: Map<string, SignedVersion>;
  /** The greatest of them. Kept, since a path may have very many. */
  shown: SignedVersion | undefined;
}

const greatestOf = (versions: Iterable<SignedVersion>): SignedVersion | undefined => {
  let greatest: SignedVersion | undefined;
  for (const version of versions) {
    if (greatest === undefined || compareShown(version, greatest) > 0) greatest = version;
  }
  return greatest;
};

const sequenceKey = (author: string, sequence: number): string => `${author}/${sequence}`;

export class VersionGraph {
  readonly #limits: { readonly all: number; readonly one: number; readonly oneBytes: number };
  readonly #versions = new Map<string, SignedVersion>();
  readonly #heads = new Map<string, Heads>();
  readonly #authors = new Map<string, AuthorLog>();
  #orphans: Orphans;
  #paths = 0;

  constructor(options: VersionGraphOptions = {}) {
    this.#limits = {
      all: options.maxVersions ?? LIMITS.versions,
      one: options.maxVersionsPerAuthor ?? LIMITS.versionsPerAuthor,
      oneBytes: options.maxBytesPerAuthor ?? LIMITS.versionBytesPerAuthor,
    };
    this.#orphans = orphansFor(options);
  }

  /** A graph of versions that were in one before, in any order. */
  static restore(versions: Iterable<Verified<SignedVersion>>): VersionGraph {
    const none = Number.POSITIVE_INFINITY;
    const graph = new VersionGraph({ maxOrphans: none, maxOrphansPerAuthor: none });
    for (const version of versions) graph.add(version);
    graph.#orphans = orphansFor({});
    return graph;
  }

  get size(): number {
    return this.#versions.size;
  }

  /** Paths whose shown version is not a deletion. */
  get paths(): number {
    return this.#paths;
  }

  get orphans(): number {
    return this.#orphans.size;
  }

  /**
   * Adds a version whose signature has been checked. It waits as an orphan until its parents and
   * the version before it by the same author are known.
   * @throws {AegisError} `BAD_DATA` for a generation or path that its parents forbid, `BUSY` when
   * the graph is full.
   */
  add(version: Verified<SignedVersion>): Added {
    if (this.#versions.has(version.cidText))
      return { status: 'known', added: [], equivocations: [] };
    const needs = this.#needs(version);
    if (needs !== undefined) {
      const status = this.#orphans.add(version, needs);
      return { status, added: [], equivocations: [] };
    }
    this.#check(version);
    const added: SignedVersion[] = [];
    const equivocations: Equivocation[] = [];
    const ready: Verified<SignedVersion>[] = [version];
    for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
      const equivocation = this.#insert(next);
      added.push(next);
      if (equivocation !== undefined) equivocations.push(equivocation);
      ready.push(...this.#released(next));
    }
    return { status: 'added', added, equivocations };
  }

  get(cidText: string): SignedVersion | undefined {
    return this.#versions.get(cidText);
  }

  /** Every version, in the order in which it was added. */
  all(): IterableIterator<SignedVersion> {
    return this.#versions.values();
  }

  /** The head that readers see; it may be a deletion. */
  shown(path: string): SignedVersion | undefined {
    return this.#heads.get(path)?.shown;
  }

  /** The versions of a path that no other follows, the shown one first. */
  heads(path: string): SignedVersion[] {
    const heads = this.#heads.get(path);
    return heads === undefined
      ? []
      : [...heads.all.values()].toSorted((a, b) => compareShown(b, a));
  }

  /** How many heads a path has. */
  headCount(path: string): number {
    return this.#heads.get(path)?.all.size ?? 0;
  }

  /** All versions of a path, the greatest first. */
  log(path: string): SignedVersion[] {
    const seen = new Map<string, SignedVersion>();
    const stack = this.heads(path);
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      if (seen.has(next.cidText)) continue;
      seen.set(next.cidText, next);
      for (const parent of next.version.parents) stack.push(this.#versions.get(parent.toString())!);
    }
    return [...seen.values()].toSorted((a, b) => compareShown(b, a));
  }

  /** Paths that begin with `prefix` and are not deleted, in the order of their bytes. */
  list(prefix = ''): ListEntry[] {
    const entries: ListEntry[] = [];
    for (const [path, { shown, all }] of this.#heads) {
      if (!path.startsWith(prefix)) continue;
      if (shown === undefined || shown.version.deleted === true) continue;
      entries.push({ path, shown, others: all.size - 1 });
    }
    return entries.toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
  }

  vector(): VersionVector {
    const vector = new Map<string, number>();
    for (const [author, log] of this.#authors) vector.set(author, log.sequence);
    return vector;
  }

  /** The sequence that the next version of an author must have. */
  nextSequence(author: string): number {
    return (this.#authors.get(author)?.sequence ?? 0) + 1;
  }

  /** The log of an author; an empty one for an unknown author. */
  author(author: string): AuthorLog {
    return this.#authors.get(author) ?? new AuthorLog();
  }

  /**
   * Versions that a node with this vector lacks, at most `maxCount` and `maxBytes` of them, each
   * after all that it depends on. When there are more, the node asks again with what it has then.
   */
  after(
    vector: VersionVector,
    { maxCount, maxBytes }: { readonly maxCount: number; readonly maxBytes: number },
  ): { readonly versions: SignedVersion[]; readonly isMore: boolean } {
    const reached = new Map(vector);
    const versions: SignedVersion[] = [];
    let bytes = 0;
    for (let isProgress = true; isProgress; ) {
      isProgress = false;
      for (const [author, log] of this.#authors) {
        const sequence = (reached.get(author) ?? 0) + 1;
        const next = [...log.between(sequence, sequence)];
        if (next.length === 0 || !next.every((version) => this.#isCovered(version, reached)))
          continue;
        const size = next.reduce((sum, version) => sum + version.bytes.length, 0);
        const isFull = versions.length + next.length > maxCount || bytes + size > maxBytes;
        if (isFull && versions.length > 0) return { versions, isMore: true };
        for (const version of next.slice(0, maxCount)) {
          bytes += version.bytes.length;
          // An equivocator may have signed more than fits; digests tell of the rest.
          if (bytes <= maxBytes || versions.length === 0) versions.push(version);
        }
        reached.set(author, sequence);
        isProgress = true;
      }
    }
    return { versions, isMore: false };
  }

  #isCovered({ version }: SignedVersion, reached: VersionVector): boolean {
    return version.parents.every((parent) => {
      const { author, sequence } = this.#versions.get(parent.toString())!.version;
      return sequence <= (reached.get(author) ?? 0);
    });
  }

  /** What a version waits for; undefined when it waits for nothing. */
  #needs({ version }: SignedVersion): string | undefined {
    const { author, sequence, parents } = version;
    if (!this.author(author).accepts(sequence)) return sequenceKey(author, sequence - 1);
    return parents.map(String).find((parent) => !this.#versions.has(parent));
  }

  #check({ cidText, version }: SignedVersion): void {
    this.#checkRoom(version.author);
    let greatest = 0;
    for (const cid of version.parents) {
      const parent = this.#versions.get(cid.toString())!.version;
      greatest = Math.max(greatest, parent.generation);
      if (parent.path !== version.path) {
        throw new AegisError('BAD_DATA', `the version ${cidText} follows one of another path`);
      }
    }
    if (version.generation > greatest + 1) {
      const said = `has the generation ${version.generation}, beyond ${greatest + 1}`;
      throw new AegisError('BAD_DATA', `the version ${cidText} ${said}`);
    }
  }

  #checkRoom(author: string): void {
    const { all, one, oneBytes } = this.#limits;
    if (this.#versions.size >= all) {
      throw new AegisError('BUSY', `this node keeps no more than ${all} versions`);
    }
    const log = this.#authors.get(author);
    if (log === undefined || (log.count < one && log.sizeBytes < oneBytes)) return;
    const most = `${one} versions and ${oneBytes} bytes of them`;
    throw new AegisError('BUSY', `this node keeps no more than ${most} by ${author}`);
  }

  #isListed(path: string): boolean {
    const shown = this.shown(path);
    return shown !== undefined && shown.version.deleted !== true;
  }

  #insert(signed: Verified<SignedVersion>): Equivocation | undefined {
    const { author, path, parents, sequence } = signed.version;
    this.#versions.set(signed.cidText, signed);
    const wasListed = this.#isListed(path);
    const heads: Heads = this.#heads.get(path) ?? { all: new Map(), shown: undefined };
    this.#heads.set(path, heads);
    for (const parent of parents) heads.all.delete(parent.toString());
    // Parents come first, so nothing that is known can follow a version that is new.
    heads.all.set(signed.cidText, signed);
    const { shown } = heads;
    if (shown === undefined || !heads.all.has(shown.cidText)) {
      heads.shown = greatestOf(heads.all.values());
    } else if (compareShown(signed, shown) > 0) heads.shown = signed;
    this.#paths += Number(this.#isListed(path)) - Number(wasListed);
    const log = this.#authors.get(author) ?? new AuthorLog();
    this.#authors.set(author, log);
    const versions = log.add(signed);
    return versions.length > 1 ? { author, sequence, versions } : undefined;
  }

  /** Orphans that can be added now; those that break a rule are dropped. */
  #released({ cidText, version }: SignedVersion): Verified<SignedVersion>[] {
    const waiting = [
      ...this.#orphans.take(cidText),
      ...this.#orphans.take(sequenceKey(version.author, version.sequence)),
    ];
    return waiting.filter((orphan) => {
      const needs = this.#needs(orphan);
      if (needs !== undefined) {
        this.#orphans.add(orphan, needs);
        return false;
      }
      try {
        this.#check(orphan);
        return !this.#versions.has(orphan.cidText);
      } catch (error) {
        if (error instanceof AegisError) return false;
        throw error;
      }
    });
  }
}

const orphansFor = (options: VersionGraphOptions): Orphans =>
  new Orphans({
    max: options.maxOrphans ?? LIMITS.orphans,
    maxPerAuthor: options.maxOrphansPerAuthor ?? LIMITS.orphansPerAuthor,
  });
