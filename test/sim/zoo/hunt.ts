/**
 * Hunts one bug: `node hunt.ts HUNT WITHIN`, in a copy of the sources that has the bug. Prints who
 * caught it and after how many rounds, as JSON.
 */
import { SimFailure } from '../../../src/core/sim/scenario.ts';

/** Who caught a bug, and when. */
export interface Catch {
  readonly checker: string;
  /** Rounds until then, counted from 1. */
  readonly after: number;
  readonly message: string;
}

/** One seed or scenario; throws what its checkers find. */
type Round = (round: number) => void;

const hunts: Readonly<Record<string, (options: readonly string[]) => Round>> = {};

function huntDown(round: Round, within: number): Catch | undefined {
  for (let after = 1; after <= within; after += 1) {
    try {
      round(after);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      // Only checkers may catch: what the code itself asserts is a checker of its own.
      const checker = error instanceof SimFailure ? message.split(':', 1)[0]! : 'assertion';
      return { checker, after, message };
    }
  }
  return undefined;
}

const [hunt = '', within = '1'] = process.argv.slice(2);
const [name = '', ...options] = hunt.split(' ');
const caught = huntDown(hunts[name]!(options), Number(within));
process.stdout.write(JSON.stringify({ caught }));
