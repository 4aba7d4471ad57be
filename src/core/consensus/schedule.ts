/**
 * Who leads which view. Everything here follows from final blocks alone, so all agree on it; the
 * leaders of a height are fixed when the height begins.
 */
import { assert } from '../assert.ts';
import { sha256 } from '../crypto/hash.ts';
import { decode, encode } from '../model/cbor.ts';
import { KIB } from '../units.ts';
import { Fields } from './fields.ts';
import { faultyMax } from './quorum.ts';
import { CUSTODIANS_MAX } from './types.ts';

/** L1: heights of a seed epoch. */
const EPOCH_HEIGHTS = 64;
/** L3: for how many heights a leader whose view failed is passed over. */
const PASSED_OVER_HEIGHTS = 32;
const SEED_BYTES = 32;
const SNAPSHOT_BYTES_MAX = 8 * KIB;

/** One final block, as far as leaders go. */
export interface LeaderFact {
  readonly height: number;
  /** Where the block was first proposed. */
  readonly view: number;
  /** The next seed, when the height ends a seed epoch. */
  readonly seed?: Uint8Array | undefined;
}

export interface Leaders {
  /** Index of the leader. Holds for the height after the last that was advanced over. */
  leaderOf(height: number, view: number): number;
  /** Indices, ascending. */
  passedOver(height: number): readonly number[];
  advance(fact: LeaderFact): void;
  /** All that `restore` needs. */
  snapshot(): Uint8Array;
}

export interface LeaderOptions {
  readonly clusterId: string;
  /** How many there are. */
  readonly custodians: number;
  /** @default 64 */
  readonly epochHeights?: number;
}

/** A leader whose view failed, at which height. */
interface Failure {
  readonly custodian: number;
  readonly height: number;
}

export class LeaderSchedule implements Leaders {
  readonly #custodians: number;
  readonly #epochHeights: number;
  /** The last height that was advanced over. */
  #height = 0;
  #seed: Uint8Array;
  #order: readonly number[];
  /** Latest last; each custodian at most once; at most f. */
  #failures: readonly Failure[] = [];

  constructor(options: LeaderOptions) {
    assert(options.custodians >= 1 && options.custodians <= CUSTODIANS_MAX, 'too many custodians');
    this.#custodians = options.custodians;
    this.#epochHeights = options.epochHeights ?? EPOCH_HEIGHTS;
    // L1: the seed of the first epoch is the hash of the cluster id.
    this.#seed = sha256(Buffer.from(options.clusterId));
    this.#order = permutation(this.#seed, this.#custodians);
  }

  /** @throws {AegisError} `BAD_ENCODING` for what is no snapshot. */
  static restore(options: LeaderOptions, snapshot: Uint8Array): LeaderSchedule {
    const schedule = new LeaderSchedule(options);
    const fields = new Fields(decode(snapshot, { maxBytes: SNAPSHOT_BYTES_MAX }), 4, 'schedule');
    fields.integer(1, 1);
    schedule.#height = fields.height(0);
    schedule.#seed = fields.bytes(SEED_BYTES);
    schedule.#failures = fields.list(options.custodians, (value) => {
      const failure = new Fields(value, 2, 'schedule');
      return { custodian: failure.integer(0, options.custodians - 1), height: failure.height() };
    });
    schedule.#order = permutation(schedule.#seed, options.custodians);
    return schedule;
  }

  /** The seed epoch of a height, from 0. */
  epochOf(height: number): number {
    return Math.floor((height - 1) / this.#epochHeights);
  }

  /** The seed of the epoch of `height`: 32 bytes. Only the current one is known. */
  seed(height: number): Uint8Array {
    this.#checkHeight(height);
    return this.#seed;
  }

  leaderOf(height: number, view: number): number {
    this.#checkHeight(height);
    // L2: the one at place (h + v) modulo m of the m that are not passed over.
    const out = this.passedOver(height);
    const left = out.length === 0 ? this.#order : this.#order.filter((i) => !out.includes(i));
    return left[(height + view) % left.length]!;
  }

  passedOver(height: number): readonly number[] {
    return this.#failures
      .filter((failure) => height - failure.height <= PASSED_OVER_HEIGHTS)
      .map(({ custodian }) => custodian)
      .toSorted((a, b) => a - b);
  }

  advance(fact: LeaderFact): void {
    assert(fact.height === this.#height + 1, 'heights are advanced over one after the other');
    // L3: a block that was first proposed in view w shows that views 0 to w - 1 failed. More of
    // them than there are leaders tell nothing new.
    const first = Math.max(0, fact.view - this.#custodians);
    const failed: Failure[] = [];
    for (let view = first; view < fact.view; view += 1) {
      failed.push({ custodian: this.leaderOf(fact.height, view), height: fact.height });
    }
    const proposer = this.leaderOf(fact.height, fact.view);
    if (failed.length > 0) this.#failures = this.#latest([...this.#failures, ...failed], proposer);
    this.#height = fact.height;
    const isLast = fact.height % this.#epochHeights === 0;
    assert(isLast === (fact.seed !== undefined), 'the last height of an epoch gives a seed');
    if (fact.seed === undefined) return;
    this.#seed = fact.seed;
    this.#order = permutation(fact.seed, this.#custodians);
  }

  snapshot(): Uint8Array {
    const failures = this.#failures.map(({ custodian, height }) => [custodian, height]);
    return encode([1, this.#height, this.#seed, failures]);
  }

  /** L3: the last f distinct ones, without one that has just led well. */
  #latest(failures: readonly Failure[], proposer: number): Failure[] {
    const max = faultyMax(this.#custodians);
    const latest: Failure[] = [];
    for (const failure of failures.toReversed()) {
      if (latest.length === max) break;
      const isKnown = latest.some(({ custodian }) => custodian === failure.custodian);
      if (!isKnown && failure.custodian !== proposer) latest.unshift(failure);
    }
    return latest;
  }

  #checkHeight(height: number): void {
    assert(height === this.#height + 1, 'leaders are known of the next height only');
  }
}

/** L2: Fisher and Yates's shuffle by the seed, in hash-counter mode with rejection. */
function permutation(seed: Uint8Array, count: number): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  const numbers = stream(seed);
  for (let last = count - 1; last > 0; last -= 1) {
    const other = below(last + 1, numbers);
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}

/** A number from 0 to `bound - 1`, each equally likely. */
function below(bound: number, numbers: Iterator<number, never>): number {
  const unbiased = 2 ** 32 - (2 ** 32 % bound);
  for (;;) {
    const number = numbers.next().value;
    if (number < unbiased) return number % bound;
  }
}

/** Numbers of 32 bits, without end: sha256(seed || counter), eight from each. */
function* stream(seed: Uint8Array): Generator<number, never> {
  for (let counter = 0; ; counter += 1) {
    const input = Buffer.alloc(seed.length + 4);
    input.set(seed);
    input.writeUInt32BE(counter, seed.length);
    const block = Buffer.from(sha256(input));
    for (let at = 0; at < block.length; at += 4) yield block.readUInt32BE(at);
  }
}
