/** The page of peers: who is connected, how fast, how much, and why one is not. */
import { type Peer, peerKey } from '../data.ts';
import { ageMs, count, latency, NOTHING, size as sizeText, span as spanText } from '../format.ts';
import { BLANK, type Line, line, type Tone } from '../line.ts';
import { sparkline } from '../sparkline.ts';
import { type Column, drawTable, listOf, type TableSpec, viewOf } from '../table.ts';
import type { Page } from '../view.ts';
import { facts } from './facts.ts';

const STATE_TONE: Readonly<Record<string, Tone>> = {
  connected: 'good',
  dialing: 'warn',
  waiting: 'bad',
  unknown: 'faint',
};

const stateTone = (peer: Peer): Tone => STATE_TONE[peer.state] ?? 'plain';

const peerName = (peer: Peer): string => peer.name ?? (peerKey(peer) || NOTHING);

const DIRECTIONS = { inbound: 'in', outbound: 'out' } as const;

const direction = (peer: Peer): string =>
  peer.direction === null ? NOTHING : (DIRECTIONS[peer.direction] ?? NOTHING);

const stateColumn: Column<Peer> = {
  id: 'state',
  title: 'STATE',
  columns: 10,
  drop: 0,
  cell: (peer) => peer.state,
  tone: stateTone,
  value: (peer) => peer.state,
};

const nameColumn: Column<Peer> = {
  id: 'name',
  title: 'NAME',
  columns: 10,
  grows: true,
  drop: 0,
  cell: peerName,
  value: peerName,
};

const figures: readonly Column<Peer>[] = [
  {
    id: 'rtt',
    title: 'RTT',
    columns: 8,
    align: 'right',
    drop: 1,
    cell: (peer) => latency(peer.rttMs),
    value: (peer) => peer.rttMs,
  },
  {
    id: 'in',
    title: 'IN',
    columns: 9,
    align: 'right',
    drop: 3,
    cell: (peer) => sizeText(peer.bytesIn),
    value: (peer) => peer.bytesIn,
  },
  {
    id: 'out',
    title: 'OUT',
    columns: 9,
    align: 'right',
    drop: 4,
    cell: (peer) => sizeText(peer.bytesOut),
    value: (peer) => peer.bytesOut,
  },
  {
    id: 'tries',
    title: 'TRIES',
    columns: 6,
    align: 'right',
    drop: 8,
    cell: (peer) => count(peer.attempts),
    value: (peer) => peer.attempts,
  },
];

const texts: readonly Column<Peer>[] = [
  { id: 'dir', title: 'DIR', columns: 4, drop: 6, cell: direction, value: direction },
  {
    id: 'zone',
    title: 'ZONE',
    columns: 8,
    drop: 5,
    cell: (peer) => peer.zone ?? NOTHING,
    value: (peer) => peer.zone,
  },
  {
    id: 'address',
    title: 'ADDRESS',
    columns: 26,
    grows: true,
    drop: 7,
    cell: (peer) => peer.address ?? NOTHING,
    value: (peer) => peer.address,
  },
];

export const peersTable: TableSpec<Peer> = {
  columns: [nameColumn, stateColumn, ...figures, ...texts],
  sort: 'name',
  descending: false,
  rows: (data) => data.peers,
  search: (peer) =>
    [peer.name, peer.state, peer.zone, peer.address, peer.nodeId, peer.direction, peer.agent].join(
      ' ',
    ),
  empty: 'no other node is known; add one: aegis peers add ADDRESS',
};

const list = listOf(peersTable);

const routeOf = ({ route, lanes }: Peer): string | null =>
  route === null || lanes === 0 ? route : `${route}, ${lanes} more for content`;

export const peersPage: Page = {
  id: 'peers',
  title: 'peers',
  list,
  body: (state, size) => drawTable(peersTable, state, viewOf(state, 'peers', list), size),
  detail(state, key, size) {
    const peer = state.shown.peers.get(key);
    if (peer === undefined) return [line('this peer is gone', 'faint')];
    const connected = ageMs(peer.connectedAt, state.nowMs);
    const next = peer.nextDialAt === null ? undefined : Date.parse(peer.nextDialAt) - state.nowMs;
    const rows: Line[] = facts(
      [
        ['name', peer.name, 'strong'],
        ['state', peer.state, stateTone(peer)],
        ['node id', peer.nodeId],
        ['peer id', peer.peerId],
        ['zone', peer.zone],
        ['address', peer.address],
        ['direction', peer.direction],
        ['route', routeOf(peer)],
        ['agent', peer.agent],
        ['connected', connected === undefined ? null : `for ${spanText(connected)}`],
        ['received', sizeText(peer.bytesIn)],
        ['sent', sizeText(peer.bytesOut)],
        ['failed dials', peer.attempts],
        ['next dial', next === undefined ? null : `in ${spanText(next)}`],
        ['last error', peer.lastError, peer.lastError === null ? 'plain' : 'warn'],
      ],
      size.columns,
      true,
    );
    const rtt = state.shownHistory.rttMs.get(key) ?? [];
    const chart = { label: 'rtt', format: latency, columns: size.columns, ascii: state.ascii };
    return [...rows, BLANK, sparkline(rtt, chart)];
  },
};
