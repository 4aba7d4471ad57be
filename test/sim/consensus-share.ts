/** A share of the campaign of `npm run sim`, for `npm test`; a failure says how to run it again. */
import { expect } from 'vitest';
import {
  type CampaignOptions,
  runReplayText,
  runShare,
  Totals,
} from '../../src/core/sim/campaign.ts';
import regressions from './regressions.json' with { type: 'json' };

/** Runs that have found something once, in the words of `aegis sim --replay`. They come first. */
export function runRegressions(): void {
  const totals = new Totals();
  for (const { replay } of regressions as readonly { replay: string }[]) {
    totals.add(runReplayText(replay));
  }
  expect(totals.failures).toEqual([]);
}

/** Runs the seeds, prints what happened, and expects that all kinds of trouble did. */
export function runSeedShare(options: CampaignOptions): Totals {
  const totals = new Totals();
  for (const result of runShare(options, 1, 0)) totals.add(result);
  const { counts, faults, heightsMedian } = totals;
  const text = Object.entries({ ...counts, heightsMedian, ...faults })
    .map(([name, count]) => `${name} ${Math.round(count * 100) / 100}`)
    .join(', ');
  process.stdout.write(`sim: seeds from ${options.first}: ${text}\n`);
  const shown = totals.failures.map(
    ({ seed, message, replay }) => `${seed}: ${message}\n${replay}`,
  );
  expect(shown).toEqual([]);
  for (const [kind, count] of Object.entries(faults)) expect(count, kind).toBeGreaterThan(0);
  expect(counts.viewChanges).toBeGreaterThan(0);
  expect(counts.byzantine).toBeGreaterThan(0);
  expect(heightsMedian).toBeGreaterThanOrEqual(30);
  return totals;
}
