/**
 * The zoo: every patch applies, and some of the bugs, other ones each day, are caught as promised.
 * All of them: `npm run zoo`.
 */
import { expect, it } from 'vitest';
import { disappointment, hunt, infect, readBugs, readTable } from './zoo/zoo.ts';

const DAY_MS = 86_400_000;
/** So many days until all have been hunted. */
const DAYS = 5;

const bugs = readBugs();

it('every bug can be put into the sources', () => {
  expect(bugs.length).toBeGreaterThanOrEqual(24);
  for (const bug of bugs) {
    expect([...infect(bug).keys()], bug.name).not.toEqual([]);
    expect(bug.within, bug.name).toBeGreaterThan(0);
  }
});

it('the table names every bug, and every one was caught', () => {
  expect(readTable()).toEqual(bugs.map(({ title }) => title));
});

const today = Number(process.env['AEGIS_SIM_DAY'] ?? Math.floor(Date.now() / DAY_MS));
const hunted = bugs.filter((_bug, place) => place % DAYS === today % DAYS);

it.each(hunted)('$name is caught', async (bug) => {
  expect(disappointment(await hunt(bug))).toBeUndefined();
});
