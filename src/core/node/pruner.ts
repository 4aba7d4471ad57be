/**
 * Z1: forgets old blocks, and what became of their intents, in steps so small that a vote does not
 * wait for them, and gives their space back to the disk. State, hand-overs, members and successions
 * are not its to touch. It decides nothing: how much is kept is the operator's.
 *
 * Each step is a transaction that says by itself from where on the blocks are whole. So it may be
 * cut anywhere: what is left of a step comes first in the next one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { baseRow, heightKey, META, readBase, readReceipt, TABLES } from '../chain/rows.ts';
import { KEEP_BLOCKS_MIN } from '../config/settings.ts';
import { AegisError, hasCode, toAegisError } from '../errors.ts';
import type { LogEntry } from '../machine.ts';
import { openBlock } from '../model/block.ts';
import { type IntentContext, readIntent } from '../model/intent.ts';
import type { Log, Metrics } from '../ports.ts';
import type { RangeQuery, StoreSpace, TableRow } from '../storage/protocol.ts';
import { KIB, MIB, SECOND } from '../units.ts';

/** Rows that go in one transaction: about 3 ms of the store. */
const STEP_ROWS = 256;
/** Blocks that are read at a time: fewer when they are large, for they may have a megabyte each. */
const READ_BLOCKS_MIN = 4;
const READ_BLOCKS_MAX = 32;
const READ_BYTES = 256 * KIB;
/** Pages of one step of giving space back: about 1 ms. */
const STEP_PAGES = 64;
/** For each millisecond of work so many of rest, so that the store is free for others. */
const REST = 2;
const REST_MS_MAX = 100;
/** In the background nothing is done for fewer blocks than these. */
const SLACK_BLOCKS = 64;
/** New blocks take what old ones leave; the disk gets back what is more than that. */
const FREE_BYTES_MAX = 8 * MIB;
const RETRY_MS = 60 * SECOND;

export interface PrunerStore {
  range(query: RangeQuery): Promise<TableRow[]>;
  get(table: string, key: string): Promise<Uint8Array | undefined>;
  getMany(table: string, keys: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  commitApart(entries: readonly LogEntry[]): Promise<void>;
  shrink(pages: number): Promise<number>;
  space(): Promise<StoreSpace>;
  freeBytes(): Promise<number>;
}

export interface PrunerOptions {
  /** Blocks that are kept; 0: all. */
  readonly keepBlocks: number;
}

export interface PrunerDeps {
  readonly store: PrunerStore;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Ids of the intents of a block. @throws for what is no block. */
  idsOf(block: Uint8Array): readonly string[];
  /** The last height of which nothing needs the blocks before any more. */
  height(): number;
  /** The lowest height whose block the chain keeps: a snapshot may have raised it (Y4). */
  base(): number;
  /** Blocks below this height are gone, durably. */
  pruned(base: number): void;
}

export interface Pruned {
  /** The lowest height whose block was kept before, and is now. */
  readonly from: number;
  readonly base: number;
  /** The last final height. */
  readonly height: number;
  readonly blocks: number;
  /** What the facts take on the disk, with their log. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** Of the intents of a block. */
export const intentIds =
  (context: IntentContext) =>
  (block: Uint8Array): readonly string[] =>
    openBlock(block).intents.map((bytes) => readIntent(bytes, context).signed.id);

/** The lowest height that is kept. */
export function baseFor(height: number, keep: number, base: number): number {
  return Math.max(base, height - Math.max(keep, KEEP_BLOCKS_MIN) + 1);
}

export class Pruner {
  readonly #options: PrunerOptions;
  readonly #deps: PrunerDeps;
  #base: number;
  #isBusy = false;
  #retryAt = 0;
  readonly #stopping = new AbortController();
  #work: Promise<unknown> = Promise.resolve();

  private constructor(options: PrunerOptions, deps: PrunerDeps, base: number) {
    this.#options = options;
    this.#deps = deps;
    this.#base = base;
  }

  static async open(options: PrunerOptions, deps: PrunerDeps): Promise<Pruner> {
    const row = await deps.store.get(TABLES.meta, META.base);
    const pruner = new Pruner(options, deps, readBase(row));
    deps.metrics.gauge('aegis_chain_base_height', pruner.base);
    return pruner;
  }

  /** The lowest height whose block is kept. */
  get base(): number {
    return Math.max(this.#base, this.#deps.base());
  }

  /** What would go, and what the facts take now. */
  async plan(keep: number): Promise<Pruned> {
    const { bytes } = await this.#deps.store.space();
    const height = this.#deps.height();
    const from = this.base;
    const base = baseFor(height, keep, from);
    return { from, base, height, blocks: base - from, bytesBefore: bytes, bytesAfter: bytes };
  }

  /**
   * Forgets all but the last blocks, and gives back all that is free.
   * @throws {AegisError} `BUSY`; `DISK_FULL`: what was done until then stays done; `STOPPING`.
   */
  async prune(keep: number, signal?: AbortSignal): Promise<Pruned> {
    return await this.#alone(async () => {
      const planned = await this.plan(keep);
      await this.#forget(planned.base, signal);
      await this.#giveBack(0, signal);
      const { bytes } = await this.#deps.store.space();
      const done = { ...planned, bytesAfter: bytes };
      this.#deps.log.write('info', 'old blocks were pruned', { ...done });
      return done;
    });
  }

  /** A block has become final: there may be one too many. Never throws. */
  moved(): void {
    const { keepBlocks } = this.#options;
    if (keepBlocks === 0 || this.#isBusy || Date.now() < this.#retryAt) return;
    const { base } = this;
    const to = baseFor(this.#deps.height(), keepBlocks, base);
    if (to - base < SLACK_BLOCKS) return;
    const work = this.#alone(async () => {
      await this.#forget(to);
      await this.#giveBack(FREE_BYTES_MAX);
    });
    work.catch((error: unknown) => {
      if (hasCode(error, 'STOPPING')) return;
      this.#retryAt = Date.now() + RETRY_MS;
      const { code, message: reason } = toAegisError(error);
      this.#deps.log.write('warn', 'old blocks could not be pruned', { code, reason });
    });
  }

  /** Ends with the step under way. */
  async close(): Promise<void> {
    this.#stopping.abort(new AegisError('STOPPING', 'the node stops'));
    await this.#work.catch(() => {});
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    this.#stopping.signal.throwIfAborted();
    if (this.#isBusy) throw new AegisError('BUSY', 'old blocks are being pruned already');
    this.#isBusy = true;
    const running = work().finally(() => {
      this.#isBusy = false;
    });
    this.#work = running;
    return await running;
  }

  /** The greatest transactions are those of one block, cut where they get long. */
  async #forget(to: number, signal?: AbortSignal): Promise<void> {
    const { store } = this.#deps;
    let limit = READ_BLOCKS_MIN;
    for (;;) {
      // From the first: undecided blocks of old heights would otherwise stay for ever.
      const query = { table: TABLES.blocks, from: '', to: heightKey(to), limit };
      const rows = await this.#step(signal, () => store.range(query));
      await this.#forgetBlocks(rows, signal);
      if (rows.length < limit) break;
      limit = nextLimit(limit, rows);
    }
    for (;;) {
      const query = { table: TABLES.chain, from: '', to: heightKey(to), limit: STEP_ROWS };
      const rows = await this.#step(signal, () => store.range(query));
      await this.#step(signal, () => this.#commit(rows.map(gone(TABLES.chain)), to));
      if (rows.length < STEP_ROWS) return;
    }
  }

  /** The base is above a block as soon as anything of it is gone. */
  async #forgetBlocks(rows: readonly TableRow[], signal?: AbortSignal): Promise<void> {
    let entries: LogEntry[] = [];
    let { base } = this;
    const flush = async (): Promise<void> => {
      const some = entries;
      entries = [];
      await this.#step(signal, () => this.#commit(some, base));
    };
    for (const { key, value } of rows) {
      const height = Number(key.slice(0, key.indexOf('/')));
      base = height + 1;
      // First, for without the block nobody knows what its intents were.
      const ids = this.#idsOf(key, value);
      for (let at = 0; at < ids.length; at += STEP_ROWS) {
        entries.push(...(await this.#oldReceipts(ids.slice(at, at + STEP_ROWS), base)));
        if (entries.length >= STEP_ROWS) await flush();
      }
      entries.push(gone(TABLES.chain)({ key: heightKey(height) }), gone(TABLES.blocks)({ key }));
      if (entries.length >= STEP_ROWS) await flush();
    }
    if (entries.length > 0) await flush();
  }

  /** Of an intent that was sent twice the last receipt is kept, which may be of a later block. */
  async #oldReceipts(ids: readonly string[], base: number): Promise<LogEntry[]> {
    const receipts = await this.#deps.store.getMany(TABLES.receipts, ids);
    const old = ids.filter((id, n) => isBelow(id, receipts[n], base));
    return old.map((id) => gone(TABLES.receipts)({ key: id }));
  }

  #idsOf(key: string, block: Uint8Array): readonly string[] {
    try {
      return this.#deps.idsOf(block);
    } catch (error) {
      const { message: reason } = toAegisError(error);
      this.#deps.log.write('warn', 'a block that is pruned cannot be read', { key, reason });
      return [];
    }
  }

  /** Blocks are whole from `base` on once this is durable. */
  async #commit(entries: readonly LogEntry[], base: number): Promise<void> {
    const before = this.base;
    const next = Math.max(base, before);
    const row = { table: TABLES.meta, key: META.base, value: baseRow(next) };
    await this.#deps.store.commitApart(next === before ? entries : [...entries, row]);
    if (next === before) return;
    this.#deps.metrics.count('aegis_chain_pruned_blocks_total', next - before);
    this.#deps.metrics.gauge('aegis_chain_base_height', next);
    this.#base = next;
    this.#deps.pruned(next);
  }

  async #giveBack(freeBytesMax: number, signal?: AbortSignal): Promise<void> {
    const { store } = this.#deps;
    if ((await store.freeBytes()) <= freeBytesMax) return;
    for (let free = Number.POSITIVE_INFINITY; free > 0; ) {
      free = await this.#step(signal, () => store.shrink(STEP_PAGES));
    }
  }

  /** Work, and then a rest in proportion to it. */
  async #step<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    this.#stopping.signal.throwIfAborted();
    signal?.throwIfAborted();
    const startedAt = performance.now();
    const done = await work();
    await sleep(Math.min(REST_MS_MAX, REST * (performance.now() - startedAt)));
    return done;
  }
}

function nextLimit(limit: number, rows: readonly TableRow[]): number {
  const bytes = rows.reduce((sum, { value }) => sum + value.length, 0);
  if (bytes > READ_BYTES) return Math.max(READ_BLOCKS_MIN, Math.floor(limit / 2));
  return Math.min(READ_BLOCKS_MAX, limit * 2);
}

const gone =
  (table: string) =>
  ({ key }: { readonly key: string }): LogEntry => ({ table, key, value: undefined });

const isBelow = (id: string, receipt: Uint8Array | undefined, height: number): boolean =>
  receipt !== undefined && readReceipt(id, receipt).height < height;
