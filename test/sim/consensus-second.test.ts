import { expect, it } from 'vitest';
import { runSeedShare } from './consensus-share.ts';

it('consensus keeps its promises under the faults of seeds 76 to 150', () => {
  const { counts } = runSeedShare({ first: 76, count: 75, byzantineEvery: 10 });
  expect(counts.realSeeds).toBeGreaterThan(0);
}, 600_000);
