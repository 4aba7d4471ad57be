import { expect, it } from 'vitest';
import { runSeedShare } from './consensus-share.ts';

it('consensus keeps its promises under the faults of seeds 61 to 120', () => {
  const { counts } = runSeedShare({ first: 61, count: 60, byzantineEvery: 10 });
  expect(counts.realSeeds).toBeGreaterThan(0);
}, 600_000);
