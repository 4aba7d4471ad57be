/**
 * All versions that this node knows, as a graph: the heads of each path, which of them is shown,
 * the history behind it, and what another node lacks. Nothing is ever overwritten or merged here.
 * All of it lies in rows (W40): the machine that owns the graph makes them durable.
 */
import { AegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { isMerge } from '../model/merge.ts';
import { RecordReader } from '../model/record.ts';
import type { SignedVersion } from '../model/version.ts';
import type { Verified } from '../units.ts';
import { AuthorLog } from './author-log.ts';
import { history } from './history.ts';
import { LIMITS } from './limits.ts';
import { Orphans } from './orphans.ts';
import { PathHeads } from './path-heads.ts';
import { KbStore, TABLES } from './store.ts';
import { VersionStore } from './version-store.ts';

export { compareShown } from './path-heads.ts';

export interface VersionGraphOptions {
  /** @default 8,000,000 */
  readonly maxVersions?: number;
  /** @default 2,000,000 */
  readonly maxVersionsPerAuthor?: number;
  /** @default 1 GiB */
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
  /** Two of them. */
  readonly versions: readonly SignedVersion[];
}

export interface Added {
  /** `known` also when it waits already; `dropped` when too many by its author wait. */
  readonly status: 'added' | 'known' | 'orphan' | 'dropped';
  /** What is new in the graph: the version, and those that had waited for it, in order. */
  readonly added: readonly SignedVersion[];
  readonly equivocations: readonly Equivocation[];
  /** The parents for which it waits. */
  readonly missing: readonly string[];
}

export interface ListEntry {
  readonly path: string;
  readonly shown: SignedVersion;
  /** Heads besides the one that is shown. */
  readonly others: number;
}

/** By author, how far its versions are known. */
export type VersionVector = ReadonlyMap<string, number>;

const COUNTERS = 'graph';
const ROW_BYTES_MAX = 256;
const NOTHING = { added: [], equivocations: [], missing: [] };

const sequenceKey = (author: string, sequence: number): string => `${author}/${sequence}`;

export class VersionGraph {
  readonly #limits: { readonly all: number; readonly one: number; readonly oneBytes: number };
  readonly #store: KbStore;
  readonly #versions: VersionStore;
  readonly #heads: PathHeads;
  readonly #authors = new Map<string, AuthorLog>();
  readonly #orphans: Orphans;
  #counters: { readonly versions: number; readonly paths: number };

  /**
   * The graph as its rows describe it.
   * @throws {AegisError} `STORE_DAMAGED`.
   */
  constructor(options: VersionGraphOptions = {}, store: KbStore = new KbStore()) {
    this.#limits = {
      all: options.maxVersions ?? LIMITS.versions,
      one: options.maxVersionsPerAuthor ?? LIMITS.versionsPerAuthor,
      oneBytes: options.maxBytesPerAuthor ?? LIMITS.versionBytesPerAuthor,
    };
    this.#store = store;
    this.#versions = new VersionStore(store);
    this.#heads = new PathHeads(store, this.#versions);
    this.#orphans = new Orphans({
      max: options.maxOrphans ?? LIMITS.orphans,
      maxPerAuthor: options.maxOrphansPerAuthor ?? LIMITS.orphansPerAuthor,
    });
    for (const { key } of store.under(TABLES.authors, '')) this.#open(key);
    this.#counters = readCounters(store.get(TABLES.counters, COUNTERS));
  }

  get size(): number {
    return this.#counters.versions;
  }

  /** Paths whose shown version is not a deletion. */
  get paths(): number {
    return this.#counters.paths;
  }

  get orphans(): number {
    return this.#orphans.size;
  }

  /**
   * Adds a version whose signature has been checked, or a merge that somebody has named by its
   * CID. It waits as an orphan until its parents and the version before it by the same author are
   * known.
   * @throws {AegisError} `BAD_DATA` for a generation or path that its parents forbid, `BUSY` when
   * the graph is full.
   */
  add(version: Verified<SignedVersion>): Added {
    if (this.#versions.has(version.cidText)) return { status: 'known', ...NOTHING };
    const needs = this.#needs(version);
    if (needs !== undefined) {
      const status = this.#orphans.add(version, needs);
      return { ...NOTHING, status, missing: this.#missing(version) };
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
    return { status: 'added', added, equivocations, missing: [] };
  }

  has(cidText: string): boolean {
    return this.#versions.has(cidText);
  }

  get(cidText: string): SignedVersion | undefined {
    return this.#versions.get(cidText);
  }

  /** Every version in the order of the CIDs, read as they are taken. */
  all(after?: string): Generator<SignedVersion> {
    return this.#versions.all(after);
  }

  /** The head that readers see; it may be a deletion. */
  shown(path: string): SignedVersion | undefined {
    const row = this.#heads.get(path);
    return row && this.#versions.get(row.shown);
  }

  /** W46: versions that shred, of one path or of all. */
  *shreds(path?: string): Generator<SignedVersion> {
    const prefix = path === undefined ? '' : `${path}\0`;
    for (const { key } of this.#store.under(TABLES.shreds, prefix)) {
      yield this.#known(key.slice(key.lastIndexOf('\0') + 1));
    }
  }

  /** The versions of a path that no other follows, the shown one first. */
  heads(path: string): SignedVersion[] {
    return [...this.#heads.of(path)].map((cidText) => this.#known(cidText));
  }

  /** Whether no version follows this one. */
  isHead({ cidText, version }: SignedVersion): boolean {
    return this.#heads.isHead(version.path, cidText);
  }

  /** How many heads a path has. */
  headCount(path: string): number {
    return this.#heads.get(path)?.count ?? 0;
  }

  /** The versions of a path, of those in reach from what was told the greatest; read as taken. */
  history(path: string): Generator<SignedVersion> {
    return history(this.#heads.of(path), (cidText) => this.#known(cidText));
  }

  /** Versions of a path as `history` tells them, those after the version `before`. */
  log(
    path: string,
    { limit, before }: { readonly limit?: number; readonly before?: string } = {},
  ): SignedVersion[] {
    const versions: SignedVersion[] = [];
    let isPast = before === undefined;
    for (const version of this.history(path)) {
      if (versions.length === limit) break;
      if (isPast) versions.push(version);
      isPast ||= version.cidText === before;
    }
    return versions;
  }

  /** Paths that begin with `prefix` and are not deleted, in the order of their bytes. */
  list(
    prefix = '',
    { after, limit }: { readonly after?: string | undefined; readonly limit?: number } = {},
  ): ListEntry[] {
    const entries: ListEntry[] = [];
    for (const { path, shown, count, isDeleted } of this.#heads.paths(prefix, after)) {
      if (entries.length === limit) break;
      if (!isDeleted) entries.push({ path, shown: this.#known(shown), others: count - 1 });
    }
    return entries;
  }

  /** All paths, deleted ones too, in the order of their bytes. */
  pathsAfter(after: string | undefined, limit: number): string[] {
    const paths = this.#heads.paths('', after).take(limit);
    return paths.map(({ path }) => path).toArray();
  }

  /** Paths with several heads, in the order of their bytes. */
  forkedAfter(after: string | undefined, limit: number): string[] {
    return this.#heads.forked(after).take(limit).toArray();
  }

  vector(): VersionVector {
    const vector = new Map<string, number>();
    for (const [author, log] of this.#authors) {
      if (log.sequence > 0) vector.set(author, log.sequence);
    }
    return vector;
  }

  /** The sequence that the next version of an author must have. */
  nextSequence(author: string): number {
    return (this.#authors.get(author)?.sequence ?? 0) + 1;
  }

  /** The log of an author; an empty one for an unknown author. */
  author(author: string): AuthorLog {
    return this.#authors.get(author) ?? new AuthorLog(this.#store, author, this.#versions);
  }

  /**
   * Versions that a node with this vector lacks, at most `maxCount` and `maxBytes` of them, each
   * after all that it depends on but merges. When there are more, the node asks again with what it
   * has then.
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
        if (sequence > log.sequence) continue;
        const next = [...log.between(sequence, sequence)];
        if (!next.every((version) => this.#isCovered(version, reached))) continue;
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

  /**
   * Takes versions out that count no more (A3), with all that follow them. Sequences of others
   * stay taken, so that nobody signs one twice.
   * @returns what went.
   */
  remove(path: string, isGone: (version: SignedVersion) => boolean): SignedVersion[] {
    const wasListed = this.#isListed(path);
    const kept = new Map(this.log(path).map((version) => [version.cidText, version]));
    const removed = new Map<string, SignedVersion>();
    for (let isMore = true; isMore; ) {
      isMore = false;
      for (const [cidText, version] of kept) {
        const follows = version.version.parents.some((parent) => removed.has(parent.toString()));
        if (!follows && !isGone(version)) continue;
        kept.delete(cidText);
        removed.set(cidText, version);
        isMore = true;
      }
    }
    if (removed.size === 0) return [];
    for (const signed of removed.values()) {
      if (!isMerge(signed.version)) this.#open(signed.version.author).remove(signed);
      this.#versions.delete(signed.cidText);
    }
    const heads = new Map(kept);
    for (const { version } of kept.values()) {
      for (const parent of version.parents) heads.delete(parent.toString());
    }
    this.#heads.replace(path, [...heads.values()]);
    this.#count(-removed.size, Number(this.#isListed(path)) - Number(wasListed));
    return [...removed.values()];
  }

  #known(cidText: string): SignedVersion {
    const signed = this.#versions.get(cidText);
    if (signed !== undefined) return signed;
    throw new AegisError('STORE_DAMAGED', `the record of the version ${cidText} is missing`);
  }

  #open(author: string): AuthorLog {
    const log = this.author(author);
    this.#authors.set(author, log);
    return log;
  }

  #isCovered({ version }: SignedVersion, reached: VersionVector): boolean {
    return version.parents.every((cid) => {
      const parent = this.#known(cid.toString()).version;
      // Merges have no place in a vector: who lacks one asks for it by its CID.
      return isMerge(parent) || parent.sequence <= (reached.get(parent.author) ?? 0);
    });
  }

  #missing({ version }: SignedVersion): string[] {
    return version.parents.map(String).filter((parent) => !this.#versions.has(parent));
  }

  /** What a version waits for; undefined when it waits for nothing. */
  #needs(signed: SignedVersion): string | undefined {
    const { author, sequence } = signed.version;
    if (!isMerge(signed.version) && sequence > this.nextSequence(author)) {
      return sequenceKey(author, sequence - 1);
    }
    return this.#missing(signed)[0];
  }

  #check({ cidText, version }: SignedVersion): void {
    this.#checkRoom(version.author);
    const parents = version.parents.map((cid) => this.#known(cid.toString()).version);
    const greatest = Math.max(0, ...parents.map(({ generation }) => generation));
    if (parents.some(({ path }) => path !== version.path)) {
      throw new AegisError('BAD_DATA', `the version ${cidText} follows one of another path`);
    }
    if (version.generation > greatest + 1) {
      const said = `has the generation ${version.generation}, beyond ${greatest + 1}`;
      throw new AegisError('BAD_DATA', `the version ${cidText} ${said}`);
    }
    // W10
    const time = Math.max(...parents.map((parent) => parent.time));
    const isOdd = version.generation !== greatest + 1 || version.time !== time;
    if (isMerge(version) && isOdd) {
      throw new AegisError('BAD_DATA', `the merge ${cidText} does not fit its parents`);
    }
  }

  #checkRoom(author: string): void {
    const { all, one, oneBytes } = this.#limits;
    if (this.size >= all) {
      throw new AegisError('BUSY', `this node keeps no more than ${all} versions`);
    }
    const log = this.#authors.get(author);
    if (log === undefined || (log.count < one && log.sizeBytes < oneBytes)) return;
    const most = `${one} versions and ${oneBytes} bytes of them`;
    throw new AegisError('BUSY', `this node keeps no more than ${most} by ${author}`);
  }

  #isListed(path: string): boolean {
    return this.#heads.get(path)?.isDeleted === false;
  }

  #insert(signed: Verified<SignedVersion>): Equivocation | undefined {
    const { author, path, sequence } = signed.version;
    const wasListed = this.#isListed(path);
    this.#versions.put(signed);
    // Parents come first, so nothing that is known can follow a version that is new.
    this.#heads.follow(signed);
    if (signed.version.shredded === true) {
      this.#store.set(TABLES.shreds, `${path}\0${signed.cidText}`, new Uint8Array());
    }
    this.#count(1, Number(this.#isListed(path)) - Number(wasListed));
    if (isMerge(signed.version)) return undefined;
    const versions = this.#open(author).add(signed);
    return versions.length > 1 ? { author, sequence, versions } : undefined;
  }

  #count(versions: number, paths: number): void {
    const { versions: allVersions, paths: allPaths } = this.#counters;
    this.#counters = { versions: allVersions + versions, paths: allPaths + paths };
    const row = encode({ v: 1, type: 'graph', ...this.#counters });
    this.#store.set(TABLES.counters, COUNTERS, row);
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
        if (error instanceof AegisError && error.code !== 'STORE_DAMAGED') return false;
        throw error;
      }
    });
  }
}

function readCounters(row: Uint8Array | undefined) {
  if (row === undefined) return { versions: 0, paths: 0 };
  try {
    const value = decode(row, { maxBytes: ROW_BYTES_MAX });
    const record = new RecordReader(value, 'graph', ['versions', 'paths']);
    return { versions: record.integer('versions', 0), paths: record.integer('paths', 0) };
  } catch (cause) {
    throw new AegisError('STORE_DAMAGED', 'the counts of versions are damaged', { cause });
  }
}
