/** The table of the last final blocks, and all about one of them. */
import type { BlockSummary, Data } from '../data.ts';
import { ageMs, count, shortSpan, size as sizeText, span as spanText } from '../format.ts';
import { type Line, line } from '../line.ts';
import { type Column, listOf, type TableSpec } from '../table.ts';
import type { Size, State } from '../view.ts';
import { facts } from './facts.ts';
import { nameOf } from './votes.ts';

const proposer = (block: BlockSummary): string => nameOf(block.proposer);

const signers = ({ signers: signed, absent }: BlockSummary): string =>
  `${signed}/${signed + absent.length}`;

/** Names as the snapshot told them; in the order of the custodians. */
function absentOf({ absent }: BlockSummary, { custodians }: Data): string {
  const known = custodians.filter((each) => absent.includes(each.nodeId));
  const names = known.map(nameOf);
  return names.length === 0 ? '' : names.join(', ');
}

const figures: readonly Column<BlockSummary>[] = [
  {
    id: 'height',
    title: 'HEIGHT',
    columns: 8,
    align: 'right',
    drop: 0,
    cell: (block) => count(block.height),
    value: (block) => block.height,
  },
  {
    id: 'signers',
    title: 'SIGNED',
    columns: 7,
    align: 'right',
    drop: 1,
    cell: signers,
    value: (block) => block.signers,
  },
  {
    id: 'intents',
    title: 'INTENTS',
    columns: 8,
    align: 'right',
    drop: 2,
    cell: (block) => count(block.intents),
    value: (block) => block.intents,
  },
  {
    id: 'size',
    title: 'SIZE',
    columns: 9,
    align: 'right',
    drop: 5,
    cell: (block) => sizeText(block.sizeBytes),
    value: (block) => block.sizeBytes,
  },
];

const circumstances: readonly Column<BlockSummary>[] = [
  {
    id: 'age',
    title: 'AGE',
    columns: 7,
    align: 'right',
    drop: 3,
    cell: (block, state) => shortSpan(ageMs(block.time, state.nowMs)),
    value: (block) => Date.parse(block.time) || 0,
  },
  {
    id: 'view',
    title: 'VIEW',
    columns: 5,
    align: 'right',
    drop: 6,
    cell: (block) => count(block.view),
    tone: (block) => (block.view > 0 ? 'warn' : 'plain'),
    value: (block) => block.view,
  },
  { id: 'proposer', title: 'PROPOSER', columns: 14, drop: 4, cell: proposer, value: proposer },
  {
    id: 'absent',
    title: 'NOT SIGNED BY',
    columns: 14,
    grows: true,
    drop: 0,
    cell: (block, state) => absentOf(block, state.shown),
    value: (block) => block.absent.length,
  },
];

export const blocksTable: TableSpec<BlockSummary> = {
  columns: [...figures, ...circumstances],
  sort: 'height',
  descending: true,
  rows: (data) => data.blocks,
  search: (block) => `${block.height} ${proposer(block)} ${block.digest}`,
  empty: 'no block is final yet; put a file: aegis kb put FILE',
};

export const blocksList = listOf(blocksTable);

export function blockDetail(state: State, key: string, size: Size): Line[] {
  const block = state.shown.blocks.get(key);
  if (block === undefined) return [line('this block is no longer shown', 'faint')];
  const { height, digest, time, view, intents, sizeBytes } = block;
  const views = view === 1 ? 'a view' : `${view} views`;
  return facts(
    [
      ['height', height, 'strong'],
      ['digest', digest],
      ['time', `${time} (${spanText(ageMs(time, state.nowMs))} ago)`],
      ['proposer', `${proposer(block)} (${block.proposer.nodeId})`],
      ['view', view === 0 ? '0' : `${view}, after ${views} failed`, view === 0 ? 'plain' : 'warn'],
      ['intents', intents],
      ['size', `${sizeText(sizeBytes)} (${sizeBytes} bytes)`],
      ['signed by', `${signers(block)} custodians`],
      ['not signed by', absentOf(block, state.shown) || 'nobody is missing'],
    ],
    size.columns,
    true,
  );
}

/** Milliseconds from each of these blocks to the next; a gap where one is not known. */
export function intervalsMs(blocks: Iterable<BlockSummary>): number[] {
  const sorted = [...blocks].sort((a, b) => a.height - b.height);
  return sorted.slice(1).map((block, i) => {
    const before = sorted[i];
    if (before?.height !== block.height - 1) return Number.NaN;
    return Date.parse(block.time) - Date.parse(before.time);
  });
}
