/** Twins: every scenario of two rounds, and some of more, drawn from a seed. */
import { expect, test } from 'vitest';
import { SimRandom } from '../../src/core/sim/random.ts';
import { SimFailure } from '../../src/core/sim/scenario.ts';
import {
  drawTwins,
  runTwins,
  type TwinsReport,
  type TwinsRound,
  twinsScenario,
  twinsScenarios,
} from '../../src/core/sim/twins.ts';

function run(scenario: readonly TwinsRound[], name: string): TwinsReport {
  try {
    return runTwins(scenario);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SimFailure(`${name}: ${why}`, { cause: error });
  }
}

/** Prints what came of the scenarios, for people to see that they differ. */
function tell(name: string, reports: readonly TwinsReport[]): void {
  const count = (is: (report: TwinsReport) => boolean): number => reports.filter(is).length;
  process.stdout.write(
    `twins: ${reports.length} ${name}: final while parted ${count((one) => one.isFinalInParts)}, ` +
      `two blocks or more ${count((one) => one.proposals > 1)}, found out ` +
      `${count((one) => one.isFoundOut)}, final in view ` +
      `${[0, 1, 2, 3].map((view) => `${view}: ${count((one) => one.view === view)}`).join(', ')}\n`,
  );
}

test('every scenario is another one, and all of a round are there', () => {
  const texts = Array.from({ length: 4096 }, (_, n) => JSON.stringify(twinsScenario(n, 2)));
  expect(new Set(texts).size).toBe(4096);
  const rounds = Array.from({ length: 64 }, (_, n) => twinsScenario(n, 1)[0]!);
  for (const { sides } of rounds) expect(sides[0]).toBe(0);
  const pairs = rounds.map(({ leader, sides }) => `${leader} ${sides.join('')}`);
  expect(new Set(pairs).size).toBe(4 * 16);
});

test('correct custodians agree and go on in all 4,096 scenarios of two rounds', () => {
  expect(twinsScenarios(2)).toBe(4096);
  const reports = Array.from({ length: 4096 }, (_, number) =>
    run(twinsScenario(number, 2), `scenario ${number} of two rounds`),
  );
  tell('scenarios of two rounds', reports);
  // Nothing of what the scenarios are for may be missing.
  expect(reports.some(({ isFinalInParts }) => isFinalInParts)).toBe(true);
  expect(reports.some(({ isFinalInParts }) => !isFinalInParts)).toBe(true);
  expect(reports.some(({ proposals }) => proposals > 2)).toBe(true);
  expect(reports.some(({ isFoundOut }) => isFoundOut)).toBe(true);
  for (const view of [0, 1, 2]) {
    expect(
      reports.some((one) => one.view === view),
      `view ${view}`,
    ).toBe(true);
  }
});

test('and in scenarios of two to seven rounds that part every phase, drawn from a seed', () => {
  const seed = process.env['AEGIS_SIM_SEED'] ?? '1';
  const count = Number(process.env['AEGIS_SIM_TWINS'] ?? 600);
  const random = new SimRandom(`twins ${seed}`);
  const reports = Array.from({ length: count }, (_, number) => {
    const rounds = random.between(2, 7);
    const scenario = drawTwins(rounds, random.child(`${number}`));
    return run(scenario, `drawn scenario ${number} of ${rounds} rounds of seed ${seed}`);
  });
  tell(`scenarios that part every phase, seed ${seed}`, reports);
  expect(reports.some(({ view }) => view >= 3)).toBe(true);
});
