/**
 * Watches over the copies of a running node: the pace of repair, audits, looking through what is
 * kept, and what the API asks about them. What is placed where, and what follows from what is
 * found, `kb/` says.
 */
import type { CID } from 'multiformats/cid';
import type { CallContext } from '../../api/backend.ts';
import type { Body, Query, Result } from '../../api/contract/endpoints.ts';
import type { KbUnwell } from '../../api/contract/kb-copies.ts';
import type { Settings } from '../../config/settings.ts';
import { AegisError } from '../../errors.ts';
import { isNode, parseNode } from '../../kb/reader.ts';
import type { Replication, ReplicationInput, ReplicationOutcome } from '../../kb/replication.ts';
import type { UnwellVersion } from '../../kb/upkeep.ts';
import type { Host } from '../../network/host.ts';
import type { Clock, Hasher, Log, Metrics } from '../../ports.ts';
import type { ContentStore } from '../../storage/content-store.ts';
import { instant, SECOND } from '../../units.ts';
import type { ObjectReader } from '../object-reader.ts';
import { resolveReference } from '../reference.ts';
import { timeout } from '../timeout.ts';
import { Auditor } from './auditor.ts';
import { RepairPace } from './repair-pace.ts';
import { Scrubber } from './scrubber.ts';

export interface CopiesOptions {
  readonly self: string;
  readonly settings: Settings;
}

export interface CopiesDeps {
  readonly machine: Replication;
  readonly content: ContentStore;
  readonly host: Host;
  readonly blake3: Hasher;
  readonly reader: ObjectReader;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  nameOf(nodeId: string): string | null;
  /** An object of a root is damaged or missing here. */
  incomplete(root: CID): void;
  /** Brings an object back, by its hash. */
  restore(object: CID): Promise<void>;
  submit(input: ReplicationInput): void;
}

/** Roots whose last failed fetch is remembered with its reason. */
const FAILURES_MAX = 1024;
/** Objects of a walk that are read together. */
const READ_TOGETHER = 16;
/** So often a drain looks whether it is done. */
const LOOK_MS = SECOND / 2;
/** So often the gauge is set. */
const COUNT_MS = 5 * SECOND;

export class Copies {
  readonly pace: RepairPace;
  readonly #options: CopiesOptions;
  readonly #deps: CopiesDeps;
  readonly #auditor: Auditor;
  readonly #scrubber: Scrubber;
  /** By root; the oldest first. */
  readonly #failures = new Map<string, string>();
  #cancel: (() => void) | undefined;

  constructor(options: CopiesOptions, deps: CopiesDeps) {
    const { settings } = options;
    this.#options = options;
    this.#deps = deps;
    this.pace = new RepairPace({ bytesPerSecond: settings['kb.repairBytesPerSecond'] });
    this.#auditor = new Auditor({ auditsPerHour: settings['kb.auditsPerHour'] }, deps);
    this.#scrubber = new Scrubber({ days: settings['kb.scrubDays'] }, deps);
  }

  start(): void {
    this.#auditor.start();
    this.#scrubber.start();
    this.#count();
  }

  async stop(): Promise<void> {
    this.#cancel?.();
    this.#auditor.stop();
    await this.#scrubber.stop();
  }

  tell(outcome: ReplicationOutcome): void {
    const { metrics } = this.#deps;
    if (outcome.type === 'auditWanted') this.#auditor.wanted(outcome.nodeId, outcome.root);
    if (outcome.type !== 'mended') return;
    metrics.observe('aegis_kb_repair_seconds', outcome.forMs / SECOND);
  }

  /** A fetch for the placement came to nothing. */
  fetchFailed(root: CID, { message }: AegisError): void {
    const name = root.toString();
    this.#failures.delete(name);
    this.#failures.set(name, message);
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > FAILURES_MAX && oldest !== undefined) this.#failures.delete(oldest);
  }

  async status({ limit, after }: Query<'kb.status'>): Promise<Result<'kb.status'>> {
    const { machine } = this.#deps;
    const { upkeep, backlog } = machine;
    const page = upkeep.unwell(after, limit);
    const absent = [...upkeep.absent].map(([nodeId, since]) => ({
      ...this.#member(nodeId),
      since: new Date(since).toISOString(),
    }));
    return {
      ...backlog,
      items: page.map((one) => this.#item(one)),
      next: page.length < limit ? null : (page.at(-1)?.key ?? null),
      absent,
      draining: [...upkeep.draining].map((nodeId) => this.#member(nodeId)),
      drain: this.#drain(),
    };
  }

  /** @throws {AegisError} `NOT_FOUND`, `BAD_HASH` for what nobody has whole, `TIMEOUT`. */
  async repair(
    { path, now, timeoutMs }: Body<'kb.repair'>,
    { signal }: CallContext,
  ): Promise<Result<'kb.repair'>> {
    const { machine } = this.#deps;
    const deadline = AbortSignal.any([signal, timeout(timeoutMs)]);
    const found = path === undefined ? undefined : resolveReference(machine.graph, path).signed;
    const root = found?.version.root;
    this.#deps.submit({ type: 'repair', root, isNow: now });
    const isHere = root !== undefined && machine.hasRoot(root);
    const objects = isHere ? await this.#readAll(root, deadline) : null;
    const unproved = isHere ? await this.#unproved(root) : [];
    return {
      path: found?.version.path ?? null,
      cid: root?.toString() ?? null,
      objects,
      unproved: unproved.map((nodeId) => this.#member(nodeId)),
      ...machine.backlog,
    };
  }

  async scrub({ now }: Body<'kb.scrub'>): Promise<Result<'kb.scrub'>> {
    const { content } = this.#deps;
    if (now) await this.#scrubber.hurry();
    const state = await content.scrubState();
    const timeOf = (at: number | undefined) =>
      at === undefined ? null : new Date(at).toISOString();
    return {
      startedAt: timeOf(state.startedAt),
      objects: state.objects,
      sizeBytes: state.bytes,
      totalBytes: (await content.stat()).bytes,
      damaged: state.damaged,
      hurried: this.#scrubber.isHurried,
      lastDoneAt: timeOf(state.doneAt),
      lastDamaged: state.doneDamaged,
      days: this.#options.settings['kb.scrubDays'],
    };
  }

  /** W26. @throws {AegisError} `UNDER_REPLICATED` when the time is over; the drain goes on. */
  async drain(
    { undo, timeoutMs }: Body<'node.drain'>,
    { signal }: CallContext,
  ): Promise<Result<'node.drain'>> {
    const { machine } = this.#deps;
    if (machine.upkeep.drain.isDraining === undo) {
      this.#deps.submit({ type: 'drain', isDraining: !undo });
    }
    const end = performance.now() + timeoutMs;
    const isDone = (): boolean => {
      const { isDraining, left } = machine.upkeep.drain;
      return undo ? !isDraining : isDraining && left === 0;
    };
    while (!isDone()) {
      signal.throwIfAborted();
      if (performance.now() > end) throw notDrained(machine.upkeep.drain.left);
      await new Promise((done) => setTimeout(done, LOOK_MS));
    }
    return this.#drain();
  }

  /** W25: now and then, since a version lacks copies without anything being told. */
  #count(): void {
    const { clock, metrics, machine } = this.#deps;
    metrics.gauge('aegis_kb_under_replicated', machine.backlog.underReplicated);
    this.#cancel = clock.wakeAt(instant(clock.now() + COUNT_MS), () => this.#count());
  }

  #drain(): Result<'node.drain'> {
    const { isDraining: draining, left = null } = this.#deps.machine.upkeep.drain;
    return { draining, left };
  }

  #item(unwell: UnwellVersion): KbUnwell {
    const { path, version, root, since, copies, placed, missing, isWanted } = unwell;
    const { failures, nextAt } = unwell;
    const state = !isWanted ? 'under-replicated' : failures > 0 ? 'error' : 'fetching';
    return {
      ...{ path, version, cid: root.toString(), state, copies: copies.length },
      wanted: placed.length,
      since: new Date(since).toISOString(),
      why: this.#why(unwell),
      missing: missing.map((nodeId) => this.#missing(nodeId, unwell)),
      failures,
      nextAttempt: nextAt === undefined ? null : new Date(nextAt).toISOString(),
    };
  }

  #why({ root, missing, isWanted, isFetching, failures }: UnwellVersion): string {
    if (isFetching) return 'it is being fetched';
    if (isWanted && failures > 0) {
      return this.#failures.get(root.toString()) ?? 'it could not be fetched';
    }
    if (isWanted) return 'it waits to be fetched: no holder is connected, or others come first';
    return `${missing.length} of its holders have not said that they have it`;
  }

  #missing(nodeId: string, { root }: UnwellVersion): KbUnwell['missing'][number] {
    const { host, machine } = this.#deps;
    const isSelf = nodeId === this.#options.self;
    const isDoubted = machine.upkeep.isDoubted(nodeId, root);
    const other = host.peer(nodeId) === undefined ? 'not-connected' : 'not-confirmed';
    const why = isSelf ? 'fetching' : isDoubted ? 'not-proved' : other;
    return { ...this.#member(nodeId), why };
  }

  #member(nodeId: string): { nodeId: string; name: string | null } {
    return { nodeId, name: this.#deps.nameOf(nodeId) };
  }

  async #unproved(root: CID): Promise<string[]> {
    const { machine, host } = this.#deps;
    const { confirmed } = machine.holders(root);
    const others = confirmed.filter((nodeId) => host.peer(nodeId) !== undefined);
    return await this.#auditor.auditRoot(root, others);
  }

  /** Reads and hashes all objects of a root; what is damaged or missing is mended by the reader. */
  async #readAll(root: CID, signal: AbortSignal): Promise<number> {
    const read = this.#deps.reader.below(root, signal);
    const seen = new Set([root.toString()]);
    const waiting = [root];
    while (waiting.length > 0) {
      signal.throwIfAborted();
      const cids = waiting.splice(-READ_TOGETHER);
      const found = await read(cids);
      for (const [n, cid] of cids.entries()) {
        if (!isNode(cid)) continue;
        for (const link of parseNode(cid, found[n]!).links) {
          if (seen.has(link.cid.toString())) continue;
          seen.add(link.cid.toString());
          waiting.push(link.cid);
        }
      }
    }
    return seen.size;
  }
}

const notDrained = (left: number | undefined): AegisError => {
  const what = left === undefined ? 'not all is' : `${left} roots are not`;
  return new AegisError('UNDER_REPLICATED', `${what} on other nodes yet`, {
    hint: 'The drain goes on: the same command waits again. See: aegis kb status',
  });
};
