import { expect, it } from 'vitest';
import { runRegressions, runSeedShare } from './consensus-share.ts';

it('runs that have found something once find nothing', () => {
  runRegressions();
}, 600_000);

it('consensus keeps its promises under the faults of seeds 1 to 60', () => {
  const { counts } = runSeedShare({ first: 1, count: 60, byzantineEvery: 10 });
  expect(counts.doubts).toBeGreaterThan(0);
}, 600_000);
