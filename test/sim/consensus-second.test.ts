import { expect, it } from 'vitest';
import { runSeedShare } from './consensus-share.ts';

it('consensus keeps its promises under the faults of seeds 76 to 150', () => {
  const { counts, faults, heightsMedian } = runSeedShare({
    first: 76,
    count: 75,
    byzantineEvery: 10,
  });
  for (const [kind, count] of Object.entries(faults)) expect(count, kind).toBeGreaterThan(0);
  expect(counts.viewChanges).toBeGreaterThan(0);
  expect(counts.realSeeds).toBeGreaterThan(0);
  expect(counts.byzantine).toBeGreaterThan(0);
  expect(heightsMedian).toBeGreaterThanOrEqual(30);
}, 600_000);
