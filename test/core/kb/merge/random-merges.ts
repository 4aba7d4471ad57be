/** Three texts that have a history: random, and the same for the same number. */
import { SimRandom } from '../../../../src/core/sim/random.ts';

export interface ThreeTexts {
  readonly base: string;
  readonly ours: string;
  readonly theirs: string;
}

/** Lines that come again, as in real files. */
const COMMON = ['', '}', 'end', '# title', 'return'];

export function threeTexts(number: number): ThreeTexts {
  const random = new SimRandom(`merge/${number}`);
  const lines = Array.from({ length: random.between(1, 40) }, () => someLine(random));
  const ours = edited(random, lines);
  const theirs = random.chance(0.05) ? ours : edited(random, lines);
  return {
    base: joined(random, lines),
    ours: joined(random, ours),
    theirs: joined(random, theirs),
  };
}

const someLine = (random: SimRandom): string =>
  random.chance(0.2) ? random.pick(COMMON)! : `line ${random.between(0, 9999)}`;

function edited(random: SimRandom, lines: readonly string[]): string[] {
  const out = [...lines];
  for (let n = random.between(0, 4); n > 0; n -= 1) {
    const fresh = Array.from({ length: random.between(0, 3) }, () => someLine(random));
    out.splice(random.between(0, out.length), random.between(0, 3), ...fresh);
  }
  return out;
}

const joined = (random: SimRandom, lines: readonly string[]): string =>
  lines.length === 0 ? '' : lines.join('\n') + (random.chance(0.1) ? '' : '\n');
