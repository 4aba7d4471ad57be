/** The sentences that `consensus status --why` and `consensus explain` are made of. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ConsensusStatus } from '../../../../src/core/api/contract/consensus.ts';
import { verdictOf } from '../../../../src/core/api/server/verdict.ts';
import { whyOf } from '../../../../src/core/api/server/why.ts';
import { ALICE, BOB, CAROL, CUSTODIANS, consensusStatus, DAVE, hex } from '../memory-chain.ts';

const NOW = Date.parse('2026-11-20T12:00:10.000Z');
const at = (secondsAgo: number): string => new Date(NOW - secondsAgo * 1000).toISOString();
const why = (overrides: Partial<ConsensusStatus>): string[] =>
  whyOf(consensusStatus(overrides), NOW).map(({ cause, text }) => `${cause}: ${text}`);

it.each<[Partial<ConsensusStatus>, string[]]>([
  [{}, ['idle: nothing has been decided yet']],
  [{ height: 7 }, ['idle: nothing is to be decided; the last final block is 7']],
  [
    {
      phase: 'propose',
      connected: 2,
      viewSince: at(3),
      missing: [
        { ...CAROL, connected: false, lastHeardAt: at(754) },
        { ...DAVE, name: null, connected: false, lastHeardAt: null },
      ],
    },
    [
      'no-quorum: no quorum: 2 of 4 custodians are in reach and it takes 3; without a ' +
        'connection: carol (silent for 12 min) and aegis1dddddddd (not heard since the start)',
      'proposal: height 1, view 0 for 3 s: waits for a block from bob, given up after 1 s',
    ],
  ],
  [
    {
      height: 4,
      phase: 'prepare',
      viewSince: at(0.25),
      votes: { prepare: [ALICE.nodeId, BOB.nodeId], commit: [] },
      missing: [
        { ...CAROL, connected: true, lastHeardAt: at(1) },
        { ...DAVE, connected: false, lastHeardAt: at(1) },
      ],
    },
    ['votes: height 5, view 0 for 250 ms: 2 of 3 votes to prepare; still to come from carol'],
  ],
  [
    { phase: 'timeout', view: 2, timeouts: [ALICE.nodeId], viewSince: null },
    ['view-change: height 1, view 2: 1 of 3 votes to give the view up'],
  ],
  [
    { phase: 'catch-up', behind: 12 },
    ['catch-up: 12 blocks that others hold final are being fetched'],
  ],
  [
    { doubt: 'its home was restored', isVoting: false },
    [
      'doubt: this node does not vote, it is in doubt: its home was restored',
      'idle: nothing has been decided yet',
    ],
  ],
  [
    {
      phase: 'timeout',
      refused: { view: 0, proposer: BOB, reason: 'time', detail: '14 min ahead', at: at(1) },
      keyElsewhere: 'a vote of height 3',
      role: 'agent',
      connected: 0,
      evidence: 2,
    },
    [
      "key-elsewhere: this node's consensus key seems to be in use elsewhere: a vote of height 3",
      'agent: this node is an agent: it follows the chain without a vote',
      'refused: this node refused the block of bob in view 0: its time is too far from this ' +
        "node's clock (14 min ahead)",
      'view-change: height 1, view 0: 0 of 3 votes to give the view up',
      'evidence: there are 2 proofs that a custodian broke the rules: aegis consensus evidence',
    ],
  ],
  [
    {
      height: 9,
      divergence: { height: 9, ours: hex('a'), theirs: hex('b'), key: hex('key'), path: null },
      conflict: { height: 7, ours: hex('a'), theirs: hex('b'), from: CAROL },
      protocol: { version: 1, max: 2, raise: 2 },
      liars: [{ ...DAVE, what: 'it has sent what does not hold (x)', height: 8, at: at(1) }],
    },
    [
      'diverged: this node does not vote: its state is not that of final block 9 ' +
        `(first at ${hex('key')})`,
      'conflict: another block is certified at height 7, which is final here: more custodians ' +
        'are faulty than may be (shown by carol)',
      'protocol: protocol 2 is decided: it begins when a quorum of the custodians is ready',
      'idle: nothing is to be decided; the last final block is 9',
      'liars: dave is asked last: it has sent what does not hold (x)',
    ],
  ],
  [
    {
      height: 9,
      divergence: { height: 9, ours: hex('a'), theirs: hex('b'), key: null, path: null },
      protocol: { version: 1, max: 1, raise: 2 },
    },
    [
      'diverged: this node does not vote: its state is not that of final block 9 (where they ' +
        'differ is being looked for)',
      'protocol: this node stops soon: protocol 2 is decided, and it takes part up to 1',
      'idle: nothing is to be decided; the last final block is 9',
    ],
  ],
])('says why: %#', (overrides, sentences) => {
  expect(why(overrides)).toEqual(sentences);
});

it('has a sentence for every state, and none that ends in a full stop', () => {
  const phase = fc.constantFrom('idle', 'propose', 'prepare', 'commit', 'timeout', 'catch-up');
  const states = fc.record({
    phase: phase,
    behind: fc.nat({ max: 3 }),
    connected: fc.nat({ max: 4 }),
    view: fc.nat(),
    viewSince: fc.option(fc.constant(at(1))),
    leader: fc.option(fc.constant(ALICE)),
    doubt: fc.option(fc.constant('x')),
    evidence: fc.nat({ max: 2 }),
  });
  fc.assert(
    fc.property(states, (overrides) => {
      const said = whyOf(consensusStatus(overrides), NOW);
      expect(said.length).toBeGreaterThan(0);
      for (const { text } of said) expect(text).toMatch(/^\S(?:.*[^\s.])?$/);
    }),
  );
});

const final = {
  ...{ height: 9, state: 'final' as const, digest: hex('x'), time: at(9), proposer: CAROL },
  ...{ intents: 2, view: 0, finalView: 0, signers: CUSTODIANS, absent: [], quorum: 3, views: [] },
  timing: { startedAt: at(9), proposedAt: at(8.9), preparedAt: at(8.5), finalAt: at(8) },
};

it('tells how a block became final in its first view', () => {
  expect(verdictOf(final)).toEqual([
    'carol proposed it in view 0; signed by 4 of 4 custodians (it takes 3)',
    'final after 1 s: 100 ms to the proposal, 400 ms to a quorum of prepare votes, ' +
      '500 ms to a quorum of commit votes',
  ]);
});

it('tells of views that failed, of who is absent, and of what it does not know', () => {
  const view = { startedAt: at(9), endedAt: at(7), outcome: 'failed' as const };
  const views = [
    { ...view, view: 0, leader: DAVE, proposed: false, timeouts: [ALICE, BOB, CAROL] },
    { ...view, view: 1, leader: BOB, proposed: true, timeouts: [], startedAt: null },
    { ...view, view: 2, leader: BOB, proposed: null, timeouts: [], endedAt: null },
  ];
  const timing = { startedAt: at(8), proposedAt: null, preparedAt: null, finalAt: null };
  const signers = [ALICE, BOB, CAROL];
  const late = { ...final, view: 1, finalView: 3, views, timing, signers, absent: [DAVE] };
  expect(verdictOf(late)).toEqual([
    'view 0, led by dave, failed after 1 s: this node saw no block from it; given up by alice, ' +
      'bob and carol',
    'view 1, led by bob, failed: this node saw its block, but no quorum for it',
    'view 2, led by bob, failed',
    'carol proposed it in view 1, proposed again in view 3; signed by 3 of 4 custodians ' +
      '(it takes 3)',
    'not in the certificate: dave (late, silent, or not needed any more)',
    'this node was not there, or remembers no times of it',
  ]);
});

it('tells what an open height waits in', () => {
  const open = { ...final, state: 'open' as const, proposer: null, view: null, finalView: null };
  expect(verdictOf(open)).toEqual(['height 9 is not final, and nothing is to be decided']);
  const now = { view: 2, leader: BOB, outcome: 'open' as const, proposed: false, timeouts: [] };
  const views = [{ ...now, startedAt: null, endedAt: null }];
  expect(verdictOf({ ...open, views })).toEqual([
    'height 9 is not final: it is in view 2, led by bob',
  ]);
});
