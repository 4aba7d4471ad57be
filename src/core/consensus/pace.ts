/**
 * How long a view may last: from the measured time of past heights, as in RFC 6298, of each leader
 * apart. The f slowest do not count, or one that takes just less than it may could stretch what it
 * may, height by height, up to the limit.
 */
import type { Timing } from './types.ts';

/** RFC 6298, section 2: gains of mean and deviation, and how many deviations are added. */
const MEAN_GAIN = 1 / 8;
const DEVIATION_GAIN = 1 / 4;
const DEVIATIONS = 4;
/** A view takes several message delays, of which each may be slow. */
const SAFETY_FACTOR = 2;

/** Of one leader. */
interface Measured {
  readonly meanMs: number;
  readonly deviationMs: number;
}

export class Pace {
  readonly #timing: Timing;
  readonly #faultyMax: number;
  readonly #leaders = new Map<number, Measured>();
  /** By the slowest leader that counts. */
  #measuredMs: number | undefined;

  constructor(timing: Timing, faultyMax: number) {
    this.#timing = timing;
    this.#faultyMax = faultyMax;
  }

  /** E5: the same measurements, of those who are custodians still. */
  follow(timing: Timing, faultyMax: number, indexOf: (leader: number) => number | undefined): Pace {
    const pace = new Pace(timing, faultyMax);
    for (const [leader, measured] of this.#leaders) {
      const index = indexOf(leader);
      if (index !== undefined) pace.#leaders.set(index, measured);
    }
    pace.#settle();
    return pace;
  }

  /** @param elapsedMs from the start of a view to its final block. */
  observe(leader: number, elapsedMs: number): void {
    this.#leaders.set(leader, next(this.#leaders.get(leader), elapsedMs));
    this.#settle();
  }

  #settle(): void {
    const slowest = [...this.#leaders.values()]
      .map(({ meanMs, deviationMs }) => meanMs + DEVIATIONS * deviationMs)
      .toSorted((a, b) => b - a);
    this.#measuredMs = slowest[Math.min(this.#faultyMax, slowest.length - 1)];
  }

  /** T1: the timer of a view, in milliseconds; doubled with each failed view of the height. */
  timeoutMs(failedViews: number): number {
    const { firstMs, minMs, maxMs, grownMaxMs } = this.#timing;
    const measuredMs = this.#measuredMs === undefined ? firstMs : SAFETY_FACTOR * this.#measuredMs;
    const base = Math.min(Math.max(Math.ceil(measuredMs), minMs), maxMs);
    return Math.min(base * 2 ** Math.min(failedViews, 32), grownMaxMs);
  }
}

function next(before: Measured | undefined, elapsedMs: number): Measured {
  if (before === undefined) return { meanMs: elapsedMs, deviationMs: elapsedMs / 2 };
  const { meanMs, deviationMs } = before;
  const error = elapsedMs - meanMs;
  return {
    meanMs: meanMs + error * MEAN_GAIN,
    deviationMs: deviationMs + (Math.abs(error) - deviationMs) * DEVIATION_GAIN,
  };
}
