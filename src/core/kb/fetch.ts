/**
 * The receiver's side of a fetch, as a value: takes events, says what to do next. It brings one
 * root into the own store from any number of holders: looks what is there, asks for the rest,
 * checks that every object that comes is the one that must come, spreads large roots over several
 * holders, and goes on elsewhere when a holder lies, stalls or leaves.
 *
 * It does no I/O and keeps no leaf longer than a batch: memory does not grow with the root. Nodes
 * are checked here, since their links are followed at once; leaves are checked by the store, which
 * answers `stored` or `rejected`. Once it has failed it does not try again by itself.
 */
import type { CID } from 'multiformats/cid';
import { assert } from '../assert.ts';
import { AegisError, isAegisError } from '../errors.ts';
import { MIB } from '../units.ts';
import type { Block, Hashers } from './block.ts';
import { type Gathered, Incoming } from './incoming.ts';
import { LIMITS, SEGMENT_BYTES } from './limits.ts';
import { LocalScan, type Look, type Looked, type Missing } from './local-scan.ts';
import { encodeFetchRequest, skipListOf, skipsOf } from './request.ts';
import { type Segment, segmentsOf } from './segments.ts';
import { Sources } from './sources.ts';
import { comparePaths } from './tree-range.ts';

export interface FetchOptions {
  readonly root: CID;
  /** Node ids that may have the root, best first. More may come as `source` events. */
  readonly sources: readonly string[];
  /** Objects that are in the own store with all below them; they are not asked for. */
  readonly have?: readonly CID[];
  /** Most bytes of objects that the root may have. @default 1 TiB */
  readonly maxBytes?: number;
  /** @default 64 MiB */
  readonly segmentBytes?: number;
  /** @default 4 */
  readonly maxStreams?: number;
  /** Bytes after which a batch goes to the store. @default 4 MiB */
  readonly batchBytes?: number;
  /** Requests without any object after which a holder is given up. @default 2 */
  readonly maxFailures?: number;
}

export type FetchEvent =
  /** The answer to `look`, in its order. */
  | ({ readonly type: 'looked' } & Looked)
  /** An object came on a stream. Its bytes have not been checked. */
  | { readonly type: 'block'; readonly stream: number; readonly block: Block }
  /** A stream ended: all sent, cut, refused, or its CAR was not one. */
  | { readonly type: 'end'; readonly stream: number; readonly why?: string }
  /** Nothing came for too long. */
  | { readonly type: 'stalled'; readonly stream: number }
  /** A batch is durable, its hashes checked. */
  | { readonly type: 'stored'; readonly batch: number }
  /** A batch has an object with false bytes; nothing of it counts as stored. */
  | { readonly type: 'rejected'; readonly batch: number; readonly why: string }
  | { readonly type: 'source'; readonly nodeId: string }
  | { readonly type: 'source-gone'; readonly nodeId: string };

export type FetchAction =
  /** Look into the own store; answer with `looked`. */
  | ({ readonly type: 'look' } & Look)
  /** Send the request to a holder and report what comes. */
  | {
      readonly type: 'open';
      readonly stream: number;
      readonly nodeId: string;
      readonly request: Uint8Array;
    }
  /** Nothing more is wanted from the stream. */
  | { readonly type: 'close'; readonly stream: number }
  /** Check the hashes and make durable; answer with `stored` or `rejected`. */
  | { readonly type: 'store'; readonly batch: number; readonly blocks: readonly Block[] }
  /** Told once of each. */
  | { readonly type: 'liar'; readonly nodeId: string; readonly why: string }
  /** The root and all below it are durable in the own store. */
  | { readonly type: 'done'; readonly blocks: number; readonly bytes: number }
  | { readonly type: 'failed'; readonly error: AegisError };

export interface FetchProgress {
  /** Objects that came and have been handed to the store. */
  readonly blocks: number;
  readonly bytes: number;
  /** Bytes that are held or wait for the store: read no more from the network while it is high. */
  readonly backlogBytes: number;
  readonly streams: number;
}

interface Pending {
  readonly nodeId: string;
  readonly parts: readonly Missing[];
  readonly blocks: number;
  readonly bytes: number;
}

/** Indexes in the places of one request; with the skip list it stays below its limit. */
const REQUEST_INDEXES = 4096;

export class Fetch {
  readonly #options: Required<Omit<FetchOptions, 'sources' | 'have'>>;
  readonly #skip: Uint8Array;
  readonly #skips: (cid: CID) => boolean;
  readonly #hashers: Hashers;
  readonly #sources: Sources;
  readonly #scan: LocalScan;
  readonly #liars = new Set<string>();
  readonly #streams = new Map<number, Incoming>();
  readonly #pending = new Map<number, Pending>();
  /** Sorted by place. */
  #queue: Segment[] = [];
  #phase: 'new' | 'scan' | 'fetch' | 'over' = 'new';
  #serial = 0;
  #blocks = 0;
  #bytes = 0;
  #backlogBytes = 0;
  #actions: FetchAction[] = [];

  constructor(options: FetchOptions, deps: { readonly hashers: Hashers }) {
    const { sources, have = [], ...rest } = options;
    this.#options = {
      maxBytes: LIMITS.rootBytes,
      segmentBytes: SEGMENT_BYTES,
      maxStreams: 4,
      batchBytes: 4 * MIB,
      maxFailures: 2,
      ...rest,
    };
    this.#hashers = deps.hashers;
    this.#skip = skipListOf(have);
    this.#skips = skipsOf(this.#skip);
    const failuresMax = this.#options.maxFailures;
    this.#sources = new Sources({ nodeIds: sources, failuresMax });
    this.#scan = new LocalScan({ root: options.root, skips: this.#skips });
  }

  get progress(): FetchProgress {
    let backlogBytes = this.#backlogBytes;
    for (const stream of this.#streams.values()) backlogBytes += stream.gatheredBytes;
    const { size: streams } = this.#streams;
    return { blocks: this.#blocks, bytes: this.#bytes, backlogBytes, streams };
  }

  get isOver(): boolean {
    return this.#phase === 'over';
  }

  start(): FetchAction[] {
    assert(this.#phase === 'new', 'a fetch starts once');
    this.#phase = 'scan';
    return this.#run(() => this.#look());
  }

  /** Events of streams and batches that are over do nothing. */
  step(event: FetchEvent): FetchAction[] {
    if (this.#phase === 'over') return [];
    assert(this.#phase !== 'new', 'a fetch is started before it gets events');
    return this.#run(() => this.#take(event));
  }

  #run(work: () => void): FetchAction[] {
    try {
      work();
    } catch (error) {
      if (!isAegisError(error)) throw error;
      this.#fail(error);
    }
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  #take(event: FetchEvent): void {
    switch (event.type) {
      case 'looked':
        this.#scan.looked(event);
        return this.#look();
      case 'block':
        return this.#takeBlock(event.stream, event.block);
      case 'end':
        return this.#end(event.stream, event.why ?? 'ended');
      case 'stalled':
        this.#actions.push({ type: 'close', stream: event.stream });
        return this.#end(event.stream, 'stalled');
      case 'stored':
      case 'rejected':
        return this.#settle(event.batch, event.type === 'rejected' ? event.why : undefined);
      case 'source':
        this.#sources.add(event.nodeId);
        return this.#schedule();
      case 'source-gone':
        return this.#drop(event.nodeId, 'left');
    }
  }

  #look(): void {
    const look = this.#scan.look();
    if (look !== undefined) {
      this.#actions.push({ type: 'look', ...look });
      return;
    }
    this.#phase = 'fetch';
    this.#enqueue(this.#scan.missing);
    this.#schedule();
  }

  #takeBlock(id: number, block: Block): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    const taken = stream.take(block);
    if (typeof taken === 'string') return this.#drop(stream.nodeId, taken, true);
    this.#blocks += 1;
    this.#bytes += block.bytes.length;
    const below = taken.links.reduce((sum, link) => sum + link.tsize, 0);
    this.#checkSize(below);
    if (below > this.#options.segmentBytes) this.#spread(stream);
    if (stream.isComplete || stream.gatheredBytes >= this.#options.batchBytes) this.#store(stream);
    if (stream.isComplete) {
      this.#actions.push({ type: 'close', stream: id });
      this.#end(id, 'ended');
    }
  }

  /** What a node claims is checked before it is fetched; what has come, in case it lied. */
  #checkSize(below: number): void {
    const { maxBytes, root } = this.#options;
    const bytes = Math.max(below, this.#bytes);
    if (bytes <= maxBytes && this.#blocks <= LIMITS.rootBlocks) return;
    const what = `${bytes} bytes or ${this.#blocks} objects, more than allowed`;
    throw new AegisError('TOO_LARGE', `the root ${root.toString()} has ${what}`);
  }

  /** A node with much below it came: other holders can bring parts of that. */
  #spread(stream: Incoming): void {
    // The node goes to the store before anything below it comes from elsewhere: after a crash the
    // parts would be of no use without it.
    this.#store(stream);
    const others = stream.split(this.#options.segmentBytes);
    if (others.length === 0) return;
    this.#queue = [...this.#queue, ...others].toSorted((a, b) => comparePaths(a.from, b.from));
    this.#schedule();
  }

  #store(stream: Incoming): void {
    const gathered: Gathered | undefined = stream.flush();
    if (gathered === undefined) return;
    const { blocks, bytes, parts } = gathered;
    this.#serial += 1;
    const { nodeId } = stream;
    this.#pending.set(this.#serial, { nodeId, parts, blocks: blocks.length, bytes });
    this.#backlogBytes += bytes;
    this.#actions.push({ type: 'store', batch: this.#serial, blocks });
  }

  #settle(batch: number, lie: string | undefined): void {
    const pending = this.#pending.get(batch);
    if (pending === undefined) return;
    this.#pending.delete(batch);
    this.#backlogBytes -= pending.bytes;
    if (lie !== undefined) {
      // What a liar sent does not count against the size of the root.
      this.#bytes -= pending.bytes;
      this.#blocks -= pending.blocks;
      this.#enqueue(pending.parts);
      return this.#drop(pending.nodeId, lie, true);
    }
    this.#schedule();
  }

  /** Ends a stream and puts back what it has not brought. */
  #end(id: number, why: string): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#streams.delete(id);
    this.#store(stream);
    this.#enqueue(stream.rest());
    const isProgress = stream.received > 0 && why !== 'stalled';
    this.#sources.release(stream.nodeId, isProgress, why);
    this.#schedule();
  }

  #drop(nodeId: string, why: string, isLie = false): void {
    this.#sources.rule(nodeId, why);
    if (isLie && !this.#liars.has(nodeId)) {
      this.#liars.add(nodeId);
      this.#actions.push({ type: 'liar', nodeId, why });
    }
    for (const [id, stream] of this.#streams) {
      if (stream.nodeId !== nodeId) continue;
      this.#actions.push({ type: 'close', stream: id });
      this.#end(id, why);
    }
    this.#schedule();
  }

  #enqueue(parts: readonly Missing[]): void {
    const segments = parts.flatMap((part) => segmentsOf(part, this.#options.segmentBytes));
    this.#queue = [...this.#queue, ...segments].toSorted((a, b) => comparePaths(a.from, b.from));
  }

  #schedule(): void {
    if (this.#phase !== 'fetch') return;
    while (this.#queue.length > 0 && this.#streams.size < this.#options.maxStreams) {
      const source = this.#sources.pick();
      if (source === undefined) break;
      if (this.#open(source.nodeId)) source.isBusy = true;
    }
    if (this.#streams.size > 0 || this.#pending.size > 0) return;
    if (this.#queue.length === 0) {
      this.#phase = 'over';
      this.#actions.push({ type: 'done', blocks: this.#blocks, bytes: this.#bytes });
      return;
    }
    const what = `no holder could give all of ${this.#options.root.toString()}`;
    const details = { holders: this.#sources.reasons() };
    this.#fail(new AegisError('NOT_REACHABLE', what, { details }));
  }

  /** @returns whether there was anything to ask for. */
  #open(nodeId: string): boolean {
    const { root, segmentBytes } = this.#options;
    const parts = this.#takeParts();
    const stream = new Incoming(
      { root, nodeId, parts, skips: this.#skips },
      { hashers: this.#hashers },
    );
    if (stream.isComplete) return false;
    this.#serial += 1;
    this.#streams.set(this.#serial, stream);
    const ranges = parts.map(({ from, to }) => ({ from, to }));
    // Segments are a little longer than asked for, and the receiver closes when it has them.
    const maxBytes = 2 * segmentBytes;
    const request = encodeFetchRequest({ root, ranges, skip: this.#skip, maxBytes });
    this.#actions.push({ type: 'open', stream: this.#serial, nodeId, request });
    return true;
  }

  /** From the front of the queue, about a segment. */
  #takeParts(): Segment[] {
    let bytes = 0;
    let indexes = 0;
    let count = 0;
    for (const part of this.#queue) {
      const size = part.from.length + (part.to?.length ?? 0);
      const isFull =
        bytes + part.bytes > this.#options.segmentBytes * 1.5 ||
        indexes + size > REQUEST_INDEXES ||
        count === LIMITS.requestRanges;
      if (count > 0 && isFull) break;
      bytes += part.bytes;
      indexes += size;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  #fail(error: AegisError): void {
    this.#phase = 'over';
    for (const id of this.#streams.keys()) this.#actions.push({ type: 'close', stream: id });
    this.#streams.clear();
    this.#queue = [];
    this.#actions.push({ type: 'failed', error });
  }
}
