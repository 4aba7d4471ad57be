/** Every way to misbehave, among four and seven custodians: all promises hold, and no other is accused. */
import { describe, expect, it } from 'vitest';
import { BEHAVIOURS } from '../../src/core/sim/byzantine/catalogue.ts';
import { type ByzantineReport, runByzantine } from './run-byzantine.ts';

const SEEDS = Number(process.env['AEGIS_SIM_SEEDS'] ?? 2);
const first = Number(process.env['AEGIS_SIM_SEED'] ?? 1);
const seeds = Array.from({ length: SEEDS }, (_, i) => `${first + i}`);

it('there are enough ways, each with a name of its own', () => {
  const names = BEHAVIOURS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(18);
});

describe.each(BEHAVIOURS)('$name', ({ name, evidence }) => {
  it.each([4, 7])('breaks nothing among %i', (custodians) => {
    const runs = seeds.map((seed) => runByzantine(name, custodians, seed));
    for (const { report } of runs) {
      expect(report.byzantine).toBe(Math.floor((custodians - 1) / 3));
      expect(report.heights).toBeGreaterThan(3);
    }
    const sum = (what: (run: ByzantineReport) => number): number =>
      runs.reduce((total, run) => total + what(run), 0);
    expect(sum(({ strikes }) => strikes)).toBeGreaterThan(0);
    const kinds = new Set(runs.flatMap((run) => run.evidence.map(({ kind }) => kind)));
    if (evidence.length === 0) expect(kinds).toEqual(new Set());
    else expect(evidence.some((kind) => kinds.has(kind))).toBe(true);
  });
});
