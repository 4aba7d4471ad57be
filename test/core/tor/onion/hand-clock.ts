/** Time that passes when the test says so. */
import type { Clock } from '../../../../src/core/ports.ts';
import { instant } from '../../../../src/core/units.ts';

export function handClock() {
  const wakes = new Set<{ at: number; wake: () => void }>();
  const time = { now: 1_000_000 };
  const clock: Clock = {
    now: () => instant(time.now),
    wakeAt(at, wake) {
      const one = { at, wake };
      wakes.add(one);
      return () => wakes.delete(one);
    },
  };
  const pass = (ms: number): void => {
    time.now += ms;
    for (const one of [...wakes].filter(({ at }) => at <= time.now)) {
      wakes.delete(one);
      one.wake();
    }
  };
  return { clock, pass, wakes };
}

/** What was under way and waits for nobody is done. */
export const settle = () => new Promise(setImmediate);
