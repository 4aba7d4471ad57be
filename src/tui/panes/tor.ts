/** The page of Tor: the route, how far Tor is, the onion service, and what each peer goes over. */
import type { Peer, TorStatus } from '../data.ts';
import { ageMs, count, NOTHING, size as sizeText, span as spanText } from '../format.ts';
import { BLANK, type Line, line, type Tone } from '../line.ts';
import { type Column, drawTable, listOf, type TableSpec, viewOf } from '../table.ts';
import type { Page, Size, State } from '../view.ts';
import { type Fact, facts } from './facts.ts';
import { peersPage, peersTable } from './peers.ts';

const STATE_TONE: Readonly<Record<TorStatus['state'], Tone>> = {
  off: 'faint',
  starting: 'warn',
  bootstrapping: 'warn',
  ready: 'good',
  down: 'bad',
};

const routeFact = ({ route, state }: TorStatus): Fact =>
  route === 'off'
    ? ['route', 'off: peers see where this node is', 'plain']
    : ['route', `${route}  ${state}`, STATE_TONE[state] ?? 'plain'];

/** What keeps it, and what to do. */
const whyFacts = ({ why, hint }: TorStatus): Fact[] => [
  ...(why === null ? [] : [['why', why, 'warn'] as const]),
  ...(hint === null ? [] : [['', hint] as const]),
];

function daemonFact({ daemon }: TorStatus): Fact[] {
  if (daemon === null) return [];
  const { kind, version, pid, socks } = daemon;
  const parts = [
    version ?? 'version unknown',
    kind === 'spawn' ? `our own${pid === null ? '' : `, pid ${pid}`}` : 'of the system',
    ...(socks === null ? [] : [`socks ${socks}`]),
  ];
  return [['tor', parts.join('  ')]];
}

const BAR_COLUMNS = 20;

/** `45 % [=========           ] Asking for relays  12 s  about 8 s left`. */
function bootstrapFacts({ bootstrap }: TorStatus, nowMs: number): Fact[] {
  if (bootstrap === null) return [];
  const { percent, summary, startedAt, leftMs, warning, reason } = bootstrap;
  if (percent >= 100) return [['bootstrap', 'done', 'good']];
  const filled = Math.round((BAR_COLUMNS * percent) / 100);
  const bar = `[${'='.repeat(filled)}${' '.repeat(BAR_COLUMNS - filled)}]`;
  const age = ageMs(startedAt, nowMs);
  const parts = [`${percent} % ${bar} ${summary}`];
  if (age !== undefined) parts.push(spanText(age));
  if (leftMs !== null) parts.push(`about ${spanText(leftMs)} left`);
  const because = reason === null ? '' : ` (${reason})`;
  return [
    ['bootstrap', parts.join('  '), 'warn'],
    ...(warning === null ? [] : [['', `${warning}${because}`, 'bad'] as const]),
  ];
}

function circuitsFact({ hasCircuits, circuits, traffic, guards }: TorStatus): Fact[] {
  if (hasCircuits === null) return [];
  const parts = [hasCircuits ? `${circuits} built` : 'none can be built yet'];
  if (traffic !== null) {
    parts.push(`in ${sizeText(traffic.bytesRead)}`, `out ${sizeText(traffic.bytesWritten)}`);
  }
  if (guards.length > 0) parts.push(`guards ${guards.map(guardName).join(', ')}`);
  return [['circuits', parts.join('  '), hasCircuits ? 'plain' : 'warn']];
}

const guardName = ({ name, fingerprint, state }: TorStatus['guards'][number]): string =>
  `${name ?? fingerprint.slice(0, 8)}${state === 'up' ? '' : ` (${state})`}`;

function onionFacts({ services }: TorStatus, nowMs: number): Fact[] {
  return services.map((service) => {
    const { address, state, publishedAt, clientKeys, isCurrent, until, why } = service;
    const age = ageMs(publishedAt, nowMs);
    const parts: string[] = [state];
    if (state === 'published' && age !== undefined) parts.push(`${spanText(age)} ago`);
    parts.push(clientKeys === null ? 'open' : `${clientKeys} client keys`);
    if (until !== null) parts.push(`until ${until.slice(0, 16)}`);
    if (why !== null) parts.push(why);
    const tone = state === 'published' ? 'good' : state === 'failed' ? 'bad' : 'warn';
    return [isCurrent ? 'onion' : 'before', `${address}  ${parts.join('  ')}`, tone];
  });
}

function connectionsFact({ connections, route }: TorStatus): Fact {
  const { onion, exit, direct } = connections;
  const text = `${onion} onion  ${exit} through exits  ${direct} direct`;
  return ['connections', text, route === 'require' && direct > 0 ? 'bad' : 'plain'];
}

const ROUTE_TONE: Readonly<Record<string, Tone>> = { onion: 'good', exit: 'warn', direct: 'plain' };

const own: readonly Column<Peer>[] = [
  {
    id: 'route',
    title: 'ROUTE',
    columns: 7,
    drop: 0,
    cell: (peer) => peer.route ?? NOTHING,
    tone: (peer) => ROUTE_TONE[peer.route ?? ''] ?? 'faint',
    value: (peer) => peer.route,
  },
  {
    id: 'lanes',
    title: 'LANES',
    columns: 6,
    align: 'right',
    drop: 2,
    cell: (peer) => count(peer.lanes),
    value: (peer) => peer.lanes,
  },
];

const ofPeers = (...ids: string[]): Column<Peer>[] =>
  peersTable.columns.filter(({ id }) => ids.includes(id));

const routesTable: TableSpec<Peer> = {
  ...peersTable,
  columns: [...ofPeers('name', 'state'), ...own, ...ofPeers('rtt', 'in', 'out', 'address')],
  search: (peer) => `${peersTable.search(peer)} ${peer.route ?? ''}`,
};

const list = listOf(routesTable);

/** A heading, and enough rows to see what peers go over. */
const TABLE_ROWS_MIN = 5;
const SUMMARY_ROWS_MIN = 3;

/** Everything above the table, the most important first. */
function above(state: State, size: Size): Line[] {
  const { tor } = state.shown;
  if (tor === undefined) return [];
  const wrapped = size.rows > 2 * TABLE_ROWS_MIN;
  const lines = facts(
    [
      routeFact(tor),
      ...whyFacts(tor),
      ...bootstrapFacts(tor, state.nowMs),
      ...onionFacts(tor, state.nowMs),
      connectionsFact(tor),
      ...circuitsFact(tor),
      ...daemonFact(tor),
    ],
    size.columns,
    wrapped,
  );
  const rows = Math.max(SUMMARY_ROWS_MIN, size.rows - TABLE_ROWS_MIN);
  return lines.length < rows ? [...lines, BLANK] : lines.slice(0, rows);
}

const listRoom = (state: State, size: Size): Size => ({
  columns: size.columns,
  rows: Math.max(0, size.rows - above(state, size).length),
});

export const torPage: Page = {
  id: 'tor',
  title: 'tor',
  list,
  listRoom,
  body(state, size) {
    if (state.shown.node === undefined) return [line('waiting for the daemon', 'faint')];
    const view = viewOf(state, 'tor', list);
    return [...above(state, size), ...drawTable(routesTable, state, view, listRoom(state, size))];
  },
  ...(peersPage.detail && { detail: peersPage.detail }),
};
