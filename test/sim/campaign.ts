/**
 * `npm run sim`: the campaign that a release is held to. Fails when a check fails, when anything
 * that should have happened has not, or when the runs add up to too little.
 */
import { availableParallelism } from 'node:os';
import { Totals } from '../../src/core/sim/campaign.ts';
import { runCampaign } from '../../src/core/sim/jobs.ts';

const SEEDS = 1000;
/** What the campaign must add up to. */
const LEAST = { nodeHours: 200, delivered: 1_000_000, realSeeds: SEEDS / 100 };
const HEIGHTS_MEDIAN_LEAST = 30;

const first = Number(process.argv[2] ?? 1);
const began = performance.now();
const totals = new Totals();
/** More small clusters than large ones, which cost twice as much. */
const nodes = [4, 4, 4, 4, 7];
const options = { first, count: SEEDS, nodes, byzantineEvery: 10, realEvery: 75 };
await runCampaign(options, { jobs: availableParallelism() }, (result) => {
  totals.add(result);
  if ('message' in result) process.stdout.write(`${result.message}\n${result.replay}\n`);
  if (totals.counts.seeds % 100 === 0) process.stderr.write(`${totals.counts.seeds} seeds\n`);
});

const { counts, faults, failures, heightsMedian } = totals;
const minutes = (performance.now() - began) / 60_000;
for (const [name, count] of Object.entries({ ...counts, heightsMedian, ...faults })) {
  process.stdout.write(`${name.padEnd(20)} ${Math.round(count * 10) / 10}\n`);
}
const speedUp = Math.round((counts.nodeHours * 60) / minutes);
process.stdout.write(`minutes ${minutes.toFixed(1)}, speed-up ${speedUp}\n`);

/** What else must have happened. */
const pick = ({ viewChanges, laterViews, doubts, successions, accused }: Totals['counts']) => ({
  viewChanges,
  laterViews,
  doubts,
  successions,
  accused,
});

const missing = [
  ...Object.entries(LEAST)
    .filter(([name, least]) => counts[name as keyof typeof LEAST] < least)
    .map(([name, least]) => `${name} is below ${least}`),
  ...(heightsMedian < HEIGHTS_MEDIAN_LEAST ? [`median heights below ${HEIGHTS_MEDIAN_LEAST}`] : []),
  ...Object.entries({ ...faults, ...pick(counts) })
    .filter(([, count]) => count === 0)
    .map(([name]) => `${name} never happened`),
  ...(failures.length > 0 ? [`${failures.length} seeds failed`] : []),
];
for (const line of missing) process.stdout.write(`MISSING: ${line}\n`);
if (missing.length > 0) process.exitCode = 1;
