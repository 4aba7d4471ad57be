/**
 * Token buckets: so many a second, and a burst at once after a pause. Memory is bounded whatever
 * arrives. It refuses nothing itself, and knows neither peers nor addresses but by their names.
 */
import { assert } from '../assert.ts';
import type { Clock } from '../ports.ts';
import { SECOND } from '../units.ts';

export interface Rate {
  readonly perSecond: number;
  /** What may come at once when nothing came for a while. */
  readonly burst: number;
}

export class Bucket {
  readonly #rate: Rate;
  readonly #clock: Pick<Clock, 'now'>;
  #level: number;
  #at: number;

  constructor(rate: Rate, deps: { clock: Pick<Clock, 'now'> }) {
    assert(rate.perSecond > 0 && rate.burst > 0, 'a bucket that never fills');
    this.#rate = rate;
    this.#clock = deps.clock;
    this.#level = rate.burst;
    this.#at = deps.clock.now();
  }

  /** What may be taken now; negative after a debt. */
  get level(): number {
    this.#fill();
    return this.#level;
  }

  get isFull(): boolean {
    return this.level >= this.#rate.burst;
  }

  /** For what can be refused: takes all of `cost` or nothing. */
  take(cost = 1): boolean {
    if (this.level < cost) return false;
    this.#level -= cost;
    return true;
  }

  /**
   * For what has come already: takes `cost` even where that leaves a debt.
   * @returns milliseconds until the debt is paid; 0 without one.
   */
  spend(cost = 1): number {
    this.#fill();
    this.#level -= cost;
    return this.#level >= 0 ? 0 : Math.ceil((-this.#level / this.#rate.perSecond) * SECOND);
  }

  #fill(): void {
    const now = this.#clock.now();
    const { perSecond, burst } = this.#rate;
    // A clock that was set back earns nothing, and takes nothing away.
    const earned = (Math.max(0, now - this.#at) / SECOND) * perSecond;
    this.#level = Math.min(burst, this.#level + earned);
    this.#at = now;
  }
}

/** Names that are remembered: more than there are peers, few enough to cost nothing. */
const NAMES_MAX = 4096;
/** How many of the oldest are looked at to find one that has nothing to remember. */
const LOOK_MAX = 16;

/** One bucket for each name. */
export class Buckets {
  readonly #rate: Rate;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #namesMax: number;
  /** In the order of their last use. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: { rate: Rate; namesMax?: number }, deps: { clock: Pick<Clock, 'now'> }) {
    this.#rate = options.rate;
    this.#namesMax = options.namesMax ?? NAMES_MAX;
    this.#clock = deps.clock;
  }

  get size(): number {
    return this.#buckets.size;
  }

  of(name: string): Bucket {
    const known = this.#buckets.get(name);
    if (known !== undefined) this.#buckets.delete(name);
    else if (this.#buckets.size >= this.#namesMax) this.#forgetOne();
    const bucket = known ?? new Bucket(this.#rate, { clock: this.#clock });
    this.#buckets.set(name, bucket);
    return bucket;
  }

  /** One that is full is as good as a new one; else the one that was silent longest goes. */
  #forgetOne(): void {
    let oldest: string | undefined;
    let looked = 0;
    for (const [name, bucket] of this.#buckets) {
      oldest ??= name;
      if (bucket.isFull) {
        this.#buckets.delete(name);
        return;
      }
      looked += 1;
      if (looked >= LOOK_MAX) break;
    }
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}
