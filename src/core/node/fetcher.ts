/**
 * Brings roots into the own store: does the I/O that the `Fetch` value of `kb/` asks for. Calls for
 * the same root share one fetch. Which holders to ask is for the caller to know, and to hold a
 * lease on the root until it has recorded it (W31).
 */
import type { CID } from 'multiformats/cid';
import { AegisError, hasCode, toAegisError } from '../errors.ts';
import type { Hashers } from '../kb/block.ts';
import { CarDecoder } from '../kb/car.ts';
import { Fetch, type FetchAction, type FetchEvent } from '../kb/fetch.ts';
import type { Host } from '../network/host.ts';
import type { Log, Metrics } from '../ports.ts';
import type { ContentLease } from '../storage/content-lease.ts';
import type { ContentStore } from '../storage/content-store.ts';
import { MIB, MINUTE } from '../units.ts';
import type { RepairPace } from './copies/repair-pace.ts';
import { SmallRequests } from './small-requests.ts';

export interface FetchCall {
  readonly root: CID;
  /** Node ids that may hold it, best first. */
  readonly sources: readonly string[];
  /** Most bytes of objects that the root may have: more is refused before the disk is full. */
  readonly maxBytes?: number;
  /** It is said to be small, so it may share a stream with others. @default false */
  readonly isSmall?: boolean;
  /** W28: it counts against the quota, as what is kept for others does. @default false */
  readonly isBound?: boolean;
  /** W24: what comes passes there, as long as all who wait for the root are so patient. */
  readonly pace?: Pick<RepairPace, 'take'>;
  /** Gives up waiting; the fetch itself goes on while anybody waits. */
  readonly signal?: AbortSignal;
}

export interface FetcherDeps {
  readonly content: ContentStore;
  readonly host: Host;
  readonly hashers: Hashers;
  readonly log: Log;
  readonly metrics: Metrics;
}

interface RunDeps extends FetcherDeps {
  readonly small: SmallRequests;
  /** This holder has cost time for nothing. */
  suspect(nodeId: string): void;
}

type Action<T extends FetchAction['type']> = Extract<FetchAction, { type: T }>;

/** What may wait for the disk before no more is read from the network. */
const BACKLOG_BYTES_MAX = 24 * MIB;
/** So long a holder that stalled or lied is asked after the others: each stall costs a timeout. */
const SUSPECT_MS = 5 * MINUTE;

export class Fetcher {
  readonly #deps: FetcherDeps;
  readonly #small: SmallRequests;
  readonly #running = new Map<string, Run>();
  /** Until when, by the monotonic clock. */
  readonly #suspects = new Map<string, number>();

  constructor(deps: FetcherDeps) {
    this.#deps = deps;
    this.#small = new SmallRequests(deps);
  }

  /**
   * Resolves when the root and all below it are durable in the own store.
   * @throws {AegisError} `NOT_REACHABLE`, `TOO_LARGE`, `BAD_DATA`, `DISK_FULL`, `QUOTA`, or the
   * reason of `signal`.
   */
  async fetch(call: FetchCall): Promise<void> {
    const { root, sources, signal } = call;
    signal?.throwIfAborted();
    const key = root.toString();
    let run = this.#running.get(key);
    if (run === undefined) {
      const trusted = sources.filter((nodeId) => !this.#isSuspect(nodeId));
      const suspects = sources.filter((nodeId) => this.#isSuspect(nodeId));
      const suspect = (nodeId: string) => {
        this.#suspects.set(nodeId, performance.now() + SUSPECT_MS);
      };
      const deps = { ...this.#deps, small: this.#small, suspect };
      run = new Run({ ...call, sources: [...trusted, ...suspects] }, deps);
      this.#running.set(key, run);
      void run.done.catch(() => {}).finally(() => this.#running.delete(key));
    } else {
      if (call.pace === undefined) run.hurry();
      for (const source of sources) run.offer(source);
    }
    await run.wait(signal);
  }

  /** A peer has left: what it was asked for is asked elsewhere. */
  peerGone(nodeId: string): void {
    for (const run of this.#running.values()) run.lose(nodeId);
  }

  #isSuspect(nodeId: string): boolean {
    return (this.#suspects.get(nodeId) ?? 0) > performance.now();
  }

  stop(): void {
    for (const run of this.#running.values()) run.cancel(new AegisError('STOPPING', 'stopping'));
  }
}

class Run {
  readonly done: Promise<void>;
  readonly #deps: RunDeps;
  readonly #fetch: Fetch;
  readonly #root: CID;
  readonly #isSmall: boolean;
  readonly #lease: ContentLease;
  readonly #settle: { resolve: () => void; reject: (error: unknown) => void };
  readonly #streams = new Map<number, AbortController>();
  #pace: FetchCall['pace'];
  #waiting = 0;
  #roomy: (() => void)[] = [];
  #over = false;

  constructor(call: FetchCall, deps: RunDeps) {
    const { root, sources, maxBytes, isSmall = false, isBound = false } = call;
    this.#deps = deps;
    this.#root = root;
    this.#isSmall = isSmall;
    this.#pace = call.pace;
    // Before it looks what is here: that it counts on.
    this.#lease = deps.content.lease({ root, isBound });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.done = promise;
    this.#settle = { resolve, reject };
    const bound = maxBytes === undefined ? {} : { maxBytes };
    this.#fetch = new Fetch({ root, sources, ...bound }, { hashers: deps.hashers });
    this.#act(this.#fetch.start());
  }

  /** Somebody waits for the root who is not to wait for repair. */
  hurry(): void {
    this.#pace = undefined;
  }

  offer(nodeId: string): void {
    this.#step({ type: 'source', nodeId });
  }

  lose(nodeId: string): void {
    this.#step({ type: 'source-gone', nodeId });
  }

  async wait(signal: AbortSignal | undefined): Promise<void> {
    this.#waiting += 1;
    const { promise, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([this.done, promise]);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#waiting -= 1;
      if (signal?.aborted === true && this.#waiting === 0) this.cancel(signal.reason);
    }
  }

  cancel(reason: unknown): void {
    if (this.#over) return;
    this.#over = true;
    for (const stream of this.#streams.values()) stream.abort();
    this.#lease.release();
    this.#wakeAll();
    this.#settle.reject(reason);
  }

  #step(event: FetchEvent): void {
    if (!this.#over) this.#act(this.#fetch.step(event));
  }

  #act(actions: readonly FetchAction[]): void {
    for (const action of actions) {
      switch (action.type) {
        case 'look':
          void this.#look(action).catch((error: unknown) => this.cancel(toAegisError(error)));
          break;
        case 'open':
          void this.#read(action);
          break;
        case 'close':
          this.#streams.get(action.stream)?.abort();
          break;
        case 'store':
          void this.#store(action);
          break;
        case 'liar':
          this.#accuse(action);
          break;
        case 'done':
          this.#finish();
          break;
        case 'failed':
          this.cancel(action.error);
          break;
      }
    }
    this.#wakeAll();
  }

  #finish(): void {
    this.#over = true;
    for (const stream of this.#streams.values()) stream.abort();
    this.#lease.release();
    this.#settle.resolve();
  }

  async #look({ nodes, leaves }: Action<'look'>): Promise<void> {
    const [found, present] = await Promise.all([this.#sound(nodes), this.#lease.has(leaves)]);
    this.#step({ type: 'looked', nodes: found, leaves: present });
  }

  /** A damaged node would lead astray; it is set aside by the store, and so it comes again. */
  async #sound(nodes: readonly CID[]): Promise<(Uint8Array | undefined)[]> {
    try {
      return await this.#lease.getMany(nodes, { verify: true });
    } catch (error) {
      if (!hasCode(error, 'BAD_HASH')) throw error;
      return await this.#sound(nodes);
    }
  }

  /** Reads one stream to its end and reports what comes. */
  async #read({ stream, nodeId, request }: Action<'open'>): Promise<void> {
    const controller = new AbortController();
    this.#streams.set(stream, controller);
    const { signal } = controller;
    const { host, small } = this.#deps;
    try {
      const chunks = this.#isSmall
        ? await small.open(nodeId, request, signal)
        : await host.openBulk(nodeId, request, { signal });
      const car = new CarDecoder();
      for await (const chunk of chunks) {
        for (const block of car.push(chunk)) this.#step({ type: 'block', stream, block });
        await this.#pace?.take(chunk.length, signal);
        while (this.#isFull() && !signal.aborted) await this.#room();
        if (signal.aborted) return;
      }
      car.end();
      this.#step({ type: 'end', stream });
    } catch (error) {
      if (hasCode(error, 'STALLED')) this.#stalled(stream, nodeId);
      else {
        const { message } = toAegisError(error);
        if (hasCode(error, 'BAD_ENCODING', 'TOO_LARGE')) this.#accuse({ nodeId, why: message });
        this.#step({ type: 'end', stream, why: message });
      }
    } finally {
      this.#streams.delete(stream);
    }
  }

  async #store({ batch, blocks }: Action<'store'>): Promise<void> {
    try {
      await this.#lease.put(blocks, { verify: true, transfer: true });
      this.#step({ type: 'stored', batch });
    } catch (error) {
      // A false object is the holder's fault; anything else is a fault of this machine.
      if (hasCode(error, 'BAD_HASH')) this.#step({ type: 'rejected', batch, why: error.message });
      else this.cancel(toAegisError(error));
    }
  }

  #stalled(stream: number, nodeId: string): void {
    const { log, metrics } = this.#deps;
    this.#deps.suspect(nodeId);
    metrics.count('aegis_fetch_stalls_total');
    log.write('warn', 'a holder stalled', { holder: nodeId, root: this.#root.toString() });
    this.#step({ type: 'stalled', stream });
  }

  #accuse({ nodeId, why }: Pick<Action<'liar'>, 'nodeId' | 'why'>): void {
    const { log, metrics } = this.#deps;
    this.#deps.suspect(nodeId);
    metrics.count('aegis_fetch_liars_total');
    log.write('warn', 'a holder sent false objects', {
      holder: nodeId,
      root: this.#root.toString(),
      why,
    });
  }

  #isFull(): boolean {
    return !this.#over && this.#fetch.progress.backlogBytes > BACKLOG_BYTES_MAX;
  }

  #room(): Promise<void> {
    return new Promise((resolve) => this.#roomy.push(resolve));
  }

  #wakeAll(): void {
    const waiting = this.#roomy;
    this.#roomy = [];
    for (const wake of waiting) wake();
  }
}
