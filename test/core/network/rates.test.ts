import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Bucket, Buckets } from '../../../src/core/network/rates.ts';
import { instant } from '../../../src/core/units.ts';

function clockOf(): { now: () => ReturnType<typeof instant>; ms: number } {
  const clock = { ms: 0, now: () => instant(clock.ms) };
  return clock;
}

describe('a bucket', () => {
  test('never passes more than its burst and what has been earned since', () => {
    const steps = fc.array(fc.tuple(fc.nat(5000), fc.integer({ min: 1, max: 20 })), {
      maxLength: 60,
    });
    const sizes = fc.tuple(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 500 }));
    fc.assert(
      fc.property(sizes, steps, ([perSecond, burst], waits) => {
        const clock = clockOf();
        const bucket = new Bucket({ perSecond, burst }, { clock });
        let passed = 0;
        for (const [waitMs, cost] of waits) {
          clock.ms += waitMs;
          if (bucket.take(cost)) passed += cost;
          expect(passed).toBeLessThanOrEqual(burst + (clock.ms / 1000) * perSecond + 1e-6);
        }
      }),
    );
  });

  test('says how long a debt lasts, and then there is none', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 100_000 }),
        (perSecond, burst, cost) => {
          const clock = clockOf();
          const bucket = new Bucket({ perSecond, burst }, { clock });
          const waitMs = bucket.spend(cost);
          expect(waitMs > 0).toBe(cost > burst);
          clock.ms += waitMs;
          expect(bucket.level).toBeGreaterThanOrEqual(-1e-6);
          // Not too long either: a step earlier there still was a debt.
          clock.ms -= 1;
          if (waitMs > 0) expect(waitMs - 1).toBeLessThan(((cost - burst) / perSecond) * 1000);
        },
      ),
    );
  });

  test('earns nothing from a clock that is set back', () => {
    const clock = clockOf();
    clock.ms = 10_000;
    const bucket = new Bucket({ perSecond: 10, burst: 10 }, { clock });
    expect(bucket.spend(10)).toBe(0);
    clock.ms = 0;
    expect(bucket.take()).toBe(false);
    clock.ms = 100;
    expect(bucket.take()).toBe(true);
  });
});

describe('buckets', () => {
  test('are as many as allowed, whoever comes', () => {
    const clock = clockOf();
    const options = { rate: { perSecond: 1, burst: 2 }, namesMax: 100 };
    const buckets = new Buckets(options, { clock });
    for (let name = 0; name < 10_000; name += 1) {
      buckets.of(String(name)).take(2);
      expect(buckets.size).toBeLessThanOrEqual(100);
    }
  });

  test('that are full give way before those that owe', () => {
    const clock = clockOf();
    const buckets = new Buckets({ rate: { perSecond: 1, burst: 2 }, namesMax: 3 }, { clock });
    buckets.of('owes').spend(50);
    buckets.of('idle');
    buckets.of('spent').take(2);
    buckets.of('new');
    expect(buckets.size).toBe(3);
    expect(buckets.of('owes').level).toBe(-48);
    expect(buckets.of('spent').level).toBe(0);
  });

  test('that nobody has used for long are the first to go when all owe', () => {
    const clock = clockOf();
    const buckets = new Buckets({ rate: { perSecond: 1, burst: 1 }, namesMax: 2 }, { clock });
    buckets.of('a').spend(10);
    buckets.of('b').spend(10);
    buckets.of('a').spend(1);
    buckets.of('c').spend(10);
    expect(buckets.of('a').level).toBe(-10);
  });
});
