import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SimClock } from '../../../src/core/sim/clock.ts';
import { instant } from '../../../src/core/units.ts';

describe('SimClock', () => {
  it('runs what is due in order of time, then of call, and nothing that was cancelled', () => {
    const calls = fc.array(fc.record({ at: fc.nat(50), isCancelled: fc.boolean() }));
    fc.assert(
      fc.property(calls, (list) => {
        const clock = new SimClock(instant(0));
        const ran: number[] = [];
        for (const [i, { at, isCancelled }] of list.entries()) {
          const cancel = clock.wakeAt(instant(at), () => {
            expect(clock.now()).toBe(at);
            ran.push(i);
          });
          if (isCancelled) cancel();
        }
        clock.runUntil(instant(100));
        const expected = [...list.entries()]
          .filter(([, { isCancelled }]) => !isCancelled)
          .toSorted(([a, x], [b, y]) => x.at - y.at || a - b)
          .map(([i]) => i);
        expect(ran).toEqual(expected);
        expect(clock.now()).toBe(100);
      }),
    );
  });

  it('runs what is added meanwhile, the past at once, and leaves the future', () => {
    const clock = new SimClock(instant(10));
    const ran: string[] = [];
    clock.wakeAt(instant(0), () => {
      ran.push(`past ${clock.now()}`);
      clock.after(5, () => ran.push(`then ${clock.now()}`));
      clock.after(50, () => ran.push('later'));
    });
    clock.runUntil(instant(30));
    expect(ran).toEqual(['past 10', 'then 15']);
  });
});
