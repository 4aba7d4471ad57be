/**
 * The real clock: wall time at start, carried on by the monotonic clock, so that an operator (or
 * NTP) who sets the wall clock neither fires nor delays an alarm.
 */
import type { Clock } from '../ports.ts';
import { instant } from '../units.ts';

/** Node's timers end at 2^31 - 1 ms; longer waits are cut in pieces. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock = (): Clock => {
  const origin = Date.now() - performance.now();
  const now = () => Math.floor(origin + performance.now());
  return {
    now: () => instant(now()),
    wakeAt(at, wake) {
      let timer: NodeJS.Timeout;
      const arm = () => {
        const waitMs = Math.min(Math.max(at - now(), 0), LONGEST_TIMER_MS);
        timer = setTimeout(() => (at > now() ? arm() : wake()), waitMs);
      };
      arm();
      return () => clearTimeout(timer);
    },
  };
};
