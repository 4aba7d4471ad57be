/** A load on nodes with one core each: what it costs shows, and a seed does the same again. */
import { expect, it } from 'vitest';
import type { Prices } from '../../../src/core/sim/core.ts';
import { runSlo, type SloReport } from '../../../src/core/sim/slo.ts';

const PRICES: Prices = {
  ...{ blsSign: 0.4, blsVerify: 1.2, blsAdd: 0.09, blsCertificate: 1.2, blsSigner: 0.001 },
  ...{ blsMessage: 0.5, seedProve: 2.5, seedVerify: 2.2, ed25519Sign: 0.03, ed25519Verify: 0.1 },
  ...{ envelope: 0.05, envelopeKib: 0.003, read: 0.002, readIntent: 0.02, step: 0.02 },
  ...{ takeIntent: 0.01, execute: 0.07, finalise: 0.05, commit: 0.35, row: 0.006 },
};

const run = (prices: Prices, network: 'lan' | 'wan' = 'lan', intentsPerSecond = 100): SloReport =>
  runSlo({
    ...{ seed: 'slo', custodians: 4, network, intentsPerSecond, prices },
    ...{ warmUpMs: 300, measuredMs: 700, disk: { minMs: 0.5, maxMs: 2 } },
  });

it('a core that is slower makes all of it later, and the same again is the same', () => {
  const [one, again] = [run(PRICES), run(PRICES)];
  expect(again).toEqual(one);
  expect([one.submitted, one.finalityMs.length, one.unfinished]).toEqual([70, 70, 0]);
  const slow = Object.fromEntries(Object.entries(PRICES).map(([name, ms]) => [name, 3 * ms]));
  const later = run(slow as unknown as Prices);
  const sum = (report: SloReport): number => report.finalityMs.reduce((a, b) => a + b, 0);
  expect(sum(later)).toBeGreaterThan(1.5 * sum(one));
  expect(later.busiest).toBeGreaterThan(one.busiest);
});

it('a distant line takes three trips of it at least', () => {
  const { finalityMs, line } = run(PRICES, 'wan', 50);
  expect(Math.min(...finalityMs)).toBeGreaterThan(3 * 45);
  expect(line).toBeGreaterThan(0);
});
