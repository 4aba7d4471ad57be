/** The page of the knowledge base: what changed last, how large it is, how many copies it has. */
import type { KbEntry } from '../data.ts';
import { ageMs, count, shortSpan, size as sizeText, span as spanText } from '../format.ts';
import { line, type Tone } from '../line.ts';
import { type Column, drawTable, listOf, type TableSpec, viewOf } from '../table.ts';
import type { Page } from '../view.ts';
import { facts } from './facts.ts';

const author = (entry: KbEntry): string => entry.authorName ?? entry.author ?? 'merge';

const copies = ({ replicas }: KbEntry): string => `${replicas.confirmed ?? '?'}/${replicas.wanted}`;

function copiesTone({ replicas: { wanted, confirmed } }: KbEntry): Tone {
  if (confirmed === null) return 'faint';
  if (confirmed >= wanted) return 'good';
  return confirmed > 1 ? 'warn' : 'bad';
}

const known: readonly Column<KbEntry>[] = [
  {
    id: 'path',
    title: 'PATH',
    columns: 14,
    grows: true,
    drop: 0,
    cell: (entry) => (entry.kind === 'directory' ? `${entry.path}/` : entry.path),
    value: (entry) => entry.path,
  },
  {
    id: 'size',
    title: 'SIZE',
    columns: 9,
    align: 'right',
    drop: 1,
    cell: (entry) => sizeText(entry.sizeBytes),
    value: (entry) => entry.sizeBytes,
  },
  {
    id: 'copies',
    title: 'COPIES',
    columns: 7,
    align: 'right',
    drop: 0,
    cell: copies,
    tone: copiesTone,
    // Those that nobody told this node about are no worry of its operator.
    value: ({ replicas }) => (replicas.confirmed ?? replicas.wanted) - replicas.wanted,
  },
];

/** The height at which the newest version became final. */
const finality = ({ final, height }: KbEntry): string =>
  final ? (height === null ? 'yes' : `at ${height}`) : 'no';

const more: readonly Column<KbEntry>[] = [
  {
    id: 'changed',
    title: 'CHANGED',
    columns: 8,
    align: 'right',
    drop: 2,
    cell: (entry, state) => shortSpan(ageMs(entry.time, state.nowMs)),
    value: (entry) => Date.parse(entry.time) || 0,
  },
  {
    id: 'heads',
    title: 'HEADS',
    columns: 6,
    align: 'right',
    drop: 3,
    cell: (entry) => count(entry.heads),
    tone: (entry) => (entry.heads > 1 ? 'warn' : 'plain'),
    value: (entry) => entry.heads,
  },
  {
    id: 'final',
    title: 'FINAL',
    columns: 8,
    align: 'right',
    drop: 4,
    cell: finality,
    tone: (entry) => (entry.final ? 'plain' : 'warn'),
    value: (entry) => (entry.final ? (entry.height ?? 0) : null),
  },
  {
    id: 'generation',
    title: 'GEN',
    columns: 5,
    align: 'right',
    drop: 7,
    cell: (entry) => count(entry.generation),
    value: (entry) => entry.generation,
  },
  {
    id: 'local',
    title: 'HERE',
    columns: 5,
    drop: 6,
    cell: (entry) => (entry.local ? 'yes' : 'no'),
    value: (entry) => (entry.local ? 'yes' : 'no'),
  },
  { id: 'author', title: 'AUTHOR', columns: 14, drop: 5, cell: author, value: author },
];

export const kbTable: TableSpec<KbEntry> = {
  columns: [...known, ...more],
  sort: 'changed',
  descending: true,
  rows: (data) => data.entries,
  search: (entry) => `${entry.path} ${entry.kind} ${author(entry)} ${entry.cid}`,
  empty: 'nothing is stored yet; put a file: aegis kb put FILE',
};

const list = listOf(kbTable);

export const kbPage: Page = {
  id: 'kb',
  title: 'knowledge base',
  list,
  body: (state, size) => drawTable(kbTable, state, viewOf(state, 'kb', list), size),
  detail(state, key, size) {
    const entry = state.shown.entries.get(key);
    if (entry === undefined) return [line('this path is no longer shown', 'faint')];
    const age = ageMs(entry.time, state.nowMs);
    return facts(
      [
        ['path', entry.path, 'strong'],
        ['kind', entry.kind],
        ['size', `${sizeText(entry.sizeBytes)} (${entry.sizeBytes} bytes)`],
        ['copies', `${copies(entry)} confirmed as durable`, copiesTone(entry)],
        ['held here', entry.local ? 'yes' : 'no'],
        ['content', entry.cid],
        ['version', entry.version],
        ['final', finality(entry), entry.final ? 'plain' : 'warn'],
        ['generation', entry.generation],
        ['heads', entry.heads, entry.heads > 1 ? 'warn' : 'plain'],
        [
          'author',
          entry.authorName === null ? author(entry) : `${entry.authorName} (${entry.author})`,
        ],
        ['written', `${entry.time} (${spanText(age)} ago)`],
      ],
      size.columns,
      true,
    );
  },
};
