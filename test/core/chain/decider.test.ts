import { describe, expect, it, vi } from 'vitest';
import { assert } from '../../../src/core/assert.ts';
import { Candidates } from '../../../src/core/chain/candidates.ts';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import { encodeMessage } from '../../../src/core/chain/messages.ts';
import { TABLES } from '../../../src/core/chain/rows.ts';
import { Turn } from '../../../src/core/chain/turn.ts';
import { encodeCertificate } from '../../../src/core/consensus/certificate.ts';
import { Replica, type ReplicaOutcome } from '../../../src/core/consensus/replica.ts';
import { LeaderSchedule } from '../../../src/core/consensus/schedule.ts';
import { digestMessage } from '../../../src/core/consensus/signed-bytes.ts';
import type { Certificate, Phase } from '../../../src/core/consensus/types.ts';
import type { Envelope } from '../../../src/core/machine.ts';
import { type Block, createBlock } from '../../../src/core/model/block.ts';
import { instant } from '../../../src/core/units.ts';
import { TestCluster, type TestNode } from './support/cluster.ts';
import { CLUSTER_ID, intentOf, ledgerOf, mempoolOf } from './support/fixtures.ts';

/** The consensus message in an envelope, if there is one. */
function consensusOf(cluster: TestCluster, node: TestNode, envelope: Envelope) {
  const message = cluster.open(node, envelope);
  return message.type === 'consensus' ? message.message : undefined;
}

const submitFirst = (cluster: TestCluster): TestNode => {
  const [first] = cluster.nodes as [TestNode];
  cluster.submit(first, intentOf(first.member, 1, { version: 'a' }));
  return first;
};

const isVote = (phase: Phase) => (cluster: TestCluster, to: TestNode, envelope: Envelope) => {
  const message = consensusOf(cluster, to, envelope);
  return message?.type === 'vote' && message.phase === phase;
};

describe('a block that a quorum has prepared', () => {
  it('is proposed again with its first view and proposer', () => {
    const cluster = new TestCluster({ custodians: 4 });
    cluster.isLost = (_from, to, envelope) => isVote('commit')(cluster, to, envelope);
    const first = submitFirst(cluster);
    cluster.runUntil(() => cluster.nodes.every(({ chain }) => chain.status().view > 0));
    cluster.isLost = () => false;
    cluster.runUntil(() => cluster.nodes.every(({ chain }) => chain.height === 1));
    const [final] = first.told('finalised');
    expect(final).toMatchObject({ height: 1, view: 0 });
    expect(final!.certificate.view).toBeGreaterThan(0);
    // One block was voted for, and no other was left behind.
    for (const node of cluster.nodes) expect(node.table(TABLES.blocks)).toHaveLength(1);
  });

  it('is fetched by the leader that must propose it and never saw it', () => {
    const cluster = new TestCluster({ custodians: 4 });
    const order = new LeaderSchedule({ clusterId: CLUSTER_ID, custodians: 4 });
    const next = cluster.nodes[order.leaderOf(1, 1)]!;
    let fetched = 0;
    cluster.isLost = (_from, to, envelope) => {
      if (cluster.open(to, envelope).type === 'candidate') fetched += to === next ? 1 : 0;
      const isProposal = consensusOf(cluster, to, envelope)?.type === 'proposal';
      const isFirst = cluster.nodes.some(({ chain }) => chain.status().view === 0);
      return isVote('commit')(cluster, to, envelope) || (to === next && isProposal && isFirst);
    };
    submitFirst(cluster);
    cluster.runUntil(() => cluster.nodes.every(({ chain }) => chain.status().view > 0));
    cluster.run(20);
    expect(fetched).toBeGreaterThan(0);
    cluster.isLost = () => false;
    cluster.runUntil(() => cluster.nodes.every(({ chain }) => chain.height === 1));
    expect(next.told('finalised')[0]).toMatchObject({ view: 0, certificate: { view: 1 } });
  });

  it('is fetched by a custodian that sees only that it is final', () => {
    const cluster = new TestCluster({ custodians: 4 });
    const order = new LeaderSchedule({ clusterId: CLUSTER_ID, custodians: 4 });
    const other = cluster.nodes[order.leaderOf(1, 2)]!;
    cluster.isLost = (_from, to, envelope) =>
      to === other && consensusOf(cluster, to, envelope)?.type === 'proposal';
    submitFirst(cluster);
    cluster.run(200);
    expect(cluster.nodes.map(({ chain }) => chain.height)).toEqual([1, 1, 1, 1]);
    expect(other.told('voted').filter(({ phase }) => phase === 'prepare')).toEqual([]);
  });
});

describe('execute before vote', () => {
  it('keeps what was voted for on the disk, and deletes what lost', () => {
    const cluster = new TestCluster({ custodians: 4 });
    // Nobody sees a quorum of prepare votes, so each view brings another block.
    cluster.isLost = (_from, to, envelope) => isVote('prepare')(cluster, to, envelope);
    const first = submitFirst(cluster);
    cluster.runUntil(() => first.table(TABLES.blocks).length >= 2);
    const undecided = first.table(TABLES.blocks).map(({ key }) => key);
    expect(first.chain.status().undecided).toBe(undecided.length);
    cluster.isLost = () => false;
    cluster.runUntil(() => cluster.nodes.every(({ chain }) => chain.height === 1));
    for (const node of cluster.nodes) {
      const { digest } = node.chain.tip();
      expect(node.table(TABLES.blocks).map(({ key }) => key)).toEqual([`000000000001/${digest}`]);
      expect(node.chain.status().undecided).toBe(0);
    }
  });

  it('persists a block in the step that votes for it', () => {
    const cluster = new TestCluster({ custodians: 4 });
    const seen: string[][] = [];
    for (const node of cluster.nodes) {
      const step = node.chain.step.bind(node.chain);
      node.chain.step = (input, now) => {
        const ready = step(input, now);
        const voted = ready.outcomes.some((outcome) => outcome.type === 'voted');
        if (voted) seen.push(ready.entries.map(({ table }) => table));
        return ready;
      };
    }
    submitFirst(cluster);
    cluster.runUntil(() => cluster.nodes.every(({ chain }) => chain.height === 1));
    const prepares = seen.filter((tables) => tables.includes(TABLES.blocks));
    expect(prepares).toHaveLength(4);
    for (const tables of prepares) expect(tables).toContain('consensus/replica');
  });

  it('keeps a bounded number of undecided blocks, and the one that may come back', () => {
    const clusterId = CLUSTER_ID;
    const cluster = new TestCluster({ custodians: 4 });
    const ids = cluster.nodes.map(({ nodeId }) => nodeId);
    const ledger = ledgerOf(cluster.nodes.map(({ member }) => member));
    const mempool = mempoolOf(ledger, ids[0]!);
    const leaders = new LeaderSchedule({ clusterId, custodians: 4 });
    const seeds = cluster.keyring.seeds(0);
    const context = {
      clusterId,
      namespace: clusterId,
      custodians: ids,
      ledger,
      leaders,
      seeds,
    };
    const candidates = new Candidates(context, mempool);
    mempool.add(intentOf(cluster.nodes[0]!.member, 1, { version: 'a' }), 0);
    const turn = new Turn(instant(0));
    const digests: string[] = [];
    for (let view = 0; view < LIMITS.undecidedBlocks + 10; view += 1) {
      const made = new Candidates(context, mempool);
      const built = made.build(view, ids[leaders.leaderOf(1, view)]!, instant(5));
      assert(typeof built !== 'string', 'there is something to decide');
      const { digest } = built;
      candidates.addBytes(made.bytes(digest)!, digest, digests[0]);
      expect(candidates.judge(digest).isValid).toBe(true);
      candidates.persist(turn, digest);
      digests.push(digest);
    }
    expect(candidates.size).toBe(LIMITS.undecidedBlocks);
    expect([candidates.has(digests[0]!), candidates.has(digests[1]!)]).toEqual([true, false]);
    // What was judged long ago can be judged again.
    expect(candidates.judge(digests[0]!).isValid).toBe(true);
    candidates.decide(turn, 1, digests[0]!);
    const { entries } = turn.build();
    const deleted = entries.filter(({ value }) => value === undefined).map(({ key }) => key);
    expect(new Set(deleted).size).toBe(digests.length - 1);
  });
});

it('does not carry out what was asked about a height that has been decided since', () => {
  const cluster = new TestCluster({ custodians: 4 });
  const first = submitFirst(cluster);
  cluster.runUntil(() => cluster.nodes.every(({ chain }) => chain.height === 1));
  const [height, view, digest] = [1, 0, 'ab'.repeat(32)];
  const outcomes: ReplicaOutcome[] = [
    { type: 'check', height, view, digest, payload: new Uint8Array(3), proposer: 1 },
    { type: 'build', height, view, previous: '' },
    { type: 'reproposal-wanted', height, digest },
    { type: 'fetch', height, digest, from: [] },
  ];
  const step = vi.spyOn(Replica.prototype, 'step');
  step.mockReturnValueOnce({ entries: [], messages: [], alarms: [], outcomes });
  const ready = cluster.give(first, { type: 'alarm', key: 'consensus/view' });
  expect(step).toHaveBeenCalledOnce();
  step.mockRestore();
  expect(ready.outcomes).toEqual([]);
});

/** What a quorum that is wrong, or a node that is wrong, would look like. */
function certified(cluster: TestCluster, block: Block): Uint8Array {
  const { height } = block.header;
  const message = digestMessage(CLUSTER_ID, 'commit', height, 0, block.digest);
  const shares = [0, 1, 2].map((index) => cluster.shareOf(index, 1, message));
  const certificate: Certificate = {
    phase: 'commit',
    height,
    view: 0,
    digest: block.digest,
    signers: [0, 1, 2],
    signature: cluster.aggregate(shares),
  };
  return encodeCertificate(certificate);
}

describe('divergence', () => {
  /** The last node is given a final block whose state root is not what it comes to. */
  function setUp() {
    const cluster = new TestCluster({ custodians: 4 });
    const last = cluster.nodes[3]!;
    const [first] = cluster.nodes as [TestNode];
    cluster.submit(first, intentOf(first.member, 1, { version: 'a' }));
    cluster.runUntil(() => cluster.nodes.every(({ chain }) => chain.height === 1));
    const { digest } = last.chain.tip();
    const intent = intentOf(first.member, 2, { version: 'b' });
    const order = new LeaderSchedule({ clusterId: CLUSTER_ID, custodians: 4 });
    const leaders = order.next({ height: 1, view: 0 });
    const after = leaders.next({ height: 2, view: 0 });
    const header = {
      clusterId: CLUSTER_ID,
      height: 2,
      previous: new Uint8Array(Buffer.from(digest, 'hex')),
      time: cluster.now,
      proposer: cluster.nodes[leaders.leaderOf(2, 0)]!.nodeId,
      view: 0,
      protocol: cluster.genesis.protocol,
      stateRoot: new Uint8Array(32).fill(5),
      custodians: last.chain.custodians().digest,
      leaders: after.digest,
    };
    const block = createBlock(header, [intent.bytes]);
    const certificate = certified(cluster, block);
    const give = (bytes: Uint8Array) => {
      const envelope = { to: last.nodeId, protocol: 'chain', body: bytes };
      const message = cluster.open(last, envelope);
      return cluster.give(last, { type: 'message', from: first.nodeId, message });
    };
    give(encodeMessage({ type: 'announce', height: 2, digest: block.digest }));
    give(
      encodeMessage({ type: 'blocks', from: 2, window: { blocks: [block.bytes], certificate } }),
    );
    return { cluster, last, first, header };
  }

  it('is told, with what this node came to', () => {
    const { last, header } = setUp();
    const told = last.told('divergence');
    const [divergence] = told;
    expect(told).toHaveLength(1);
    expect(divergence).toMatchObject({
      height: 2,
      theirs: '05'.repeat(32),
      proposer: header.proposer,
    });
    expect(divergence!.ours).toMatch(/^[0-9a-f]{64}$/);
    expect(last.chain.status()).toMatchObject({ isVoting: false, divergence });
    expect(last.chain.height).toBe(1);
  });

  it('ends voting and index answers, not serving', () => {
    const { cluster, last, first } = setUp();
    const votes = last.told('voted').length;
    cluster.submit(first, intentOf(first.member, 2, { version: 'c' }));
    cluster.run(30_000);
    // The others are a quorum without it.
    expect(first.chain.height).toBe(2);
    expect(last.told('voted')).toHaveLength(votes);
    const want = encodeMessage({ type: 'want', from: 1, to: 1, digest: undefined });
    const message = cluster.open(last, { to: last.nodeId, protocol: 'chain', body: want });
    cluster.give(last, { type: 'message', from: first.nodeId, message });
    expect(last.told('serve').at(-1)).toMatchObject({ to: first.nodeId, from: 1, upTo: 1 });
    // What is final has another state here, so it must not be read.
    cluster.give(last, { type: 'read-index', id: 'r' });
    cluster.run(90_000);
    expect(last.told('read-index')).toEqual([]);
    expect(last.told('read-failed')).toMatchObject([{ id: 'r' }]);
  });
});

it('a fetched block with a certificate that does not hold changes nothing', () => {
  const cluster = new TestCluster({ custodians: 4 });
  const [first, second] = cluster.nodes as [TestNode, TestNode];
  const leaders = new LeaderSchedule({ clusterId: CLUSTER_ID, custodians: 4 });
  const block = createBlock(
    {
      clusterId: CLUSTER_ID,
      height: 1,
      previous: new Uint8Array(32),
      time: 5,
      proposer: cluster.nodes[leaders.leaderOf(1, 0)]!.nodeId,
      view: 0,
      protocol: cluster.genesis.protocol,
      stateRoot: new Uint8Array(32),
      custodians: first.chain.custodians().digest,
      leaders: new Uint8Array(32),
    },
    [intentOf(first.member, 1, { version: 'a' }).bytes],
  );
  const sound = certified(cluster, block);
  const forged = sound.slice();
  forged[forged.length - 1]! ^= 1;
  const window = { blocks: [block.bytes], certificate: forged };
  const bodies = [
    encodeMessage({ type: 'announce', height: 1, digest: block.digest }),
    encodeMessage({ type: 'blocks', from: 1, window }),
  ];
  for (const body of bodies) {
    const message = cluster.open(first, { to: first.nodeId, protocol: 'chain', body });
    cluster.give(first, { type: 'message', from: second.nodeId, message });
  }
  expect(first.told('liar')).toMatchObject([{ nodeId: second.nodeId, height: 1 }]);
  expect(first.chain.height).toBe(0);
  expect(first.told('divergence')).toEqual([]);
});

it('a leader whose seed proof is refused proposes nothing and says that there is work', () => {
  const cluster = new TestCluster({ custodians: 4 });
  const ids = cluster.nodes.map(({ nodeId }) => nodeId);
  const ledger = ledgerOf(cluster.nodes.map(({ member }) => member));
  const mempool = mempoolOf(ledger, ids[0]!);
  const leaders = new LeaderSchedule({ clusterId: CLUSTER_ID, custodians: 4, epochHeights: 1 });
  const seeds = { ...cluster.keyring.seeds(0), prove: () => undefined };
  const context = { clusterId: CLUSTER_ID, namespace: CLUSTER_ID, custodians: ids, ledger };
  const candidates = new Candidates({ ...context, leaders, seeds }, mempool);
  const build = () => candidates.build(0, ids[leaders.leaderOf(1, 0)]!, instant(5));
  expect(build()).toBe('nothing');
  mempool.add(intentOf(cluster.nodes[0]!.member, 1, { version: 'a' }), 0);
  expect(build()).toBe('refused');
});
