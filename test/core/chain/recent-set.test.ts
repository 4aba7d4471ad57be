import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RecentSet } from '../../../src/core/chain/recent-set.ts';

it('remembers at least the latest half, and never more than it may', () => {
  const items = fc.array(
    fc.nat(40).map((n) => `${n}`),
    { maxLength: 100 },
  );
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 20 }), items, (max, list) => {
      const set = new RecentSet(max);
      for (const item of list) set.add(item);
      const half = Math.floor(max / 2);
      const latest = [...new Set(list.toReversed())].slice(0, half - 1);
      for (const item of latest) expect(set.has(item)).toBe(true);
      const all = Array.from({ length: 41 }, (_, n) => `${n}`).filter((item) => set.has(item));
      expect(all.length).toBeLessThanOrEqual(max);
      for (const item of all) expect(list).toContain(item);
    }),
  );
});
