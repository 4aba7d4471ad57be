/**
 * Hunts one bug: `node hunt.ts HUNT WITHIN`, in a copy of the sources that has the bug. Prints who
 * caught it and after how many rounds, as JSON.
 */
import { runConsensus } from '../../../src/core/sim/consensus-run.ts';
import { KbScenario } from '../../../src/core/sim/kb-scenario.ts';
import { SimRandom } from '../../../src/core/sim/random.ts';
import { readReplay } from '../../../src/core/sim/replay.ts';
import { SimFailure } from '../../../src/core/sim/scenario.ts';
import { drawTwins, runTwins, twinsScenario } from '../../../src/core/sim/twins.ts';
import { World } from '../../../src/core/sim/world.ts';

/** Who caught a bug, and when. */
export interface Catch {
  readonly checker: string;
  /** Rounds until then, counted from 1. */
  readonly after: number;
  readonly message: string;
}

/** One seed or scenario, from 1 on; throws what its checkers find. */
type Round = (round: number) => void;

const hunts: Readonly<Record<string, (options: string) => Round>> = {
  /** All scenarios of so many rounds, in an order that mixes them. */
  twins: (rounds) => (round) => {
    const count = 64 ** Number(rounds);
    const number = (round * 2_654_435_761) % count;
    runTwins(twinsScenario(number, Number(rounds)));
  },
  /** Scenarios of so many rounds that are drawn. */
  'drawn-twins': (rounds) => (round) => {
    runTwins(drawTwins(Number(rounds), new SimRandom(`drawn twins ${round}`)));
  },
  /** Seeds of consensus, with the options of a replay. */
  seeds: (options) => (round) => {
    runConsensus(readReplay(options === '' ? `${round}` : `${round}:${options}`));
  },
  /** Seeds of the knowledge base. */
  kb: () => (round) => {
    new World({ seed: `${round}` }, { scenario: (world) => new KbScenario(world) }).run();
  },
};

function huntDown(round: Round, within: number): Catch | undefined {
  for (let after = 1; after <= within; after += 1) {
    try {
      round(after);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      // What the code itself asserts is a checker of its own.
      const checker = error instanceof SimFailure ? message.split(':', 1)[0]! : 'machine';
      return { checker, after, message };
    }
  }
  return undefined;
}

const [hunt = '', within = '1'] = process.argv.slice(2);
const [name = '', options = ''] = hunt.split(' ');
const caught = huntDown(hunts[name]!(options), Number(within));
process.stdout.write(JSON.stringify({ caught }));
