/** How long a view may last: from the measured time of past heights, as in RFC 6298. */
import type { Timing } from './types.ts';

/** RFC 6298, section 2: gains of mean and deviation, and how many deviations are added. */
const MEAN_GAIN = 1 / 8;
const DEVIATION_GAIN = 1 / 4;
const DEVIATIONS = 4;
/** A view takes several message delays, of which each may be slow. */
const SAFETY_FACTOR = 2;

export class Pace {
  readonly #timing: Timing;
  #meanMs: number | undefined;
  #deviationMs = 0;

  constructor(timing: Timing) {
    this.#timing = timing;
  }

  /** @param elapsedMs from the start of a view to its final block. */
  observe(elapsedMs: number): void {
    if (this.#meanMs === undefined) {
      this.#meanMs = elapsedMs;
      this.#deviationMs = elapsedMs / 2;
      return;
    }
    const error = elapsedMs - this.#meanMs;
    this.#deviationMs += (Math.abs(error) - this.#deviationMs) * DEVIATION_GAIN;
    this.#meanMs += error * MEAN_GAIN;
  }

  /** T1: the timer of a view, in milliseconds; doubled with each failed view of the height. */
  timeoutMs(failedViews: number): number {
    const { firstMs, minMs, maxMs, grownMaxMs } = this.#timing;
    const measured =
      this.#meanMs === undefined
        ? firstMs
        : SAFETY_FACTOR * (this.#meanMs + DEVIATIONS * this.#deviationMs);
    const base = Math.min(Math.max(Math.ceil(measured), minMs), maxMs);
    return Math.min(base * 2 ** Math.min(failedViews, 32), grownMaxMs);
  }
}
