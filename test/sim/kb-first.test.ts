import { expect, it } from 'vitest';
import { KB_FAULTS } from '../../src/core/sim/faults.ts';
import { runSeeds } from './run-seeds.ts';

it('the knowledge base keeps its promises under the faults of seeds 1 to 100', () => {
  const runs = runSeeds(1, 100);
  for (const kind of KB_FAULTS) {
    expect(
      runs.some(({ report }) => report.faults[kind] > 0),
      kind,
    ).toBe(true);
  }
  expect(runs.some(({ acknowledged }) => acknowledged > 0)).toBe(true);
  expect(runs.some(({ equivocations }) => equivocations > 0)).toBe(true);
  // W22, W23, W26
  for (const kind of ['drains', 'dropped', 'unproved'] as const) {
    expect(
      runs.some(({ care }) => care[kind] > 0),
      kind,
    ).toBe(true);
  }
}, 120_000);
