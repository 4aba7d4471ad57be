import { describe, expect, it } from 'vitest';
import { judge, type RuleContext, voterFault } from '../../../src/core/chain/block-rules.ts';
import { Candidates } from '../../../src/core/chain/candidates.ts';
import { Turn } from '../../../src/core/chain/turn.ts';
import { LeaderSchedule } from '../../../src/core/consensus/schedule.ts';
import { type BlockHeader, createBlock } from '../../../src/core/model/block.ts';
import type { SignedIntent } from '../../../src/core/model/intent.ts';
import { StubKeyring } from '../../../src/core/sim/stub-scheme.ts';
import { instant } from '../../../src/core/units.ts';
import { CLUSTER_ID, intentOf, ledgerOf, membersOf, mempoolOf } from './support/fixtures.ts';

const members = membersOf(5);
const stranger = members[4]!;
const custodians = members.slice(0, 4).map(({ nodeId }) => nodeId);
const NOW = instant(50_000);

/** A chain of one final block, and a good block upon it, by the leader of view 1. */
function setUp(epochHeights = 64) {
  const keyring = new StubKeyring('rules');
  const ledger = ledgerOf(members.slice(0, 4));
  let leaders = new LeaderSchedule({ clusterId: CLUSTER_ID, custodians: 4, epochHeights });
  const mempool = mempoolOf(ledger, custodians[0]!);
  const at = (index: number): RuleContext => ({
    clusterId: CLUSTER_ID,
    ledger,
    leaders,
    seeds: keyring.seeds(index),
  });
  const build = (view: number) => {
    const leader = leaders.leaderOf(ledger.tip.height + 1, view);
    const candidates = new Candidates(at(leader), mempool);
    const built = candidates.build(view, custodians[leader]!, NOW);
    if (typeof built === 'string') throw new Error(`the block is ${built}`);
    const judgement = candidates.judge(built.digest);
    if (!judgement.isValid) throw new Error(judgement.why);
    return judgement.executed;
  };
  mempool.add(intentOf(members[0]!, 1, { version: 'a' }), 0);
  const first = build(0);
  const certificate = {
    phase: 'commit' as const,
    height: 1,
    view: 0,
    digest: first.block.digest,
    signers: [0, 1, 2],
    signature: new Uint8Array(96),
  };
  ledger.advance(new Turn(NOW), first, certificate);
  leaders = first.leaders;
  mempool.settle(members[0]!.nodeId, 1);
  mempool.add(intentOf(members[0]!, 2, { version: 'b' }), 0);
  mempool.add(intentOf(members[1]!, 1, { version: 'c' }), 0);
  const good = build(1);
  return { good, context: at(0), keyring };
}

const { good, context, keyring } = setUp();

function verdictOn(
  change: Partial<BlockHeader>,
  intents: readonly SignedIntent[] = good.intents,
  within: RuleContext = context,
): string {
  const block = createBlock(
    { ...good.block.header, ...change },
    intents.map(({ bytes }) => bytes),
  );
  const judgement = judge(within, block, intents);
  return judgement.isValid ? 'valid' : judgement.why;
}

describe('a block', () => {
  it('that follows the rules is valid', () => {
    expect(verdictOn({})).toBe('valid');
  });

  const previous = new Uint8Array(32).fill(7);
  const time = 1;
  const other = custodians.find((nodeId) => nodeId !== good.block.header.proposer)!;
  const faults: readonly [string, Partial<BlockHeader>, RegExp][] = [
    ['of another cluster', { clusterId: 'other' }, /another cluster/],
    ['of another height', { height: 3 }, /another height/],
    ['upon another block', { previous }, /follows another/],
    ['that is not later than the one before', { time }, /not later/],
    ['by who did not lead its view', { proposer: other }, /did not lead/],
    ['by a stranger', { proposer: stranger.nodeId }, /did not lead/],
    ['with a seed proof where none belongs', { seedProof: new Uint8Array(80) }, /within an epoch/],
    ['of another protocol version', { protocol: 1 }, /protocol version/],
    ['with another state root', { stateRoot: previous }, /another state root/],
    ['with other custodians to come', { custodians: previous }, /other custodians/],
    ['with other leaders to come', { leaders: previous }, /other leaders/],
  ];
  for (const [name, change, why] of faults) {
    it(`${name} is invalid`, () => {
      expect(verdictOn(change)).toMatch(why);
    });
  }

  it('without intents, or with a missing, doubled, stale or strange one is invalid', () => {
    const [a, b] = good.intents as [SignedIntent, SignedIntent];
    expect(verdictOn({}, [])).toMatch(/no intents/);
    expect(verdictOn({}, [a, a, b])).toMatch(/next sequence/);
    expect(verdictOn({}, [b])).toMatch(/another state root/);
    expect(verdictOn({}, [intentOf(members[0]!, 1, { version: 'a' })])).toMatch(/next sequence/);
    expect(verdictOn({}, [intentOf(stranger, 1, { version: 'a' })])).toMatch(/no member/);
  });

  it('says what this node came to instead', () => {
    const block = createBlock(
      { ...good.block.header, stateRoot: previous },
      good.intents.map(({ bytes }) => bytes),
    );
    const judgement = judge(context, block, good.intents);
    expect(judgement).toMatchObject({
      isValid: false,
      ownStateRoot: Buffer.from(good.tree.root).toString('hex'),
    });
  });
});

describe('L1: at the end of a seed epoch', () => {
  const end = setUp(2);

  it('a block carries a proof, which gives the next seed', () => {
    expect(end.good.block.header.seedProof).toHaveLength(80);
    expect(end.good.seed).toHaveLength(32);
    expect(verdictOn(end.good.block.header, end.good.intents, end.context)).toBe('valid');
  });

  it('a proof that is missing, damaged or of another custodian is invalid', () => {
    const { seedProof: _without, ...header } = end.good.block.header;
    const bytes = end.good.intents.map((intent) => intent.bytes);
    const bare = judge(end.context, createBlock(header, bytes), end.good.intents);
    expect(bare).toMatchObject({ isValid: false, why: expect.stringMatching(/no seed proof/) });
    const damaged = new Uint8Array(80).fill(1);
    const other = custodians.findIndex((nodeId) => nodeId !== header.proposer);
    const theirs = keyring.seeds(other).prove(1, new Uint8Array(40))!;
    for (const seedProof of [damaged, theirs]) {
      const verdict = verdictOn({ ...header, seedProof }, end.good.intents, end.context);
      expect(verdict).toMatch(/does not hold/);
    }
  });
});

describe('a voter', () => {
  const { header } = good.block;

  it('does not vote for a block far ahead of its clock, unless a quorum has', () => {
    const late = { ...header, time: NOW + 600_001 };
    expect(voterFault({ ...header, time: NOW + 600_000 }, 1, NOW)).toBeUndefined();
    expect(voterFault(late, 1, NOW)).toMatch(/ahead of the clock/);
    expect(voterFault(late, 2, NOW)).toBeUndefined();
  });

  it('does not vote for a block of a view to come', () => {
    expect(voterFault(header, 0, NOW)).toMatch(/view to come/);
  });
});
