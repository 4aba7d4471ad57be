/** Runs seeds of the knowledge base in the simulator; a failure says how to run it again. */
import type { KbCare } from '../../src/core/sim/kb-care.ts';
import { KbScenario } from '../../src/core/sim/kb-scenario.ts';
import { SimFailure } from '../../src/core/sim/scenario.ts';
import { World, type WorldOptions, type WorldReport } from '../../src/core/sim/world.ts';

export interface Run {
  readonly report: WorldReport;
  readonly versions: number;
  readonly acknowledged: number;
  readonly equivocations: number;
  readonly care: KbCare['counts'];
}

/** @throws {SimFailure} with the line that replays it. */
export function runSeed(seed: string, options: Omit<WorldOptions, 'seed'> = {}): Run {
  let scenario: KbScenario | undefined;
  const make = (world: World): KbScenario => {
    scenario = new KbScenario(world);
    return scenario;
  };
  try {
    const report = new World({ seed, ...options }, { scenario: make }).run();
    const { versions, acknowledged, equivocations } = scenario!.checker;
    const care = scenario!.care.counts;
    return { report, versions, acknowledged, equivocations, care };
  } catch (error) {
    const why = error instanceof SimFailure ? error.message : String(error);
    const replay = `replay: AEGIS_SIM_SEED=${seed} npx vitest run test/sim/replay.test.ts`;
    throw new SimFailure(`seed ${seed}: ${why}\n${replay}`, { cause: error });
  }
}

/** Adds up what happened, for people to see that the faults did strike. */
function totals(runs: readonly Run[]): string {
  const sums = new Map<string, number>();
  const add = (name: string, count: number): void => {
    sums.set(name, (sums.get(name) ?? 0) + count);
  };
  for (const { report, versions, acknowledged, equivocations, care } of runs) {
    for (const [kind, count] of Object.entries(care)) add(kind, count);
    add('versions', versions);
    add('acknowledged', acknowledged);
    add('equivocations', equivocations);
    for (const [kind, count] of Object.entries(report.network)) add(kind, count);
    for (const [kind, count] of Object.entries(report.faults)) add(kind, count);
  }
  return [...sums].map(([name, count]) => `${name} ${count}`).join(', ');
}

/** Runs `count` seeds from `first` on and prints what struck. */
export function runSeeds(first: number, count: number): Run[] {
  const runs = Array.from({ length: count }, (_, i) => runSeed(`${first + i}`));
  process.stdout.write(`sim: ${count} seeds from ${first}: ${totals(runs)}\n`);
  return runs;
}
