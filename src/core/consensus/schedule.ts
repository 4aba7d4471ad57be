/**
 * Who leads which view. Everything here follows from final blocks alone, so all agree on it; the
 * leaders of a height are fixed when the height begins. A schedule never changes: each block has
 * the next one, and names it by its digest.
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
  /** Index of the leader. Holds for the height after the last block that it knows of. */
  leaderOf(height: number, view: number): number;
  /** Indices, ascending. */
  passedOver(height: number): readonly number[];
  /** After one block more, with the same custodians. */
  next(fact: LeaderFact): Leaders;
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

/** What a schedule is made of. */
interface Parts {
  /** The last height that it knows of. */
  readonly height: number;
  readonly seed: Uint8Array;
  readonly order: readonly number[];
  /** Latest last; each custodian at most once; at most f. */
  readonly failures: readonly Failure[];
}

export class LeaderSchedule implements Leaders {
  readonly #options: LeaderOptions;
  readonly #epochHeights: number;
  readonly #height: number;
  readonly #seed: Uint8Array;
  readonly #order: readonly number[];
  readonly #failures: readonly Failure[];
  #digest: Uint8Array | undefined;

  /** @param parts left out: those of height 1. */
  constructor(options: LeaderOptions, parts: Parts = firstParts(options)) {
    const { custodians, epochHeights } = options;
    assert(custodians >= 1 && custodians <= CUSTODIANS_MAX, 'a cluster has 1 to 256 custodians');
    this.#options = options;
    this.#epochHeights = epochHeights ?? EPOCH_HEIGHTS;
    this.#height = parts.height;
    this.#seed = parts.seed;
    this.#order = parts.order;
    this.#failures = parts.failures;
  }

  /** @throws {AegisError} `BAD_ENCODING` for what is no snapshot. */
  static restore(options: LeaderOptions, snapshot: Uint8Array): LeaderSchedule {
    const { custodians } = options;
    const fields = new Fields(decode(snapshot, { maxBytes: SNAPSHOT_BYTES_MAX }), 4, 'schedule');
    fields.integer(1, 1);
    const height = fields.height(0);
    const seed = fields.bytes(SEED_BYTES);
    const failures = fields.list(custodians, (value) => {
      const failure = new Fields(value, 2, 'schedule');
      return { custodian: failure.integer(0, custodians - 1), height: failure.height() };
    });
    return new LeaderSchedule(options, {
      height,
      seed,
      failures,
      order: permutation(seed, custodians),
    });
  }

  /** Of `snapshot()`: 32 bytes. The header of a block names the schedule after it by this. */
  get digest(): Uint8Array {
    this.#digest ??= sha256(this.snapshot());
    return this.#digest;
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

  /**
   * After one block more.
   * @param custodians how many the next height has, when other nodes are custodians there; left
   *   out: they are the same. Then the seed goes on, and nobody is passed over (E5).
   */
  next(fact: LeaderFact, custodians?: number): LeaderSchedule {
    assert(fact.height === this.#height + 1, 'heights are advanced over one after the other');
    const isLast = fact.height % this.#epochHeights === 0;
    assert(isLast === (fact.seed !== undefined), 'the last height of an epoch gives a seed');
    const seed = fact.seed ?? this.#seed;
    const before = this.#options.custodians;
    const count = custodians ?? before;
    const isSameOrder = fact.seed === undefined && count === before;
    const order = isSameOrder ? this.#order : permutation(seed, count);
    const failures = custodians === undefined ? this.#failuresAfter(fact) : [];
    const options = count === before ? this.#options : { ...this.#options, custodians: count };
    return new LeaderSchedule(options, { height: fact.height, seed, order, failures });
  }

  /** L3 */
  #failuresAfter({ height, view }: LeaderFact): readonly Failure[] {
    if (view === 0) return this.#failures;
    // L3: a block that was first proposed in view w shows that views 0 to w - 1 failed. More of
    // them than there are leaders tell nothing new.
    const failed: Failure[] = [];
    for (let at = Math.max(0, view - this.#options.custodians); at < view; at += 1) {
      failed.push({ custodian: this.leaderOf(height, at), height });
    }
    return this.#latest([...this.#failures, ...failed], this.leaderOf(height, view));
  }

  /** All that `restore` needs. */
  snapshot(): Uint8Array {
    const failures = this.#failures.map(({ custodian, height }) => [custodian, height]);
    return encode([1, this.#height, this.#seed, failures]);
  }

  /** L3: the last f distinct ones, without one that has just led well. */
  #latest(failures: readonly Failure[], proposer: number): Failure[] {
    const max = faultyMax(this.#options.custodians);
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

/** L1: the seed of the first epoch is the hash of the cluster id. */
function firstParts({ clusterId, custodians }: LeaderOptions): Parts {
  const seed = sha256(Buffer.from(clusterId));
  return { height: 0, seed, order: permutation(seed, custodians), failures: [] };
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
