/**
 * W28 to W32: how much room content has on this node, and what makes some. Tells the store its
 * limits, begins a collection when the quota is nearly reached, and answers what an operator asks.
 * What is kept, retention and the replication machine say; how it is deleted, collecting.ts.
 */
import type { CID } from 'multiformats/cid';
import type { CallContext, SpaceBackend } from '../../api/backend.ts';
import type { Body, Query, Result } from '../../api/contract/endpoints.ts';
import { limitsOf, retentionOf, type SpaceSettings } from '../../config/space-settings.ts';
import { AegisError, hasCode, toAegisError } from '../../errors.ts';
import type { Replication, ReplicationInput, ReplicationOutcome } from '../../kb/replication.ts';
import { type Retention, retained } from '../../kb/retention.ts';
import type { Version } from '../../model/version.ts';
import type { Log, Metrics } from '../../ports.ts';
import type { ContentStore } from '../../storage/content-store.ts';
import type { ContentLimits, ContentSpace } from '../../storage/protocol.ts';
import { HOUR, SECOND } from '../../units.ts';
import { timeout } from '../timeout.ts';
import { type Collected, Collecting, isBusy } from './collecting.ts';
import { Pins, type PinsDeps } from './pins.ts';

const CHECK_MS = 30 * SECOND;
/** Of the quota: at this share a collection begins by itself. */
const COLLECT_SHARE = 0.9;
/** After one, nothing is to be gained until so much more of the quota is used, or it is later. */
const GROWN_SHARE = 0.01;
const AGAIN_MS = HOUR;
const PART_MS = 60 * SECOND;

export interface SpaceDeps extends PinsDeps {
  readonly content: ContentStore;
  readonly machine: Replication;
  readonly log: Log;
  readonly metrics: Metrics;
  submit(input: ReplicationInput): void;
  mend(root: CID, signal: AbortSignal): Promise<void>;
}

interface LetGo {
  readonly resolve: (roots: readonly CID[]) => void;
  readonly reject: (error: unknown) => void;
}

interface LastCollection extends Collected {
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly tookMs: number;
  /** Bytes in use when it had ended. */
  readonly usedBytes: number;
}

export class Space implements SpaceBackend {
  readonly #settings: SpaceSettings;
  readonly #deps: SpaceDeps;
  readonly #retention: Retention;
  readonly #pins: Pins;
  readonly #stopping = new AbortController();
  /** Questions to the machine, which answers in order. */
  readonly #asked: LetGo[] = [];
  #limits: ContentLimits | undefined;
  #isOver = false;
  #last: LastCollection | undefined;
  #running: Promise<unknown> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(settings: SpaceSettings, deps: SpaceDeps) {
    this.#settings = settings;
    this.#deps = deps;
    this.#retention = retentionOf(settings);
    this.#pins = new Pins(deps);
  }

  /** W28: from here on the limits hold. */
  async start(): Promise<void> {
    const { content, log } = this.#deps;
    this.#limits = limitsOf(this.#settings, (await content.space()).diskBytes);
    await content.limit(this.#limits);
    const check = (): void => {
      this.#check().catch((error: unknown) => {
        const { code, message: reason } = toAegisError(error);
        if (code !== 'STOPPING') log.write('warn', 'the room for content is not known', { reason });
      });
    };
    check();
    this.#timer = setInterval(check, CHECK_MS).unref();
  }

  /** Ends a collection where it is. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const stopping = new AegisError('STOPPING', 'the node stops');
    this.#stopping.abort(stopping);
    this.fail(stopping);
    await this.#running?.catch(() => {});
  }

  /** Nothing that was asked of the machine will be answered. */
  fail(error: AegisError): void {
    for (const { reject } of this.#asked.splice(0)) reject(error);
  }

  /** Hears what the machine has let go. */
  tell(outcome: ReplicationOutcome): void {
    if (outcome.type === 'let-go') this.#asked.shift()?.resolve(outcome.roots);
  }

  /** W28: before anything is fetched for others. @throws {AegisError} `QUOTA`. */
  checkRoom(): void {
    if (this.#isOver) throw new AegisError('QUOTA', 'the room for content is used up');
  }

  /** W30: says that a content is gone by the rule, where that is why it cannot be had. */
  explain(error: unknown, { path, root }: Pick<Version, 'root'> & { path?: string }): unknown {
    if (!hasCode(error, 'NOT_REACHABLE') || path === undefined) return error;
    const history = this.#deps.machine.graph.history(path);
    for (const { version, rule } of retained(history, this.#retention, Date.now())) {
      if (rule !== undefined && version.version.root.equals(root)) return error;
    }
    const { 'kb.keepLast': keepLast, 'kb.keepFor': keepFor } = this.#settings;
    const rules = [
      ...(keepLast === undefined ? [] : [`kb.keepLast ${keepLast}`]),
      ...(keepFor === undefined ? [] : [`kb.keepFor ${keepFor}`]),
    ];
    const rule = rules.join(', ');
    const message = `this content of ${JSON.stringify(path)} has been let go (${rule})`;
    return new AegisError('NOT_KEPT', message, { cause: error, details: { path, rule } });
  }

  async gc({ dryRun, force }: Body<'kb.gc'>, { signal }: CallContext): Promise<Result<'kb.gc'>> {
    const before = await this.#deps.content.space();
    const begin = performance.now();
    const collected = await this.#collect(dryRun, force, signal);
    const after = dryRun ? before : await this.#deps.content.space();
    return {
      dryRun,
      versions: collected.versions,
      roots: collected.roots,
      objects: collected.objects,
      sizeBytes: collected.bytes,
      bytesBefore: before.bytes,
      bytesAfter: after.bytes,
      tookMs: Math.round(performance.now() - begin),
    };
  }

  async space(): Promise<Result<'kb.space'>> {
    const { content, machine } = this.#deps;
    const [space, totals] = await Promise.all([content.space(), content.stat()]);
    const { quotaBytes = 0, reserveBytes = 0 } = this.#limits ?? {};
    const { keepLast, keepForMs } = this.#retention;
    return {
      paths: machine.graph.paths,
      versions: machine.graph.size,
      roots: totals.roots,
      objects: totals.objects,
      sizeBytes: totals.bytes,
      fileBytes: space.bytes,
      usedBytes: space.usedBytes,
      freeBytes: space.freeBytes,
      quotaBytes,
      reserveBytes,
      diskBytes: space.diskBytes,
      diskFreeBytes: space.diskFreeBytes,
      pins: totals.pins,
      isOverQuota: space.usedBytes > quotaBytes,
      isBelowReserve: space.diskFreeBytes < reserveBytes,
      keepLast: keepLast ?? null,
      keepForMs: keepForMs ?? null,
      isCollecting: this.#running !== undefined,
      lastCollection: lastOf(this.#last),
    };
  }

  pin(body: Body<'kb.pin'>, { signal }: CallContext): Promise<Result<'kb.pin'>> {
    return this.#pins.add(body, AbortSignal.any([signal, this.#stopping.signal]));
  }

  unpin(body: Body<'kb.unpin'>): Promise<Result<'kb.unpin'>> {
    return this.#pins.remove(body);
  }

  pins(query: Query<'kb.pins'>): Promise<Result<'kb.pins'>> {
    return this.#pins.list(query);
  }

  async #check(): Promise<void> {
    const space = await this.#deps.content.space();
    const { metrics, log } = this.#deps;
    const { quotaBytes, reserveBytes } = this.#limits!;
    metrics.gauge('aegis_content_used_bytes', space.usedBytes);
    metrics.gauge('aegis_content_quota_bytes', quotaBytes);
    metrics.gauge('aegis_content_disk_free_bytes', space.diskFreeBytes);
    const isOver = space.usedBytes >= quotaBytes || space.diskFreeBytes < reserveBytes;
    if (isOver && !this.#isOver) {
      const { usedBytes, diskFreeBytes } = space;
      const fields = { usedBytes, quotaBytes, diskFreeBytes, reserveBytes };
      log.write('warn', 'no more content is taken in: its room is used up', fields);
    }
    this.#isOver = isOver;
    if (!this.#isDue(space)) return;
    try {
      await this.#collect(false, false, new AbortController().signal);
    } catch (error) {
      if (isBusy(error)) return;
      const { code, message: reason } = toAegisError(error);
      if (code !== 'STOPPING')
        log.write('warn', 'content could not be collected', { code, reason });
    }
  }

  /** W28 */
  #isDue({ usedBytes, diskFreeBytes }: ContentSpace): boolean {
    const { quotaBytes, reserveBytes } = this.#limits!;
    if (usedBytes < COLLECT_SHARE * quotaBytes && diskFreeBytes >= reserveBytes) return false;
    if (this.#running !== undefined) return false;
    if (this.#last === undefined) return true;
    const isGrown = usedBytes - this.#last.usedBytes >= GROWN_SHARE * quotaBytes;
    return isGrown || Date.now() - this.#last.at >= AGAIN_MS;
  }

  async #collect(isDry: boolean, isForced: boolean, caller: AbortSignal): Promise<Collected> {
    const { log, metrics, content, machine, submit, mend } = this.#deps;
    const signal = AbortSignal.any([caller, this.#stopping.signal]);
    const begin = performance.now();
    const running = Collecting.run(
      { isDry, isForced, signal },
      {
        ...{ content, machine, submit, retention: this.#retention, now: () => Date.now() },
        mend: (root, until) => mend(root, AbortSignal.any([until, timeout(PART_MS)])),
        letGo: (roots, isOnlyAsked) => this.#letGo(roots, isOnlyAsked),
      },
    );
    this.#running ??= running;
    try {
      const collected = await running;
      if (isDry) return collected;
      const tookMs = Math.round(performance.now() - begin);
      const { usedBytes } = await content.space();
      this.#last = { ...collected, at: Date.now(), tookMs, usedBytes };
      metrics.count('aegis_content_collections_total');
      metrics.count('aegis_content_collected_bytes_total', collected.bytes);
      log.write('info', 'content was collected', { ...collected, tookMs });
      return collected;
    } finally {
      if (this.#running === running) this.#running = undefined;
    }
  }

  #letGo(roots: readonly CID[], isDry: boolean): Promise<readonly CID[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly CID[]>();
    this.#asked.push({ resolve, reject });
    this.#deps.submit({ type: 'let-go', roots, isDry });
    return promise;
  }
}

const lastOf = (last: LastCollection | undefined): Result<'kb.space'>['lastCollection'] =>
  last === undefined
    ? null
    : {
        time: new Date(last.at).toISOString(),
        tookMs: last.tookMs,
        roots: last.roots,
        objects: last.objects,
        sizeBytes: last.bytes,
      };
