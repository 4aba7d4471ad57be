/** Says what goes wrong, but not over and over: a flood of faults must not drive out all else. */
import type { Log, LogLevel } from '../ports.ts';
import { SECOND } from '../units.ts';

const QUIET_MS = 10 * SECOND;

export class Complaints {
  readonly #log: Log;
  /** By member and fault, both few. */
  readonly #said = new Map<string, { until: number; unsaid: number }>();

  constructor(log: Log) {
    this.#log = log;
  }

  say(level: LogLevel, message: string, key: string, fields: Record<string, unknown>): void {
    const now = performance.now();
    const last = this.#said.get(key) ?? { until: 0, unsaid: 0 };
    this.#said.set(key, last);
    if (now < last.until) {
      last.unsaid += 1;
      return;
    }
    this.#log.write(level, message, { ...fields, repeated: last.unsaid });
    this.#said.set(key, { until: now + QUIET_MS, unsaid: 0 });
  }
}
