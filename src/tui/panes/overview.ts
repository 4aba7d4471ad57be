/** The first page: this node at a glance. A summary, never the only place of a fact. */
import type { Data, LogLine, NodeStatus } from '../data.ts';
import {
  ageMs,
  count,
  latency,
  percent,
  rate,
  size as sizeText,
  span as spanText,
} from '../format.ts';
import { BLANK, type Line, line, span, type Tone } from '../line.ts';
import { sparkline } from '../sparkline.ts';
import { drawTable, viewOf } from '../table.ts';
import { fit } from '../text.ts';
import type { Page, Size, State } from '../view.ts';
import { type Fact, facts } from './facts.ts';
import { peersPage, peersTable } from './peers.ts';

/** How far the chain is, and whether this node takes part. */
function chain({ chain: is }: NodeStatus, state: State): Fact {
  if (is === null) return ['chain', null];
  const age = ageMs(is.lastFinalAt, state.nowMs);
  const parts = [`height ${is.height}`];
  if (age !== undefined) parts.push(`final ${spanText(age)} ago`);
  if (is.pending > 0) parts.push(`${is.pending} pending`);
  if (is.behind > 0) parts.push(`${is.behind} behind`);
  if (!is.isVoting) parts.push('does not vote');
  return ['chain', parts.join('  '), is.behind > 0 ? 'warn' : 'plain'];
}

/** What changes and may need attention; enough for a low terminal, whose header has the rest. */
function vitals(node: NodeStatus, state: State): Fact[] {
  const { kb } = node;
  const missing = node.peers.known - node.peers.connected;
  const short = kb.underReplicated;
  return [
    [
      'peers',
      `${node.peers.connected} of ${node.peers.known} connected`,
      missing > 0 ? 'warn' : 'good',
    ],
    chain(node, state),
    [
      'documents',
      `${count(kb.paths)} paths  ${count(kb.versions)} versions  ` +
        `${count(kb.objects)} objects  ${sizeText(kb.sizeBytes)}`,
    ],
    [
      'copies',
      short > 0 ? `too few of ${short} ${short === 1 ? 'path' : 'paths'}` : 'complete',
      short > 0 ? 'warn' : 'good',
    ],
  ];
}

/** Only what the page of Tor has at its top. */
const routeText = ({ tor: { route, state } }: NodeStatus): string =>
  route === 'off' ? 'off' : `${route}  ${state}`;

function identity(node: NodeStatus, state: State): Fact[] {
  const uptimeMs = Math.max(node.uptimeMs, state.nowMs - Date.parse(node.startedAt) || 0);
  return [
    ['node', `${node.name}  ${node.nodeId}`],
    ['cluster', node.clusterName ?? 'none yet: aegis cluster create or join'],
    ['daemon', `aegis ${node.version}  pid ${node.pid}  up ${spanText(uptimeMs)}`],
    ['route', routeText(node)],
    ['address', node.addresses[0]],
  ];
}

function charts(state: State, columns: number): Line[] {
  const history = state.shownHistory;
  const options = { columns, ascii: state.ascii };
  return [
    sparkline(history.cpuPercent, { ...options, label: 'cpu', format: percent }),
    sparkline(history.rssBytes, { ...options, label: 'memory', format: sizeText }),
    sparkline(history.inBytesPerSecond, { ...options, label: 'received', format: rate }),
    sparkline(history.outBytesPerSecond, { ...options, label: 'sent', format: rate }),
    sparkline(history.loopLagMs, { ...options, label: 'loop p99', format: latency }),
  ];
}

const LEVEL_TONE: Readonly<Record<LogLine['level'], Tone>> = {
  debug: 'faint',
  info: 'plain',
  warn: 'warn',
  error: 'bad',
};

const logRow = ({ time, level, room, message }: LogLine): Line => [
  span(`${time.slice(11, 19)} `, 'faint'),
  span(fit(level, 6), LEVEL_TONE[level] ?? 'plain'),
  span(`${room}: ${message}`),
];

function recent(data: Data, rows: number): Line[] {
  if (rows < 3 || data.log.length === 0) return [];
  return [BLANK, line('LOG', 'strong'), ...data.log.slice(2 - rows).map(logRow)];
}

/** The peers without a selection: this page only looks. */
function peers(state: State, size: Size): Line[] {
  const { list } = peersPage;
  if (size.rows < 3 || list === undefined || state.shown.peers.size === 0) return [];
  const view = viewOf(state, 'peers', list);
  const all = { ...view, filter: '', holdUntilMs: 0, top: 0, selected: undefined };
  const order = list.arrange(state.shown, all);
  const table = { columns: size.columns, rows: size.rows - 1 };
  return [BLANK, ...drawTable(peersTable, state, { ...all, order }, table)];
}

const PEER_ROWS_MAX = 10;
/** From this height on nothing has to be left out of the facts. */
const CALM_ROWS = 10;

export const overviewPage: Page = {
  id: 'overview',
  title: 'overview',
  body(state, size) {
    const { node } = state.shown;
    if (node === undefined) return [line('waiting for the daemon', 'faint')];
    const all =
      size.rows < CALM_ROWS
        ? [...vitals(node, state), ...identity(node, state)]
        : [...identity(node, state), ...vitals(node, state)];
    const top = facts(all, size.columns);
    const left = size.rows - top.length;
    if (left >= 6) top.push(BLANK, ...charts(state, size.columns));
    const forPeers = Math.min(PEER_ROWS_MAX, size.rows - top.length);
    top.push(...peers(state, { columns: size.columns, rows: forPeers }));
    top.push(...recent(state.shown, size.rows - top.length));
    return top;
  },
};
