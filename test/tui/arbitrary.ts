/** Events as a daemon may send them, in any order and with hostile names. */
import * as fc from 'fast-check';
import type { ApiEvent } from '../../src/tui/data.ts';
import type { Action } from '../../src/tui/state.ts';
import { TOR_OFF, TOR_READY } from '../core/api/memory-tor.ts';
import {
  block,
  consensus,
  entry,
  idOf,
  isoBefore,
  logLine,
  NOW_MS,
  nodeStatus,
  peer,
  snapshot,
} from './fixtures.ts';

const name = fc.oneof(
  fc.constantFrom('bob', 'carol', '', '\u001b[2J', '山田'),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
const letter = fc.constantFrom('b', 'c', 'd', 'e', 'f', 'g');
const figure = fc.oneof(fc.nat(1_000_000_000), fc.constant(0));

const anyPeer = fc
  .record({
    nodeId: fc.option(letter.map(idOf)),
    name: fc.option(name),
    zone: fc.option(name),
    state: fc.constantFrom('connected', 'dialing', 'waiting', 'unknown'),
    address: fc.option(letter.map((each) => `/ip4/127.0.0.1/tcp/400${each.charCodeAt(0) % 10}`)),
    direction: fc.option(fc.constantFrom('inbound', 'outbound')),
    route: fc.option(fc.constantFrom('onion', 'exit', 'direct')),
    lanes: fc.nat(3),
    rttMs: fc.option(fc.double({ min: 0, max: 5000, noNaN: true })),
    bytesIn: figure,
    bytesOut: figure,
    lastError: fc.option(name),
  })
  .map(peer);

const anyEntry = fc
  .record({
    path: fc.oneof(
      letter.map((each) => `docs/${each}.md`),
      name,
    ),
    sizeBytes: figure,
    heads: fc.nat(3),
    time: fc.oneof(fc.nat(100_000).map(isoBefore), name),
    replicas: fc.record({ wanted: fc.nat(3), confirmed: fc.option(fc.nat(3)) }),
  })
  .map(entry);

const who = fc.record({ nodeId: letter.map(idOf), name: fc.option(name) });
const ids = fc.array(letter.map(idOf), { maxLength: 6 });
const anyTime = fc.oneof(fc.nat(100_000).map(isoBefore), name);

const anyConsensus = fc
  .record({
    height: fc.nat(50),
    view: fc.nat(3),
    viewSince: fc.option(anyTime),
    lastFinalAt: fc.option(anyTime),
    leader: fc.option(who),
    phase: fc.constantFrom('idle', 'propose', 'prepare', 'commit', 'timeout', 'catch-up'),
    role: fc.constantFrom('custodian', 'agent'),
    connected: fc.nat(6),
    doubt: fc.option(name),
    keyMissing: fc.option(name),
    keyElsewhere: fc.option(name),
    runTwice: fc.array(who, { maxLength: 3 }),
    votes: fc.record({ prepare: ids, commit: ids }),
    timeouts: ids,
    missing: fc.array(
      fc
        .tuple(who, fc.boolean(), fc.option(anyTime))
        .map(([one, connected, lastHeardAt]) => ({ ...one, connected, lastHeardAt })),
      { maxLength: 4 },
    ),
    passedOver: fc.array(who, { maxLength: 3 }),
    behind: fc.nat(3),
    evidence: fc.nat(2),
  })
  .map(consensus);

const anyBlock = fc
  .record({
    height: fc.nat(50),
    time: anyTime,
    proposer: who,
    view: fc.nat(2),
    intents: fc.nat(5000),
    sizeBytes: figure,
    absent: ids,
  })
  .map(block);

const anyLine = fc.record({ message: name, room: name }).map(logLine);

const anyTor = fc.record({
  route: fc.constantFrom('off' as const, 'prefer' as const, 'require' as const),
  state: fc.constantFrom('off' as const, 'starting' as const, 'ready' as const, 'down' as const),
  why: fc.option(name),
  hint: fc.option(name),
  usesExits: fc.boolean(),
  daemon: fc.constantFrom(TOR_OFF.daemon, TOR_READY.daemon),
  bootstrap: fc.option(
    fc.record({
      percent: fc.nat(100),
      tag: name,
      summary: name,
      warning: fc.option(name),
      reason: fc.option(name),
      startedAt: anyTime,
      leftMs: fc.option(fc.nat(100_000)),
    }),
  ),
  hasCircuits: fc.option(fc.boolean()),
  circuits: fc.nat(30),
  traffic: fc.option(fc.record({ bytesRead: figure, bytesWritten: figure })),
  guards: fc.array(fc.record({ name: fc.option(name), fingerprint: name, state: name })),
  services: fc.constantFrom(TOR_OFF.services, TOR_READY.services),
  connections: fc.record({ onion: fc.nat(9), exit: fc.nat(9), direct: fc.nat(9) }),
});

export const anyChange: fc.Arbitrary<ApiEvent> = fc.oneof(
  fc.nat(9000).map((pid): ApiEvent => ({ type: 'node', node: nodeStatus({ pid }) })),
  anyTor.map((tor): ApiEvent => ({ type: 'tor', tor })),
  anyPeer.map((one): ApiEvent => ({ type: 'peer', peer: one })),
  anyPeer.map(({ nodeId, address }): ApiEvent => ({ type: 'peer-gone', nodeId, address })),
  anyEntry.map((one): ApiEvent => ({ type: 'kb', entry: one })),
  anyConsensus.map((one): ApiEvent => ({ type: 'consensus', consensus: one })),
  fc
    .array(who, { maxLength: 30 })
    .map((custodians): ApiEvent => ({ type: 'custodians', custodians })),
  anyBlock.map((one): ApiEvent => ({ type: 'block', block: one })),
);

export const anySnapshot: fc.Arbitrary<ApiEvent> = fc
  .record({
    tor: anyTor,
    peers: fc.array(anyPeer, { maxLength: 8 }),
    kb: fc.array(anyEntry, { maxLength: 8 }),
    consensus: fc.option(anyConsensus),
    custodians: fc.array(who, { maxLength: 30 }),
    blocks: fc.array(anyBlock, { maxLength: 8 }),
    log: fc.array(anyLine, { maxLength: 4 }),
  })
  .map(snapshot);

export const anyEvent: fc.Arbitrary<ApiEvent> = fc.oneof(
  { weight: 6, arbitrary: anyChange },
  anySnapshot,
  anyLine.map((line): ApiEvent => ({ type: 'log', line })),
  fc.constantFrom<ApiEvent>(
    { type: 'heartbeat', time: isoBefore(0) },
    { type: 'dropped', logLines: 3 },
    { type: 'end', reason: 'stopping' },
  ),
);

const KEYS = 'j k g G s r y / ? q 1 2 3 4 9 x 山'.split(' ');
const NAMED = 'up down left right pageup pagedown home end enter escape tab shift-tab backspace';
export const anyKey = fc.constantFrom(...KEYS, ' ', ...NAMED.split(' '));

const nowMs = fc.nat(60_000).map((ms) => NOW_MS + ms);

export const anyAction: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('key'), key: anyKey, nowMs }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('events'),
      events: fc.array(anyEvent, { maxLength: 4 }),
      nowMs,
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('tick'), nowMs }) },
  fc.record({ type: fc.constant('connected'), nowMs }),
  fc.record({
    type: fc.constant('lost'),
    reason: name,
    attempts: fc.nat(30),
    nextAtMs: nowMs,
  }),
  fc.record({
    type: fc.constant('resize'),
    size: fc.record({ columns: fc.nat(160), rows: fc.nat(60) }),
  }),
);
