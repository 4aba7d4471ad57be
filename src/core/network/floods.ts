/**
 * Notices when refusals come in floods, and when a flood is over. It counts only: by limit, not by
 * sender, because a flood may come from many.
 */
import type { Clock } from '../ports.ts';
import { instant, SECOND } from '../units.ts';

export interface FloodDeps {
  readonly clock: Clock;
  began(knob: string): void;
  /** @param flood.refused since it began. @param flood.durationMs until the last of them. */
  ended(knob: string, flood: { refused: number; durationMs: number }): void;
}

interface Counter {
  cancel: () => void;
  second: number;
  inSecond: number;
  /** Of a flood that goes on. */
  flood: { readonly since: number; last: number; refused: number } | undefined;
}

/** So many refusals by one limit within a second are a flood. */
const FLOOD_PER_SECOND = 50;
/** It is over when nothing more was refused for so long. */
const CALM_MS = 5 * SECOND;

export class Floods {
  readonly #deps: FloodDeps;
  /** At most one for each limit. */
  readonly #counters = new Map<string, Counter>();

  constructor(deps: FloodDeps) {
    this.#deps = deps;
  }

  count(knob: string): void {
    const now = this.#deps.clock.now();
    const second = Math.floor(now / SECOND);
    const counter = this.#counters.get(knob) ?? newCounter(second);
    this.#counters.set(knob, counter);
    if (counter.second !== second) Object.assign(counter, { second, inSecond: 0 });
    counter.inSecond += 1;
    if (counter.flood !== undefined) {
      counter.flood.refused += 1;
      counter.flood.last = now;
    } else if (counter.inSecond >= FLOOD_PER_SECOND) {
      counter.flood = { since: now, last: now, refused: counter.inSecond };
      this.#deps.began(knob);
      this.#watch(knob, counter);
    }
  }

  /** Nothing more is told. */
  stop(): void {
    for (const { cancel } of this.#counters.values()) cancel();
    this.#counters.clear();
  }

  #watch(knob: string, counter: Counter): void {
    const { clock, ended } = this.#deps;
    const { flood } = counter;
    if (flood === undefined) return;
    counter.cancel = clock.wakeAt(instant(flood.last + CALM_MS), () => {
      if (clock.now() < flood.last + CALM_MS) {
        this.#watch(knob, counter);
        return;
      }
      counter.flood = undefined;
      ended(knob, { refused: flood.refused, durationMs: flood.last - flood.since });
    });
  }
}

const newCounter = (second: number): Counter => {
  return { second, inSecond: 0, flood: undefined, cancel: () => undefined };
};
