/** The page of consensus: what is being decided, whose votes are in, and the last final blocks. */
import type { Why } from '../../core/api/contract/consensus.ts';
import { whyOf } from '../../core/api/server/why.ts';
import type { ConsensusStatus } from '../data.ts';
import { ageMs, latency, size as sizeText, span as spanText } from '../format.ts';
import { BLANK, type Line, line, type Tone } from '../line.ts';
import { sparkline } from '../sparkline.ts';
import { drawTable, viewOf } from '../table.ts';
import type { Page, Size, State } from '../view.ts';
import { blockDetail, blocksList, blocksTable, intervalsMs } from './blocks.ts';
import { type Fact, facts, LABEL_COLUMNS, labelled } from './facts.ts';
import { nameOf, votesOf } from './votes.ts';

const WHY_TONE: Readonly<Partial<Record<Why['cause'], Tone>>> = {
  doubt: 'bad',
  'key-missing': 'bad',
  'key-elsewhere': 'bad',
  'no-quorum': 'bad',
  evidence: 'bad',
  refused: 'warn',
  'catch-up': 'warn',
  'view-change': 'warn',
};

/** A body with fewer rows has one for each sentence. */
const CALM_ROWS = 12;

const MINUTE_MS = 60_000;
const interval = (ms: number): string => (ms < MINUTE_MS ? latency(ms) : spanText(ms));

/** The same sentences as `aegis consensus status --why`. */
const reasons = (status: ConsensusStatus, state: State, { columns, rows }: Size): Line[] =>
  facts(
    whyOf(status, state.nowMs).map(({ cause, text }, i): Fact => {
      return [i === 0 ? 'now' : '', text, WHY_TONE[cause] ?? 'plain'];
    }),
    columns,
    rows >= CALM_ROWS,
  );

function decided({ height, digest, lastFinalAt }: ConsensusStatus, state: State): Fact {
  if (height === 0) return ['final', 'no block yet'];
  const age = ageMs(lastFinalAt, state.nowMs);
  const when = age === undefined ? 'before this daemon started' : `${spanText(age)} ago`;
  return ['final', `height ${height}  ${when}  ${digest?.slice(0, 12) ?? ''}`, 'strong'];
}

function deciding(status: ConsensusStatus, state: State): Fact {
  const { height, view, leader, phase, viewSince, timeoutMs } = status;
  const since = ageMs(viewSince, state.nowMs);
  const timer = since === undefined ? '' : `  ${latency(since)} of ${latency(timeoutMs)}`;
  const led = leader === null ? '' : `  leader ${nameOf(leader)}`;
  const tone = view > 0 ? 'warn' : 'plain';
  return ['deciding', `height ${height + 1}  view ${view}${led}  ${phase}${timer}`, tone];
}

/** Leaders that are not asked for a while, because their views failed (L3). */
const passedOver = ({ passedOver: leaders }: ConsensusStatus): Fact[] =>
  leaders.length === 0 ? [] : [['passed over', leaders.map(nameOf).join(', '), 'warn']];

function figures(status: ConsensusStatus): Fact[] {
  const { connected, custodians, quorum, faultyMax, mempool, finalMsP50, finalMsP95 } = status;
  const can = `${connected} of ${custodians} connected  quorum ${quorum}  ${faultyMax} may fail`;
  const tone = connected < quorum ? 'bad' : connected < custodians ? 'warn' : 'good';
  const { intents, sizeBytes, own } = mempool;
  const waiting = `${intents} waiting (${sizeText(sizeBytes)}), ${own} of this node`;
  return [
    ['custodians', can, tone],
    ['intents', waiting],
    ['finality', `half within ${latency(finalMsP50)}  95 % within ${latency(finalMsP95)}`],
  ];
}

/** Everything above the table, the most important first. */
function summary(status: ConsensusStatus, state: State, size: Size): Line[] {
  const { columns } = size;
  const votes = votesOf(state.shown, status, Math.max(1, columns - LABEL_COLUMNS));
  const chart = { label: 'interval', format: interval, columns, ascii: state.ascii };
  return [
    ...reasons(status, state, size),
    ...facts([decided(status, state), deciding(status, state)], columns),
    ...labelled('votes', votes),
    ...facts([...passedOver(status), ...figures(status)], columns),
    sparkline(intervalsMs(state.shown.blocks.values()), chart),
  ];
}

/** A heading, and enough rows to see which blocks came last. */
const TABLE_ROWS_MIN = 4;
const SUMMARY_ROWS_MIN = 4;

function above(state: State, size: Size): Line[] {
  const status = state.shown.consensus;
  if (status === undefined) return [];
  const rows = Math.max(SUMMARY_ROWS_MIN, size.rows - TABLE_ROWS_MIN);
  const lines = summary(status, state, size);
  return lines.length < rows ? [...lines, BLANK] : lines.slice(0, rows);
}

const listRoom = (state: State, size: Size): Size => ({
  columns: size.columns,
  rows: Math.max(0, size.rows - above(state, size).length),
});

export const consensusPage: Page = {
  id: 'consensus',
  title: 'consensus',
  list: blocksList,
  listRoom,
  body(state, size) {
    const { node, consensus } = state.shown;
    if (node === undefined) return [line('waiting for the daemon', 'faint')];
    if (consensus === undefined) {
      return [line('no cluster yet: aegis cluster create or join', 'faint')];
    }
    const view = viewOf(state, 'consensus', blocksList);
    return [...above(state, size), ...drawTable(blocksTable, state, view, listRoom(state, size))];
  },
  detail: blockDetail,
};
