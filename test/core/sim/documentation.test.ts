/** docs/simulator.md names every fault and every checker. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CHECKERS } from '../../../src/core/sim/consensus-checkers.ts';
import { CONSENSUS_FAULTS } from '../../../src/core/sim/faults.ts';

const page = readFileSync('docs/simulator.md', 'utf8');
/** The names in the first column of the table under a heading. */
const namesUnder = (heading: string): string[] =>
  page
    .split(`## ${heading}\n`)[1]!
    .split('\n## ')[0]!
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2)
    .flatMap((line) =>
      line
        .split('|')[1]!
        .split(',')
        .map((name) => name.trim()),
    );

it('tells what can happen and what is held', () => {
  expect(namesUnder('Faults').toSorted()).toEqual(CONSENSUS_FAULTS.toSorted());
  expect(namesUnder('Checkers').toSorted()).toEqual(CHECKERS.toSorted());
});
