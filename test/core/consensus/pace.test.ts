import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Pace } from '../../../src/core/consensus/pace.ts';
import { TIMING_DEFAULT } from '../../../src/core/consensus/types.ts';

const { firstMs, minMs, maxMs, grownMaxMs } = TIMING_DEFAULT;

it('begins with the first timer and doubles to the limit', () => {
  const pace = new Pace(TIMING_DEFAULT, 1);
  expect([0, 1, 2, 3].map((views) => pace.timeoutMs(views))).toEqual([1000, 2000, 4000, 8000]);
  expect(pace.timeoutMs(1e9)).toBe(grownMaxMs);
  expect(firstMs).toBe(1000);
});

it('follows what is measured', () => {
  const pace = new Pace(TIMING_DEFAULT, 1);
  for (let i = 0; i < 200; i += 1) pace.observe(0, 1000);
  expect(pace.timeoutMs(0)).toBeGreaterThanOrEqual(2000);
  expect(pace.timeoutMs(0)).toBeLessThan(2010);
  pace.observe(0, 3000);
  // Mean 1250, deviation 500.
  expect(pace.timeoutMs(0)).toBeCloseTo(2 * (1250 + 4 * 500), -2);
});

it('stays within its limits and grows with failed views, whatever is measured', () => {
  const elapsed = fc.array(fc.tuple(fc.nat(3), fc.nat(10_000_000)), { maxLength: 50 });
  fc.assert(
    fc.property(elapsed, (list) => {
      const pace = new Pace(TIMING_DEFAULT, 1);
      for (const [leader, ms] of list) pace.observe(leader, ms);
      const base = pace.timeoutMs(0);
      expect(base).toBeGreaterThanOrEqual(minMs);
      expect(base).toBeLessThanOrEqual(maxMs);
      expect(pace.timeoutMs(1)).toBe(Math.min(2 * base, grownMaxMs));
    }),
  );
});

it('is not stretched by a leader that takes just less than it may', () => {
  const pace = new Pace(TIMING_DEFAULT, 1);
  for (let height = 0; height < 400; height += 1) {
    const leader = height % 4;
    pace.observe(leader, leader === 3 ? 0.95 * pace.timeoutMs(0) : 50);
  }
  expect(pace.timeoutMs(0)).toBe(minMs);
});

it('follows a network that has become slower for all', () => {
  const pace = new Pace(TIMING_DEFAULT, 1);
  for (let height = 0; height < 40; height += 1) pace.observe(height % 4, 50);
  for (let height = 0; height < 2; height += 1) pace.observe(height, 2000);
  expect(pace.timeoutMs(0)).toBeGreaterThan(2000);
});
