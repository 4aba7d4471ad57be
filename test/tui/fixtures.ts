/** A node with three peers and a few documents, as the event stream tells of them. */
import type {
  ApiEvent,
  BlockSummary,
  ConsensusStatus,
  KbEntry,
  LogLine,
  NodeStatus,
  Peer,
  Who,
} from '../../src/tui/data.ts';
import { reduce } from '../../src/tui/state.ts';
import { initialState, type Size, type State } from '../../src/tui/view.ts';
import { CUSTODIANS, consensusStatus, hex } from '../core/api/memory-chain.ts';
import { TOR_OFF } from '../core/api/memory-tor.ts';

/** 2026-11-20T12:00:00Z */
export const NOW_MS = 1_795_176_000_000;
export const isoBefore = (ms: number): string => new Date(NOW_MS - ms).toISOString();

export const idOf = (letter: string): string => `aegis1${letter.repeat(52)}`;

export const nodeStatus = (change: Partial<NodeStatus> = {}): NodeStatus => ({
  state: 'ready',
  nodeId: idOf('a'),
  name: 'alice',
  zone: 'north',
  peerId: '12D3KooWAlice',
  clusterId: 'aegisc1abc',
  clusterName: 'archive',
  pid: 4242,
  version: '0.1.0',
  startedAt: isoBefore(3_725_000),
  uptimeMs: 3_725_000,
  addresses: ['/ip4/127.0.0.1/tcp/4001'],
  tor: { route: 'off', state: 'off', onion: null },
  peers: { connected: 2, known: 3 },
  kb: { paths: 3, versions: 4, objects: 40, sizeBytes: 21_000_000, underReplicated: 1 },
  chain: { height: 42, lastFinalAt: isoBefore(3000), behind: 0, isVoting: true, pending: 2 },
  keys: {
    ...{ number: 0, keyEpoch: 0, pending: null, frozen: false, keyMissing: false },
    warnings: [],
  },
  resources: { rssBytes: 98_000_000, heapBytes: 30_000_000, cpuPercent: 2.1, loopLagMsP99: 1.4 },
  ...change,
});

export const peer = (change: Partial<Peer> = {}): Peer => ({
  nodeId: idOf('b'),
  name: 'bob',
  zone: 'south',
  peerId: '12D3KooWBob',
  keyEpoch: 0,
  frozen: false,
  banned: false,
  runsTwice: false,
  state: 'connected',
  address: '/ip4/127.0.0.1/tcp/4002',
  direction: 'outbound',
  route: 'direct',
  lanes: 0,
  rttMs: 1.2,
  agent: 'aegis/0.1.0',
  connectedAt: isoBefore(60_000),
  bytesIn: 1_200_000,
  bytesOut: 34_000,
  attempts: 0,
  lastError: null,
  nextDialAt: null,
  ...change,
});

const PEERS: readonly Peer[] = [
  peer(),
  peer({ nodeId: idOf('c'), name: 'carol', zone: 'west', rttMs: 31, direction: 'inbound' }),
  peer({
    nodeId: idOf('d'),
    name: 'dave',
    zone: 'east',
    state: 'waiting',
    direction: null,
    rttMs: null,
    agent: null,
    connectedAt: null,
    bytesIn: 0,
    bytesOut: 0,
    attempts: 4,
    lastError: 'connection refused at /ip4/127.0.0.1/tcp/4004',
    nextDialAt: isoBefore(-9000),
  }),
];

export const entry = (change: Partial<KbEntry> = {}): KbEntry => ({
  path: 'notes.md',
  cid: 'bafkr4inotes',
  version: 'bafyr4iversion',
  kind: 'file',
  sizeBytes: 1234,
  generation: 2,
  author: idOf('a'),
  authorName: 'alice',
  time: isoBefore(30_000),
  conflicts: 0,
  heads: 1,
  replicas: { wanted: 3, confirmed: 3 },
  local: true,
  final: true,
  height: 41,
  ...change,
});

const ENTRIES: readonly KbEntry[] = [
  entry(),
  entry({
    path: 'photos/2026',
    cid: 'bafyr4iphotos',
    kind: 'directory',
    sizeBytes: 20_971_520,
    generation: 1,
    time: isoBefore(4_000_000),
    replicas: { wanted: 3, confirmed: 1 },
    author: idOf('b'),
    authorName: 'bob',
  }),
  entry({
    path: 'plan.json',
    cid: 'bafkr4iplan',
    sizeBytes: 88,
    heads: 2,
    time: isoBefore(90_000_000),
    local: false,
    final: false,
    height: null,
  }),
];

export const logLine = (change: Partial<LogLine> = {}): LogLine => ({
  time: isoBefore(5000),
  level: 'info',
  room: 'network',
  message: 'connected to bob',
  ...change,
});

const [ALICE, BOB, CAROL, DAVE] = CUSTODIANS as [Who, Who, Who, Who];

/** Height 43 waits for commit votes; dave is away. */
export const consensus = (change: Partial<ConsensusStatus> = {}): ConsensusStatus =>
  consensusStatus({
    height: 42,
    digest: hex('42'),
    lastFinalAt: isoBefore(3000),
    viewSince: isoBefore(40),
    leader: CAROL,
    phase: 'commit',
    timeoutMs: 800,
    connected: 3,
    votes: {
      prepare: [ALICE.nodeId, BOB.nodeId, CAROL.nodeId],
      commit: [ALICE.nodeId, CAROL.nodeId],
    },
    missing: [
      { ...BOB, connected: true, lastHeardAt: isoBefore(20) },
      { ...DAVE, connected: false, lastHeardAt: isoBefore(9000) },
    ],
    mempool: { intents: 7, sizeBytes: 2100, own: 2 },
    finalMsP50: 12.3,
    finalMsP95: 31,
    ...change,
  });

export const block = (change: Partial<BlockSummary> = {}): BlockSummary => {
  const { height = 42 } = change;
  return {
    height,
    digest: hex(String(height)),
    time: isoBefore(3000 + (42 - height) * 700),
    proposer: CUSTODIANS[height % 4]!,
    view: 0,
    intents: 3,
    sizeBytes: 1900,
    signers: 3,
    absent: [DAVE.nodeId],
    ...change,
  };
};

const BLOCKS: readonly BlockSummary[] = [
  block({ height: 38, absent: [], signers: 4 }),
  block({ height: 39 }),
  block({ height: 40, view: 1 }),
  block({ height: 41, intents: 120, sizeBytes: 31_000 }),
  block({ height: 42 }),
];

export const snapshot = (
  change: Partial<Extract<ApiEvent, { type: 'snapshot' }>> = {},
): Extract<ApiEvent, { type: 'snapshot' }> => ({
  type: 'snapshot',
  schema: 'aegis.events/1',
  time: isoBefore(0),
  node: nodeStatus(),
  tor: TOR_OFF,
  peers: [...PEERS],
  kb: [...ENTRIES],
  consensus: consensus(),
  custodians: [...CUSTODIANS],
  blocks: [...BLOCKS],
  log: [logLine(), logLine({ level: 'warn', room: 'peers', message: 'dave does not answer' })],
  ...change,
});

/** A monitor that has had its first snapshot. */
export function started(size: Size, options: { ascii?: boolean; event?: ApiEvent } = {}): State {
  const nowMs = NOW_MS;
  const { ascii = false, event = snapshot() } = options;
  let state = initialState({ size, nowMs, ascii, readonly: false });
  state = reduce(state, { type: 'connected', nowMs });
  state = reduce(state, { type: 'events', events: [event], nowMs });
  return reduce(state, { type: 'tick', nowMs });
}

export const press = (state: State, ...keys: string[]): State =>
  keys.reduce((now, key) => reduce(now, { type: 'key', key, nowMs: now.nowMs }), state);
