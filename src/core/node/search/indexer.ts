/**
 * Fills the index of words (W33) with the final versions that paths show: one after another, in the
 * background. What it is told it looks up, so nothing depends on being told once; when it is told
 * more than it remembers, and when the index was opened, it goes through all paths.
 */
import { CID } from 'multiformats/cid';
import type { RefState } from '../../chain/ref.ts';
import { hasCode, toAegisError } from '../../errors.ts';
import type { FilterState } from '../../kb/find/grown-filter.ts';
import type { VersionGraph } from '../../kb/versions.ts';
import type { SignedVersion } from '../../model/version.ts';
import type { Log, Metrics } from '../../ports.ts';
import type { ContentStore } from '../../storage/content-store.ts';
import type { IndexEntry, IndexedContent } from '../../storage/index-protocol.ts';
import type { IndexStore } from '../../storage/index-store.ts';
import { MIB, SECOND } from '../../units.ts';
import type { Contents } from '../contents.ts';
import { finalHead, isRecordOf } from '../final-head.ts';
import { timeout } from '../timeout.ts';
import { textsOf } from './texts.ts';

export interface IndexerDeps {
  readonly store: IndexStore;
  readonly graph: Pick<VersionGraph, 'get' | 'pathsAfter' | 'shreds'>;
  readonly content: Pick<ContentStore, 'root'>;
  readonly contents: Pick<Contents, 'openHere'>;
  readonly log: Log;
  readonly metrics: Metrics;
  /** It is through all paths. */
  swept(): void;
  /** What is final of a path. */
  ref(path: string): RefState | undefined;
  /** The filter of the index may be another. */
  changed(state: FilterState): void;
}

/** Paths, or roots, that wait; what comes beyond them is found by going through all paths. */
const WAITING_MAX = 10_000;
/** Paths of one look, and text of one write. */
const BATCH = 64;
const BATCH_BYTES = 4 * MIB;
const RETRY_MS = SECOND;
const RETRY_MS_MAX = 60 * SECOND;
const PENDING_GAUGE = 'aegis_kb_index_pending';

interface Shown {
  readonly path: string;
  readonly signed: SignedVersion;
}

interface Looked extends Shown {
  readonly known: IndexedContent | 'new';
}

export class Indexer {
  readonly #deps: IndexerDeps;
  readonly #paths = new Set<string>();
  readonly #roots = new Map<string, CID>();
  readonly #idle = new Set<() => void>();
  /** After which path it goes on through all of them; undefined: it is through. */
  #sweep: { after: string | undefined } | undefined = { after: undefined };
  #isWorking = false;
  #isSweeping = false;
  #isStopped = false;
  /** W46: something was taken out of which no trace may stay, now or before the last start. */
  #isPurging = true;
  #failures = 0;
  #retry: NodeJS.Timeout | undefined;

  constructor(deps: IndexerDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#wake();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    this.#tellIdle();
  }

  /** What a path shows may be another. */
  touched(path: string): void {
    this.#paths.add(path);
    this.#wake();
  }

  /** A content is here. */
  stored(root: CID): void {
    this.#roots.set(root.toString(), root);
    this.#wake();
  }

  /** The index was opened, perhaps empty. */
  opened(): void {
    this.#sweep = { after: undefined };
  }

  /** Whether it has not been through all paths since the index was opened. */
  get isPartial(): boolean {
    return this.#sweep !== undefined;
  }

  /** Whether all that is final and here is in the index. */
  get isSettled(): boolean {
    return this.#sweep === undefined && !this.#isBusy;
  }

  /** Until all that it was told is in the index, or so long; it does not wait for a sweep. */
  async settle(timeoutMs: number): Promise<void> {
    if (!this.#isBusy || this.#isStopped) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const signal = timeout(timeoutMs);
    this.#idle.add(resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    this.#idle.delete(resolve);
  }

  get #isBusy(): boolean {
    return this.#paths.size > 0 || this.#roots.size > 0 || (this.#isWorking && !this.#isSweeping);
  }

  #wake(): void {
    if (this.#paths.size > WAITING_MAX || this.#roots.size > WAITING_MAX) {
      this.#paths.clear();
      this.#roots.clear();
      this.#sweep = { after: undefined };
    }
    if (this.#isWorking || this.#isStopped || this.#retry !== undefined) return;
    void this.#work();
  }

  /** Never rejects. */
  async #work(): Promise<void> {
    this.#isWorking = true;
    try {
      for (let isMore = true; isMore && !this.#isStopped; ) {
        isMore = await this.#step();
        this.#deps.metrics.gauge(PENDING_GAUGE, this.#paths.size + this.#roots.size);
        if (this.#paths.size === 0 && this.#roots.size === 0) this.#tellIdle();
      }
      this.#failures = 0;
    } catch (error) {
      this.#rest(error);
    } finally {
      this.#isWorking = false;
      this.#isSweeping = false;
      this.#tellIdle();
      // Something may have come since the last look.
      if (this.#isBusy) this.#wake();
    }
  }

  /** @returns whether there may be more to do. */
  async #step(): Promise<boolean> {
    const paths = [...this.#paths].slice(0, BATCH);
    this.#isSweeping = paths.length === 0 && this.#roots.size === 0;
    if (paths.length > 0) {
      await this.#index(paths, ['new', 'missing'], true);
      return true;
    }
    if (this.#roots.size > 0) {
      await this.#arrived([...this.#roots.values()].slice(0, BATCH));
      return true;
    }
    const sweep = this.#sweep;
    if (sweep === undefined) return await this.#purgeMore();
    const page = this.#deps.graph.pathsAfter(sweep.after, BATCH);
    // Keys that open a content may have come since.
    if (page.length > 0) await this.#index(page, ['new', 'missing', 'sealed']);
    // It may have been opened anew meanwhile.
    if (this.#sweep !== sweep) return true;
    sweep.after = page.at(-1);
    if (page.length === BATCH) return true;
    this.#sweep = undefined;
    this.#deps.swept();
    return true;
  }

  #isShredded(path: string): boolean {
    const [shred] = this.#deps.graph.shreds(path);
    return shred !== undefined;
  }

  /** W46: what paths have shown leaves no trace in the index, once it is taken out. */
  async #purge(): Promise<void> {
    // First: the process may end before it is done.
    await this.#deps.store.purge('note');
    this.#isPurging = true;
  }

  /** @returns whether there is more of it to do. */
  async #purgeMore(): Promise<boolean> {
    if (!this.#isPurging) return false;
    this.#isPurging = false;
    if (!(await this.#deps.store.purge('step'))) this.#isPurging = true;
    // The filter may be another: others must not be told either what was there.
    if (!this.#isPurging) this.#deps.changed(await this.#deps.store.write([]));
    return this.#isPurging;
  }

  /** Their versions are looked at again. */
  async #arrived(roots: readonly CID[]): Promise<void> {
    for (const root of roots) this.#roots.delete(root.toString());
    try {
      const versions = await this.#deps.store.waiting(roots.map(({ bytes }) => bytes));
      for (const bytes of versions) {
        const signed = this.#deps.graph.get(CID.decode(bytes).toString());
        if (signed !== undefined) this.#paths.add(signed.version.path);
      }
    } catch (error) {
      for (const root of roots) this.#roots.set(root.toString(), root);
      throw error;
    }
  }

  async #index(
    paths: readonly string[],
    wanted: readonly (IndexedContent | 'new')[],
    isNews = false,
  ): Promise<void> {
    for (const path of paths) this.#paths.delete(path);
    try {
      const shown: Shown[] = [];
      const removed: string[] = [];
      for (const path of paths) {
        const signed = await this.#shown(path);
        if (signed === undefined) removed.push(path);
        else shown.push({ path, signed });
      }
      if (isNews && paths.some((path) => this.#isShredded(path))) await this.#purge();
      const known = await this.#deps.store.look(
        shown.map(({ path, signed }) => ({ path, version: signed.cid.bytes })),
      );
      const looked = shown.map((one, n) => ({ ...one, known: known[n]! }));
      await this.#write(
        looked.filter((one) => wanted.includes(one.known)),
        removed,
      );
    } catch (error) {
      for (const path of paths) this.#paths.add(path);
      throw error;
    }
  }

  async #write(shown: readonly Looked[], removed: readonly string[]): Promise<void> {
    let entries: IndexEntry[] = [];
    let gone = removed;
    let bytes = 0;
    const flush = async (): Promise<void> => {
      if (entries.length === 0 && gone.length === 0) return;
      this.#deps.changed(await this.#deps.store.write(entries, gone));
      entries = [];
      gone = [];
      bytes = 0;
    };
    for (const one of shown) {
      const entry = await this.#entry(one);
      // It still waits for the same.
      if (entry.content === one.known) continue;
      entries.push(entry);
      bytes += entry.texts.reduce((sum, { length }) => sum + length, 0);
      if (bytes > BATCH_BYTES) await flush();
      if (this.#isStopped) return;
    }
    await flush();
  }

  async #entry({ path, signed }: Shown): Promise<IndexEntry> {
    const { root, message } = signed.version;
    const { content, texts } = await this.#read(root);
    return { path, version: signed.cid.bytes, root: root.bytes, message, content, texts };
  }

  async #read(root: CID): Promise<Pick<IndexEntry, 'content' | 'texts'>> {
    const none = (content: IndexedContent) => ({ content, texts: [] });
    if ((await this.#deps.content.root(root))?.complete !== true) return none('missing');
    try {
      const opened = await this.#deps.contents.openHere(root);
      if (opened === undefined) return none('missing');
      const texts = await textsOf(opened.exporter, root);
      return texts === undefined ? none('wordless') : { content: 'held', texts };
    } catch (error) {
      if (hasCode(error, 'SEALED')) return none('sealed');
      if (hasCode(error, 'NOT_FOUND')) return none('missing');
      const { code, message: reason } = toAegisError(error);
      const fields = { root: root.toString(), code, reason };
      this.#deps.log.write('debug', 'a content could not be read for the index', fields);
      return none('wordless');
    }
  }

  /** The final version that readers see, as far as its record is here. */
  async #shown(path: string): Promise<SignedVersion | undefined> {
    const { graph, ref } = this.#deps;
    const { signed } = await finalHead(path, {
      ref,
      record: (head) => {
        const known = graph.get(head.version.toString());
        const isOf = known !== undefined && isRecordOf(known, path, head);
        return Promise.resolve(isOf ? known : undefined);
      },
    });
    return signed?.version.deleted === true ? undefined : signed;
  }

  #rest(error: unknown): void {
    if (this.#isStopped) return;
    const { code, message: reason } = toAegisError(error);
    this.#deps.log.write('warn', 'the index of words waits', { code, reason });
    const restMs = Math.min(RETRY_MS * 2 ** this.#failures, RETRY_MS_MAX);
    this.#failures += 1;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#wake();
    }, restMs).unref();
  }

  #tellIdle(): void {
    for (const resolve of this.#idle) resolve();
  }
}
