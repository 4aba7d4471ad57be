/** Every way to misbehave, among four and seven: all promises hold, and no other is accused. */
import { describe, expect, it } from 'vitest';
import { BEHAVIOURS } from '../../src/core/sim/byzantine/catalogue.ts';
import { type ByzantineReport, runByzantine } from './run-byzantine.ts';

const SEEDS = Number(process.env['AEGIS_SIM_SEEDS'] ?? 2);
/** Who forgets its votes votes otherwise in one run of twenty: the search must not end too soon. */
const SEEDS_MAX = 100 * SEEDS;
const FIRST = Number(process.env['AEGIS_SIM_SEED'] ?? 1);

it('there are enough ways, each with a name of its own', () => {
  const names = BEHAVIOURS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(18);
});

describe.each(BEHAVIOURS)('$name', ({ name, leaves, isFoundOut }) => {
  it.each([4, 7])('breaks nothing among %i', (custodians) => {
    const runs: ByzantineReport[] = [];
    const isShown = (): boolean =>
      runs.some(({ strikes }) => strikes > 0) &&
      (!isFoundOut || runs.some(({ evidence }) => evidence.length > 0));
    // Some behaviours need luck to strike at all: a run in which nothing happened shows nothing.
    for (let seed = FIRST; seed < FIRST + SEEDS_MAX; seed += 1) {
      if (runs.length >= SEEDS && isShown()) break;
      runs.push(runByzantine(name, custodians, `${seed}`));
    }
    expect(isShown()).toBe(true);
    for (const { report, evidence } of runs) {
      expect(report.byzantine).toBe(Math.floor((custodians - 1) / 3));
      expect(report.heights).toBeGreaterThan(3);
      expect(evidence.filter(({ kind }) => !leaves.includes(kind))).toEqual([]);
    }
  });
});
