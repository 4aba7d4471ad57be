/** One row of custodians: who has voted, who is waited for, who has given the view up. */
import type { ConsensusStatus, Data, Who } from '../data.ts';
import { type Line, line, type Span, span, type Tone } from '../line.ts';
import { clean, fit, widthOf } from '../text.ts';

/** What a custodian has done in the present view, or has not. */
export type Standing = 'commit' | 'prepare' | 'timed out' | 'missing' | 'away' | '-';

/** A letter for each where there is no room for the word. */
const LETTERS: Readonly<Record<Standing, string>> = {
  commit: 'C',
  prepare: 'P',
  'timed out': 'T',
  missing: '?',
  away: 'x',
  '-': '-',
};

const TONES: Readonly<Record<Standing, Tone>> = {
  commit: 'good',
  prepare: 'good',
  'timed out': 'warn',
  missing: 'warn',
  away: 'bad',
  '-': 'faint',
};

/** The furthest that it is known to have come; giving up comes after any vote (T2). */
export function standingOf(nodeId: string, status: ConsensusStatus): Standing {
  const { votes, timeouts, missing } = status;
  if (timeouts.includes(nodeId)) return 'timed out';
  if (votes.commit.includes(nodeId)) return 'commit';
  if (votes.prepare.includes(nodeId)) return 'prepare';
  const waited = missing.find((one) => one.nodeId === nodeId);
  if (waited === undefined) return '-';
  return waited.connected ? 'missing' : 'away';
}

const ID_COLUMNS = 14;
const NAME_COLUMNS_MAX = 14;
const WORD_COLUMNS = 9;
const GAP_COLUMNS = 2;
/** With more rows of names than these, letters take their place. */
const NAME_ROWS_MAX = 3;
const LETTER_ROWS_MAX = 4;

export const nameOf = ({ nodeId, name }: Who): string => name ?? nodeId.slice(0, ID_COLUMNS);

/** `node10` comes after `node9`. */
const order = (who: Who): string =>
  nameOf(who).replaceAll(/\d+/g, (digits) => digits.padStart(9, '0'));

/** Names and words while they fit in three rows, else a letter a custodian and a legend. */
export function votesOf({ custodians }: Data, status: ConsensusStatus, columns: number): Line[] {
  if (custodians.length === 0) return [line('no custodian is known', 'faint')];
  const sorted = custodians.toSorted((a, b) => (order(a) < order(b) ? -1 : 1));
  const standings = sorted.map((each) => standingOf(each.nodeId, status));
  const names = sorted.map(nameOf);
  const widest = Math.max(...names.map((name) => widthOf(clean(name))));
  const nameColumns = Math.min(NAME_COLUMNS_MAX, widest);
  const cellColumns = nameColumns + 1 + WORD_COLUMNS + GAP_COLUMNS;
  const perRow = Math.floor((columns + GAP_COLUMNS) / cellColumns);
  if (perRow * NAME_ROWS_MAX < names.length) return letters(standings, columns);
  const cells = names.map((name, i): Span[] => {
    const standing = standings[i] ?? '-';
    const gap = ' '.repeat(GAP_COLUMNS);
    return [
      span(`${fit(name, nameColumns)} `),
      span(fit(standing, WORD_COLUMNS), TONES[standing]),
      span(gap),
    ];
  });
  return chunks(cells, perRow).map((row) => row.flat());
}

function letters(standings: readonly Standing[], columns: number): Line[] {
  const cells = standings.map((standing) => span(LETTERS[standing], TONES[standing]));
  const used = (Object.keys(LETTERS) as Standing[]).filter((one) => standings.includes(one));
  const legend = used
    .filter((standing) => standing !== '-')
    .map((standing) => `${LETTERS[standing]} ${standing}`)
    .join('  ');
  const rows = chunks(cells, Math.max(1, columns)).slice(0, LETTER_ROWS_MAX);
  return legend === '' ? rows : [...rows, line(legend, 'faint')];
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const out: T[][] = [];
  for (let at = 0; at < items.length; at += size) out.push(items.slice(at, at + size));
  return out;
}
