/** Twins: every scenario of two rounds, and some of more, drawn from a seed. */
import { expect, it } from 'vitest';
import { SimRandom } from '../../src/core/sim/random.ts';
import { SimFailure } from '../../src/core/sim/scenario.ts';
import {
  runTwins,
  type TwinsReport,
  twinsScenario,
  twinsScenarios,
} from '../../src/core/sim/twins.ts';

function run(number: number, rounds: number): TwinsReport {
  try {
    return runTwins(twinsScenario(number, rounds));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SimFailure(`scenario ${number} of ${rounds} rounds: ${why}`, { cause: error });
  }
}

/** Prints what came of the scenarios, for people to see that they differ. */
function tell(name: string, reports: readonly TwinsReport[]): void {
  const count = (is: (report: TwinsReport) => boolean): number => reports.filter(is).length;
  process.stdout.write(
    `twins: ${reports.length} ${name}: final while parted ${count((it) => it.isFinalInParts)}, ` +
      `two blocks or more ${count((it) => it.proposals > 1)}, found out ` +
      `${count((it) => it.isFoundOut)}, final in view ` +
      `${[0, 1, 2, 3].map((view) => `${view}: ${count((it) => it.view === view)}`).join(', ')}\n`,
  );
}

it('correct custodians agree and go on in all 4,096 scenarios of two rounds', () => {
  expect(twinsScenarios(2)).toBe(4096);
  const reports = Array.from({ length: 4096 }, (_, number) => run(number, 2));
  tell('scenarios of two rounds', reports);
  // Nothing of what the scenarios are for may be missing.
  expect(reports.some(({ isFinalInParts }) => isFinalInParts)).toBe(true);
  expect(reports.some(({ isFinalInParts }) => !isFinalInParts)).toBe(true);
  expect(reports.some(({ proposals }) => proposals > 2)).toBe(true);
  expect(reports.some(({ isFoundOut }) => isFoundOut)).toBe(true);
  for (const view of [0, 1, 2]) {
    expect(
      reports.some((report) => report.view === view),
      `view ${view}`,
    ).toBe(true);
  }
});

it('and in scenarios of three to seven rounds, drawn from a seed', () => {
  const seed = process.env['AEGIS_SIM_SEED'] ?? '1';
  const count = Number(process.env['AEGIS_SIM_TWINS'] ?? 500);
  const random = new SimRandom(`twins ${seed}`);
  const reports = Array.from({ length: count }, () => {
    const rounds = random.between(3, 7);
    let number = 0;
    for (let round = 0; round < rounds; round += 1) {
      number = number * twinsScenarios(1) + random.between(0, twinsScenarios(1) - 1);
    }
    return run(number, rounds);
  });
  tell(`scenarios of more rounds from seed ${seed}`, reports);
  expect(reports.some(({ view }) => view >= 3)).toBe(true);
});
