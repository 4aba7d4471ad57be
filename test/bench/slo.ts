/**
 * The stated load on the simulator: fifty custodians with one core each, 2,000 intents a second, on
 * a LAN and on a WAN. What things cost is measured on this machine first and printed; all else
 * follows from the seed, so that the same prices give the same figures. `AEGIS_SLO_PRICES` names a
 * file in which prices are kept: those in it are used again.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { runSlo, SLO_NETWORKS, type SloNetwork, type SloReport } from '../../src/core/sim/slo.ts';
import { type Figure, summaryOf, table } from './figures.ts';
import { type Measured, measurePrices } from './slo-prices.ts';

const LOAD = {
  seed: process.env['AEGIS_SLO_SEED'] ?? '1',
  custodians: 50,
  intentsPerSecond: 2000,
  warmUpMs: 1500,
  measuredMs: 4000,
} as const;
/** Of the load that is stated: what does not fall behind makes all of it final. */
const REACHED = 0.98;

type Priced = Pick<Measured, 'prices' | 'disk'>;

async function pricesOf(): Promise<Priced> {
  const file = process.env['AEGIS_SLO_PRICES'];
  if (file !== undefined && existsSync(file)) {
    return JSON.parse(readFileSync(file, 'utf8')) as Priced;
  }
  const { prices, disk, figures } = await measurePrices();
  console.log(`what things cost here, alone and warm\n${table(figures)}\n`);
  if (file !== undefined) writeFileSync(file, JSON.stringify({ prices, disk }));
  return { prices, disk };
}

export async function slo(): Promise<Figure[]> {
  const priced = await pricesOf();
  console.log(`prices in ms of a core: ${JSON.stringify(priced.prices)}`);
  console.log(`a commit takes ${priced.disk.minMs} to ${priced.disk.maxMs} ms\n`);
  return (Object.keys(SLO_NETWORKS) as SloNetwork[]).flatMap((network) =>
    figuresOf(network, priced),
  );
}

function figuresOf(network: SloNetwork, priced: Priced): Figure[] {
  const { prices, disk } = priced;
  const stated = runSlo({ ...LOAD, network, prices, disk });
  console.log(textOf(network, LOAD.intentsPerSecond, stated));
  const name = `50 custodians, one core each, ${network.toUpperCase()}`;
  const figures: Figure[] = [
    {
      name: `${name}, 2,000 intents/s submitted, final`,
      unit: 'intents/s',
      samples: [stated.perSecond],
      goal: { least: REACHED * LOAD.intentsPerSecond },
    },
    { name: '  from submission to final', unit: 'ms', samples: stated.finalityMs, of: 'p95' },
  ];
  if (stated.perSecond >= REACHED * LOAD.intentsPerSecond) return figures;
  const [rate, most] = sustained(network, priced);
  console.log(whereOf(network, stated));
  return [
    ...figures,
    { name: '  the most that does not fall behind', unit: 'intents/s', samples: [rate] },
    { name: '  at that load, to final', unit: 'ms', samples: most.finalityMs, of: 'p95' },
  ];
}

/** Where the time goes when the load is too much. */
function whereOf(network: SloNetwork, { busiest, intentBytes }: SloReport): string {
  const { bytesPerMs } = SLO_NETWORKS[network];
  const others = LOAD.custodians - 1;
  const most = Math.floor((bytesPerMs * 1000) / (others * intentBytes));
  const core = `the busiest core had work for ${(100 * busiest).toFixed(0)} % of the time`;
  return (
    `${network.toUpperCase()}: ${core}; a leader sends each block whole to ${others} others over ` +
    `one line, which carries ${most} intents/s, before anything else is said on it\n`
  );
}

/** Halves the load until all of it becomes final in time. */
function sustained(network: SloNetwork, { prices, disk }: Priced): [number, SloReport] {
  for (let rate = LOAD.intentsPerSecond / 2; ; rate = Math.floor(rate / 2)) {
    const report = runSlo({ ...LOAD, intentsPerSecond: rate, network, prices, disk });
    console.log(textOf(network, rate, report));
    if (report.perSecond >= REACHED * rate || rate < 50) return [rate, report];
  }
}

function textOf(network: SloNetwork, submitted: number, report: SloReport): string {
  const { finalityMs, perSecond, blocks, intentBytes, unfinished } = report;
  const { shares, busiest, line, viewChanges } = report;
  const sorted = finalityMs.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN).toFixed(1);
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const busy = Object.values(shares).reduce((sum, share) => sum + share, 0);
  const rows = Object.entries(shares).map(
    ([phase, share]) => `  ${phase.padEnd(24)} ${percent(share)}`,
  );
  return [
    `${network.toUpperCase()}, seed ${LOAD.seed}, ${submitted} intents/s submitted, ` +
      `of ${intentBytes} bytes each`,
    `final ${perSecond.toFixed(0)} intents/s in ${blocks} blocks; to final p50 ${at(0.5)} ms, ` +
      `p95 ${at(0.95)} ms, p99 ${at(0.99)} ms, most ${summaryOf(sorted).max.toFixed(1)} ms ` +
      `(n = ${sorted.length}, and ${unfinished} that were not); view changes ${viewChanges}`,
    `a core is busy ${percent(busy)} of the time, the busiest ${percent(busiest)}; ` +
      `a line carries ${percent(line)} of what it can`,
    ...rows,
    `trace ${report.trace}\n`,
  ].join('\n');
}
