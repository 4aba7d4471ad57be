/**
 * Merges the paths whose final state has several heads (W7 to W9), and computes again what others
 * have merged (W18). One at a time, and not more than a share of the thread: a text may be made to
 * be slow to merge. What a merge comes to, kb/merge/ says; whether it counts, the chain.
 */
import type { RefState } from '../../chain/ref.ts';
import { AegisError, toAegisError } from '../../errors.ts';
import { MergeQueue, rankOf } from '../../kb/merge/queue.ts';
import type { Replication, ReplicationInput } from '../../kb/replication.ts';
import { compareShown } from '../../kb/versions.ts';
import { isMerge } from '../../model/merge.ts';
import type { SignedVersion } from '../../model/version.ts';
import type { Clock, Log, Metrics } from '../../ports.ts';
import type { ContentLease } from '../../storage/content-lease.ts';
import type { ContentStore } from '../../storage/content-store.ts';
import { instant, SECOND, type Verified } from '../../units.ts';
import { isRecordOf } from '../final-head.ts';
import type { IntentDesk } from '../intent-desk.ts';
import type { FinalMerge } from './final-merges.ts';
import {
  checkedObjects,
  computeMerge,
  type MergeContentDeps,
  type MergeObjects,
  storedObjects,
} from './merge-content.ts';
import type { MergeFaults } from './merge-faults.ts';

export interface MergerOptions {
  readonly self: string;
  /** W9. @default 2,000 */
  readonly stepMs?: number;
  /** Copies at which a merge that this node has made counts as replicated. */
  readonly minReplicas: number;
}

export interface MergerDeps extends MergeContentDeps {
  readonly machine: Pick<Replication, 'graph' | 'holders' | 'hasRoot'>;
  readonly content: Pick<ContentStore, 'lease' | 'root'>;
  readonly desk: Pick<IntentDesk, 'submit' | 'wait' | 'lastPending'>;
  readonly faults: MergeFaults;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly chain: {
    ref(path: string): RefState | undefined;
    /** N1, S8: this node may write there, and is heard. */
    mayMerge(path: string): boolean;
    custodians(): readonly string[];
  };
  submit(input: ReplicationInput): void;
  /** Fetches what is not here of the content of a version. */
  complete(version: SignedVersion['version'], signal: AbortSignal): Promise<void>;
}

const STEP_MS = 2 * SECOND;
/** So long one merge may wait for objects. */
const MERGE_MS = 60 * SECOND;
/** Of the thread, so many times as long as a merge has taken is left to others after it. */
const REST_FACTOR = 4;
const REST_MS_MAX = 5 * SECOND;
/** Merges of others that wait to be computed again; the oldest is given up. */
const CHECKS_MAX = 1024;
/** So long a final head may be unknown before it is asked for; so many are. */
const UNKNOWN_MS = 5 * SECOND;
const UNKNOWN_MAX = 4096;
/** Paths that are looked at in one go, at the start. */
const PAGE = 256;
const COUNTED = [
  'aegis_kb_merges_total',
  'aegis_kb_merge_conflicts_total',
  'aegis_kb_merges_checked_total',
  'aegis_kb_merges_wrong_total',
];

export class Merger {
  readonly #options: MergerOptions;
  readonly #deps: MergerDeps;
  readonly #queue: MergeQueue;
  readonly #ending = new AbortController();
  /** By CID, those that this node computes or has computed; it does not check them again. */
  readonly #own = new Set<string>();
  /** Merges of others, with who has handed them in. */
  readonly #checks = new Map<string, string>();
  /** By CID, until the graph has the merge. */
  readonly #leases = new Map<string, ContentLease>();
  #isWorking = false;
  #restUntil = 0;
  #cancelAlarm: (() => void) | undefined;
  /** Final heads that are to be asked for if they do not come by themselves. */
  readonly #unknown = new Set<string>();
  #cancelAsk: (() => void) | undefined;

  constructor(options: MergerOptions, deps: MergerDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#queue = new MergeQueue({ stepMs: options.stepMs ?? STEP_MS });
    for (const name of COUNTED) deps.metrics.count(name, 0);
  }

  /** Looks at all paths that have several heads. */
  start(): void {
    const { graph } = this.#deps.machine;
    const look = (after: string | undefined): void => {
      if (this.#ending.signal.aborted) return;
      const paths = graph.forkedAfter(after, PAGE);
      for (const path of paths) this.look(path);
      if (paths.length === PAGE) setImmediate(() => look(paths.at(-1)));
    };
    look(undefined);
  }

  stop(): void {
    this.#ending.abort(new AegisError('STOPPING', 'the node is stopping'));
    this.#cancelAlarm?.();
    this.#cancelAsk?.();
    for (const lease of this.#leases.values()) lease.release();
    this.#leases.clear();
  }

  /** Paths that wait to be merged here. */
  get unmerged(): number {
    return this.#queue.size;
  }

  /** What is final of a path, or known, may be another. */
  look(path: string): void {
    if (this.#ending.signal.aborted) return;
    this.#ask(path);
    const heads = this.#heads(path);
    const rank = heads === undefined ? undefined : this.#rank(path, heads);
    if (heads === undefined || rank === undefined) this.#queue.settled(path);
    else this.#queue.forked(path, heads, rank, this.#deps.clock.now());
    this.#deps.metrics.gauge('aegis_kb_unmerged_paths', this.#queue.size);
    this.#arm();
  }

  /** Blocks have brought merges. */
  final(merges: readonly FinalMerge[]): void {
    if (merges.length === 0) return;
    this.#deps.submit({ type: 'merges', records: merges.map(({ record }) => record) });
    for (const { record, by } of merges) this.#deps.faults.brought(record, by);
  }

  /** The graph has a version more. */
  added(signed: SignedVersion): void {
    const { cidText, version } = signed;
    const { machine, submit } = this.#deps;
    if (machine.graph.headCount(version.path) > 1) this.look(version.path);
    if (!isMerge(version)) return;
    const lease = this.#leases.get(cidText);
    if (lease !== undefined) {
      this.#leases.delete(cidText);
      // As an author does: the placed holders are told until they have it.
      submit({ type: 'want', version: cidText, copies: this.#options.minReplicas });
      lease.release();
    }
    if (this.#own.has(cidText)) return;
    this.#checks.set(cidText, this.#deps.faults.broughtBy(cidText) ?? '');
    if (this.#checks.size > CHECKS_MAX) this.#checks.delete(this.#checks.keys().next().value!);
    this.#arm();
  }

  /** All heads, the shown one first; undefined when there is nothing to merge, or not all known. */
  #heads(path: string): SignedVersion[] | undefined {
    const { chain, machine } = this.#deps;
    const heads = chain.ref(path)?.heads ?? [];
    if (heads.length < 2) return undefined;
    const known = heads.flatMap((head) => {
      const signed = machine.graph.get(head.version.toString());
      return signed !== undefined && isRecordOf(signed, path, head) ? [signed] : [];
    });
    if (known.length < heads.length) return undefined;
    return known.toSorted((a, b) => compareShown(b, a));
  }

  /**
   * Heads that are final and of which there is no record here: mostly one that is on its way, and
   * now and then a merge that no vector tells of.
   */
  #ask(path: string): void {
    const { chain, machine, clock } = this.#deps;
    for (const { version } of chain.ref(path)?.heads ?? []) {
      const name = version.toString();
      if (machine.graph.has(name) || this.#unknown.size >= UNKNOWN_MAX) continue;
      if (this.#unknown.size === 0) {
        const at = instant(clock.now() + UNKNOWN_MS);
        this.#cancelAsk = clock.wakeAt(at, () => this.#askAll());
      }
      this.#unknown.add(name);
    }
  }

  #askAll(): void {
    const { machine, submit } = this.#deps;
    const versions = [...this.#unknown].filter((name) => !machine.graph.has(name));
    this.#unknown.clear();
    if (versions.length > 0) submit({ type: 'missing', versions });
  }

  #rank(path: string, heads: readonly SignedVersion[]): number | undefined {
    const { chain, machine } = this.#deps;
    if (!chain.mayMerge(path)) return undefined;
    const { placed } = machine.holders(heads[0]!.version.root);
    return rankOf(this.#options.self, { heads, placed, custodians: chain.custodians() });
  }

  #arm(): void {
    this.#cancelAlarm?.();
    this.#cancelAlarm = undefined;
    if (this.#isWorking || this.#ending.signal.aborted) return;
    const next = this.#checks.size > 0 ? 0 : this.#queue.nextAt();
    if (next === undefined) return;
    const at = instant(Math.max(next, this.#restUntil));
    this.#cancelAlarm = this.#deps.clock.wakeAt(at, () => void this.#work());
  }

  async #work(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    const { clock } = this.#deps;
    const path = this.#queue.take(clock.now());
    const [check] = this.#checks;
    this.#restUntil = 0;
    if (path !== undefined) await this.#merge(path);
    else if (check !== undefined) {
      this.#checks.delete(check[0]);
      await this.#check(...check);
    }
    this.#isWorking = false;
    this.#arm();
  }

  async #merge(path: string): Promise<void> {
    const { clock, log, desk } = this.#deps;
    this.#queue.tried(path, clock.now());
    const heads = this.#heads(path);
    // What this node has written there will be final first.
    if (heads === undefined || desk.lastPending(path) !== undefined) return;
    const signal = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(MERGE_MS)]);
    const lease = this.#deps.content.lease({ isBound: false });
    try {
      await this.#handIn(path, heads, lease, signal);
    } catch (error) {
      lease.release();
      if (this.#ending.signal.aborted) return;
      const { code, message: reason } = toAegisError(error);
      log.write('info', 'a path could not be merged yet', { path, code, reason });
    }
  }

  async #handIn(
    path: string,
    heads: readonly SignedVersion[],
    lease: ContentLease,
    signal: AbortSignal,
  ): Promise<void> {
    const { metrics, log, desk } = this.#deps;
    const merge = await this.#compute(heads, storedObjects(lease), signal);
    this.#know(merge.cidText);
    await this.#keep(merge, { heads, lease, signal });
    // All of it took its time.
    if (!isSame(this.#heads(path), heads)) return lease.release();
    const { cid, cidText, version, bytes } = merge;
    this.#leases.set(cidText, lease);
    const [queued] = await desk.submit([
      [
        {
          path,
          version: cid,
          parents: version.parents,
          generation: version.generation,
          ...(version.deleted === true ? { deleted: true } : {}),
          merge: bytes,
        },
      ],
    ]);
    void this.#decided(cidText, queued!);
    metrics.count('aegis_kb_merges_total');
    const conflicts = version.conflicts?.length ?? 0;
    if (conflicts > 0) metrics.count('aegis_kb_merge_conflicts_total');
    const fields = { path, version: cidText, heads: heads.length, conflicts };
    log.write('info', 'a path with several heads is merged', fields);
  }

  /** Durable before the intent: all of the root is here. */
  async #keep(
    { version }: Verified<SignedVersion>,
    {
      heads,
      lease,
      signal,
    }: {
      readonly heads: readonly SignedVersion[];
      readonly lease: ContentLease;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const { root, sizeBytes, deleted } = version;
    // That of a head is kept as the head's is.
    if (deleted === true || heads.some((head) => head.version.root.equals(root))) return;
    for (const head of heads) {
      if (head.version.deleted !== true) await this.#deps.complete(head.version, signal);
    }
    await lease.setRoot(root, { sizeBytes, complete: true });
    this.#deps.submit({ type: 'stored', root });
  }

  /** A merge that was refused, or that another node had first, needs no lease. */
  async #decided(cidText: string, queued: Parameters<IntentDesk['wait']>[0]): Promise<void> {
    try {
      const { result } = await this.#deps.desk.wait(queued, this.#ending.signal);
      if (result !== 'refused') return;
    } catch {
      // It was cancelled, or the node stops.
    }
    this.#leases.get(cidText)?.release();
    this.#leases.delete(cidText);
  }

  /** W18. Only what is here is read: others check what they have. */
  async #check(cidText: string, by: string): Promise<void> {
    const { machine, log } = this.#deps;
    const merge = machine.graph.get(cidText);
    const heads = merge?.version.parents.map((cid) => machine.graph.get(cid.toString()));
    if (merge === undefined || !isWhole(heads)) return;
    const signal = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(MERGE_MS)]);
    try {
      if (await this.#areHere(heads)) await this.#compare(merge, heads, by, signal);
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      const { code, message: reason } = toAegisError(error);
      log.write('info', 'a merge could not be checked', { version: cidText, code, reason });
    }
  }

  async #areHere(heads: readonly SignedVersion[]): Promise<boolean> {
    for (const { version } of heads) {
      if (version.deleted === true) continue;
      if ((await this.#deps.content.root(version.root))?.complete !== true) return false;
    }
    return true;
  }

  async #compare(
    merge: SignedVersion,
    heads: readonly SignedVersion[],
    by: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { metrics, log, faults } = this.#deps;
    const { cidText, version } = merge;
    const found = await this.#compute(heads, checkedObjects(), signal);
    metrics.count('aegis_kb_merges_checked_total');
    if (found.cidText === cidText) return;
    metrics.count('aegis_kb_merges_wrong_total');
    const fields = { path: version.path, version: cidText, by, computed: found.cidText };
    log.write('error', 'a merge is not what its parents come to', fields);
    await faults.add(cidText, by);
  }

  async #compute(
    heads: readonly SignedVersion[],
    objects: MergeObjects,
    signal: AbortSignal,
  ): Promise<Verified<SignedVersion>> {
    const { merge, busyMs } = await computeMerge(this.#deps, heads, objects, signal);
    const restMs = Math.min(busyMs * REST_FACTOR, REST_MS_MAX);
    this.#restUntil = this.#deps.clock.now() + restMs;
    return merge;
  }

  #know(cidText: string): void {
    this.#own.add(cidText);
    if (this.#own.size > CHECKS_MAX) this.#own.delete(this.#own.values().next().value!);
  }
}

const isWhole = (heads: (SignedVersion | undefined)[] | undefined): heads is SignedVersion[] =>
  heads?.every((head) => head !== undefined) === true;

const isSame = (a: readonly SignedVersion[] | undefined, b: readonly SignedVersion[]): boolean =>
  a?.length === b.length && b.every(({ cidText }) => a.some((one) => one.cidText === cidText));
