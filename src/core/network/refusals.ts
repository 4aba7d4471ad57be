/**
 * One log line for each thing turned away, naming who and which limit; a flood of refusals does
 * not become a flood of lines. Refusing itself is done elsewhere.
 */
import type { Clock, Log, Metrics } from '../ports.ts';
import { SECOND } from '../units.ts';

const QUIET_MS = 10 * SECOND;
const MAX_REMEMBERED = 1024;

export class Refusals {
  readonly #deps: { log: Log; metrics: Metrics; clock: Clock };
  readonly #quiet = new Map<string, { until: number; unsaid: number }>();

  constructor(deps: { log: Log; metrics: Metrics; clock: Clock }) {
    this.#deps = deps;
  }

  /** @param who node id, or the address of one that has none yet. @param knob what to raise. */
  tell(who: string, knob: string, reason: string): void {
    const { log, metrics, clock } = this.#deps;
    metrics.count('aegis_network_refusals_total');
    const now = clock.now();
    const key = `${who} ${knob}`;
    const last = this.#quiet.get(key);
    if (last !== undefined && now < last.until) {
      last.unsaid += 1;
      return;
    }
    // The oldest is forgotten first: a Map keeps the order of insertion.
    this.#quiet.delete(key);
    if (this.#quiet.size >= MAX_REMEMBERED) {
      const oldest = this.#quiet.keys().next();
      if (oldest.done !== true) this.#quiet.delete(oldest.value);
    }
    this.#quiet.set(key, { until: now + QUIET_MS, unsaid: 0 });
    log.write('warn', reason, { peer: who, knob, repeated: last?.unsaid ?? 0 });
  }
}
