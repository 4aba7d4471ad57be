/**
 * W24: the pace of repair. Whoever reads for it says how much has come, and waits as long as that
 * is too much; an idle while is made up for at most by a second's worth. What users read does not
 * pass here.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { SECOND } from '../../units.ts';

export interface RepairPaceOptions {
  readonly bytesPerSecond: number;
}

export interface RepairPaceDeps {
  /** Monotonic milliseconds. */
  now(): number;
  /** Resolves after so many milliseconds, or when the signal aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

const REAL: RepairPaceDeps = {
  now: () => performance.now(),
  wait: async (ms, signal) => {
    await pause(ms, undefined, { signal, ref: false }).catch(() => undefined);
  },
};

export class RepairPace {
  readonly #options: RepairPaceOptions;
  readonly #deps: RepairPaceDeps;
  /** By when all that has come would have come at the pace. */
  #dueAt = Number.NEGATIVE_INFINITY;
  #passedBytes = 0;

  constructor(options: RepairPaceOptions, deps: RepairPaceDeps = REAL) {
    this.#options = options;
    this.#deps = deps;
  }

  get passedBytes(): number {
    return this.#passedBytes;
  }

  /** So many bytes have come: resolves when more may. */
  async take(sizeBytes: number, signal: AbortSignal): Promise<void> {
    const now = this.#deps.now();
    this.#passedBytes += sizeBytes;
    const spanMs = (sizeBytes / this.#options.bytesPerSecond) * SECOND;
    this.#dueAt = Math.max(this.#dueAt, now - SECOND) + spanMs;
    const waitMs = this.#dueAt - now;
    if (waitMs > 0) await this.#deps.wait(waitMs, signal);
  }
}
