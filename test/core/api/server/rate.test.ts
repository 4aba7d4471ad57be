/** The token bucket of the API. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Rate } from '../../../../src/core/api/server/rate.ts';

test('a burst passes, then nothing until time has gone by', () => {
  let now = 0;
  const rate = new Rate(3, () => now);
  expect([1, 2, 3, 4].map(() => rate.take())).toEqual([true, true, true, false]);
  now = 334;
  expect([rate.take(), rate.take()]).toEqual([true, false]);
});

test('over any time no more pass than the burst and what was earned', () => {
  const pauses = fc.array(fc.nat(500), { maxLength: 200 });
  fc.assert(
    fc.property(pauses, fc.integer({ min: 1, max: 50 }), (given, perSecond) => {
      let now = 0;
      const rate = new Rate(perSecond, () => now);
      let passed = 0;
      for (const pause of given) {
        now += pause;
        if (rate.take()) passed += 1;
      }
      expect(passed).toBeLessThanOrEqual(perSecond + (now / 1000) * perSecond + 1e-6);
    }),
  );
});
