/**
 * Runs a `Fetch` against holders in memory, one event at a time, in an order that a seed chooses.
 * Holders answer by the real `Serving`, through the real CAR; a holder may misbehave.
 */
import { type AegisError, isAegisError } from '../../../src/core/errors.ts';
import { type Block, fits } from '../../../src/core/kb/block.ts';
import { CarDecoder } from '../../../src/core/kb/car.ts';
import {
  Fetch,
  type FetchAction,
  type FetchEvent,
  type FetchOptions,
} from '../../../src/core/kb/fetch.ts';
import { decodeFetchRequest } from '../../../src/core/kb/request.ts';
import { Serving } from '../../../src/core/kb/serve.ts';
import { hashers, type Objects } from './helpers.ts';

export interface Holder {
  readonly objects: Objects;
  /** Changes what is sent; the default sends what is right. */
  readonly tamper?: (block: Block, index: number) => Block | 'cut' | 'stall';
}

interface Stream {
  readonly holder: Holder;
  readonly nodeId: string;
  readonly serving: Serving;
  readonly car: CarDecoder;
  sent: number;
  waiting: Block[];
}

export interface DriveResult {
  readonly outcome: 'done' | AegisError;
  readonly liars: readonly string[];
  readonly requests: readonly string[];
  /** Objects received, as often as they came. */
  readonly received: number;
  readonly maxBacklogBytes: number;
  readonly maxStreams: number;
}

/** A small generator; the tests need choice, not quality. */
export function chooser(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

export class Driver {
  readonly #store: Objects;
  readonly #holders: ReadonlyMap<string, Holder>;
  readonly #fetch: Fetch;
  readonly #streams = new Map<number, Stream>();
  readonly #choose: (below: number) => number;
  #events: FetchEvent[] = [];
  #outcome: 'done' | AegisError | undefined;
  #received = 0;
  #maxBacklogBytes = 0;
  #maxStreams = 0;
  readonly #liars: string[] = [];
  readonly #requests: string[] = [];

  constructor(
    options: Omit<FetchOptions, 'sources'>,
    deps: {
      readonly store: Objects;
      readonly holders: Readonly<Record<string, Holder>>;
      readonly seed?: number;
    },
  ) {
    this.#store = deps.store;
    this.#holders = new Map(Object.entries(deps.holders));
    this.#choose = chooser(deps.seed ?? 1);
    this.#fetch = new Fetch({ ...options, sources: [...this.#holders.keys()] }, { hashers });
  }

  /** @param maxSteps after which the run is left as it is, as a crash would. */
  run(maxSteps = 1_000_000): DriveResult | undefined {
    this.#act(this.#fetch.start());
    for (let step = 0; this.#outcome === undefined; step += 1) {
      if (step === maxSteps) return undefined;
      const event = this.#next();
      if (event === undefined) throw new Error('the fetch waits for nothing');
      this.#act(this.#fetch.step(event));
      const { backlogBytes, streams } = this.#fetch.progress;
      this.#maxBacklogBytes = Math.max(this.#maxBacklogBytes, backlogBytes);
      this.#maxStreams = Math.max(this.#maxStreams, streams);
    }
    return {
      outcome: this.#outcome,
      liars: this.#liars,
      requests: this.#requests,
      received: this.#received,
      maxBacklogBytes: this.#maxBacklogBytes,
      maxStreams: this.#maxStreams,
    };
  }

  #act(actions: readonly FetchAction[]): void {
    for (const action of actions) {
      switch (action.type) {
        case 'look': {
          const nodes = action.nodes.map((cid) => this.#store.get(cid));
          const leaves = action.leaves.map((cid) => this.#store.get(cid) !== undefined);
          this.#events.push({ type: 'looked', nodes, leaves });
          break;
        }
        case 'open':
          this.#open(action);
          break;
        case 'close':
          this.#streams.delete(action.stream);
          break;
        case 'store':
          this.#put(action.batch, action.blocks);
          break;
        case 'liar':
          this.#liars.push(action.nodeId);
          break;
        case 'done':
          this.#outcome = 'done';
          break;
        case 'failed':
          this.#outcome = action.error;
          break;
      }
    }
  }

  #open({ stream, nodeId, request }: Extract<FetchAction, { type: 'open' }>): void {
    const holder = this.#holders.get(nodeId)!;
    this.#requests.push(nodeId);
    this.#streams.set(stream, {
      holder,
      nodeId,
      serving: new Serving(decodeFetchRequest(request)),
      car: new CarDecoder(),
      sent: 0,
      waiting: [],
    });
  }

  #put(batch: number, blocks: readonly Block[]): void {
    const bad = blocks.find(({ cid, bytes }) => !fits(cid, bytes, hashers(cid.multihash.code)!));
    if (bad === undefined) this.#store.put(blocks);
    this.#events.push(
      bad === undefined
        ? { type: 'stored', batch }
        : { type: 'rejected', batch, why: `false bytes for ${bad.cid.toString()}` },
    );
  }

  #next(): FetchEvent | undefined {
    const streams = [...this.#streams.keys()];
    const pick = this.#choose(streams.length + Math.min(this.#events.length, 1));
    const id = streams[pick];
    if (id === undefined) return this.#events.splice(this.#choose(this.#events.length), 1)[0];
    return this.#pull(id, this.#streams.get(id)!);
  }

  #pull(id: number, stream: Stream): FetchEvent {
    while (stream.waiting.length === 0) {
      const wants = stream.serving.wants();
      if (wants.length === 0) return this.#over(id, 'end');
      let chunks: Uint8Array[];
      try {
        chunks = stream.serving.give(wants.map((cid) => stream.holder.objects.get(cid)));
      } catch (error) {
        if (!isAegisError(error)) throw error;
        return this.#over(id, 'end');
      }
      stream.waiting = chunks.flatMap((chunk) => stream.car.push(chunk));
      if (stream.waiting.length === 0 && stream.serving.wants().length === 0) {
        return this.#over(id, 'end');
      }
    }
    const right = stream.waiting.shift()!;
    const sent = stream.holder.tamper?.(right, stream.sent) ?? right;
    stream.sent += 1;
    if (sent === 'cut') return this.#over(id, 'end');
    if (sent === 'stall') return this.#over(id, 'stalled');
    this.#received += 1;
    return { type: 'block', stream: id, block: sent };
  }

  #over(id: number, type: 'end' | 'stalled'): FetchEvent {
    this.#streams.delete(id);
    return { type, stream: id };
  }
}
