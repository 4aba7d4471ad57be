/**
 * Halves of a cluster are cut apart, both write the same 50 paths, and are joined (W7 to W16).
 * `AEGIS_MERGE_SEEDS` says how many seeds; a failure names the one to run again, alone:
 * `AEGIS_MERGE_SEED=17 npx vitest run test/sim/merge.test.ts`.
 */
import { expect, it } from 'vitest';
import type { MergeChecker } from '../../src/core/sim/merge-checker.ts';
import { MergeScenario } from '../../src/core/sim/merge-scenario.ts';
import { SimFailure } from '../../src/core/sim/scenario.ts';
import { World } from '../../src/core/sim/world.ts';

const one = process.env['AEGIS_MERGE_SEED'];
const count = Number(process.env['AEGIS_MERGE_SEEDS'] ?? 3);
const seeds = one === undefined ? Array.from({ length: count }, (_, n) => n + 1) : [Number(one)];

function run(seed: number, paths = 50, hashesTrace = false) {
  let scenario: MergeScenario | undefined;
  const make = (world: World): MergeScenario => {
    scenario = new MergeScenario(world, { paths });
    return scenario;
  };
  try {
    const report = new World({ seed: `merge ${seed}`, hashesTrace }, { scenario: make }).run();
    return { report, checker: scenario!.checker };
  } catch (error) {
    const why = error instanceof SimFailure ? error.message : String(error);
    throw new SimFailure(`AEGIS_MERGE_SEED=${seed}: ${why}`, { cause: error });
  }
}

it(
  `two halves that both write come to one, and lose nothing, in ${seeds.length} seeds`,
  () => {
    const sum = { versions: 0, merges: 0, conflicts: 0, headsMax: 0, struck: 0 };
    for (const seed of seeds) {
      const { report, checker } = run(seed);
      const add = (name: keyof MergeChecker & keyof typeof sum): void => {
        sum[name] += checker[name];
      };
      add('versions');
      add('merges');
      add('conflicts');
      sum.headsMax = Math.max(sum.headsMax, checker.headsMax);
      sum.struck += Object.values(report.faults).reduce((a, b) => a + b, 0);
    }
    process.stdout.write(`merges: ${seeds.length} seeds: ${JSON.stringify(sum)}\n`);
    // Every half wrote most of the paths, and what it wrote was merged.
    expect(sum.versions).toBeGreaterThan(100 * seeds.length);
    expect(sum.merges).toBeGreaterThan(10 * seeds.length);
    expect(sum.conflicts).toBeGreaterThan(seeds.length);
    expect(sum.struck).toBeGreaterThan(0);
  },
  60_000 + seeds.length * 20_000,
);

it('the same seed does the same again', { timeout: 120_000 }, () => {
  expect(run(1, 8, true).report.trace).toBe(run(1, 8, true).report.trace);
});
