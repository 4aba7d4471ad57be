/** Decisions in clusters that run: who decides after them, what comes of intents, and versions. */
import { describe, expect, it } from 'vitest';
import { readHandover } from '../../../src/core/chain/handovers.ts';
import { TABLES } from '../../../src/core/chain/rows.ts';
import type { ProposedChange } from '../../../src/core/model/proposed-change.ts';
import { TestCluster, type TestNode } from './support/cluster.ts';
import {
  approvalOf,
  changesOf,
  intentOf,
  type Move,
  membersOf,
  proposalOf,
  readinessOf,
} from './support/fixtures.ts';

/** All custodians approve; whoever is up comes to it. */
function decide(
  cluster: TestCluster,
  approvers: readonly TestNode[],
  changes: readonly ProposedChange[],
): string {
  const [first] = approvers as [TestNode];
  const times = { createdAt: cluster.now, expiresAt: cluster.now + 1e6 };
  const proposal = proposalOf(first.member, changes, times);
  cluster.submit(first, proposal);
  const isOver = (): boolean => first.chain.proposal(proposal.id) !== undefined;
  cluster.runUntil(isOver);
  for (const one of approvers.slice(1)) {
    cluster.runUntil(() => one.chain.proposal(proposal.id) !== undefined);
    cluster.submit(one, approvalOf(one.member, proposal));
  }
  cluster.runUntil(() => first.chain.proposal(proposal.id)?.status === 'done');
  return proposal.id;
}

function write(cluster: TestCluster, node: TestNode, move: Move): void {
  const sequence = node.chain.nextSequence(node.nodeId);
  const signed = intentOf(node.member, sequence, move);
  cluster.submit(node, signed);
  cluster.runUntil(() =>
    node.told('finalised').some(({ signed: all }) => all.some(({ id }) => id === signed.id)),
  );
}

const together = (cluster: TestCluster): void => {
  const up = cluster.nodes.filter(({ isUp }) => isUp);
  const highest = Math.max(...up.map(({ chain }) => chain.height));
  cluster.runUntil(() => up.every(({ chain }) => chain.height >= highest));
  expect(new Set(up.map(({ chain }) => chain.tip().digest)).size).toBe(1);
};

describe('E5: when the custodians change', () => {
  it('the new ones decide, and each node knows from whom it has them', () => {
    const cluster = new TestCluster({ custodians: 4, agents: 2 });
    const [a, b, c, d, e, f] = cluster.nodes as [
      TestNode,
      TestNode,
      TestNode,
      TestNode,
      TestNode,
      TestNode,
    ];
    write(cluster, e, { version: 'before' });
    decide(
      cluster,
      [a, b, c],
      [
        { op: 'add', nodeId: e.nodeId },
        { op: 'add', nodeId: f.nodeId },
        { op: 'remove', nodeId: a.nodeId },
      ],
    );
    together(cluster);
    const ids = [b, c, d, e, f].map(({ nodeId }) => nodeId).toSorted();
    for (const node of cluster.nodes) {
      expect(node.chain.custodians().nodeIds).toEqual(ids);
      expect(node.told('custodians').map(({ nodeIds }) => nodeIds)).toEqual([ids]);
      expect(node.told('proposal').at(-1)?.proposal.status).toBe('done');
    }
    // Five custodians need four: without e and f nothing would be decided.
    cluster.stop(b);
    write(cluster, a, { path: 'after', version: 'x' });
    write(cluster, f, { path: 'later', version: 'y' });
    const voted = a.told('voted').map(({ height }) => height);
    const [handover] = a.chain.handovers();
    expect(voted.every((height) => height <= handover!.height)).toBe(true);
    for (const node of cluster.nodes) {
      const rows = node.table(TABLES.handovers).map(({ value }) => readHandover(value));
      expect(rows).toEqual(node.chain.handovers());
    }
    cluster.restart(b);
    cluster.restart(a);
    write(cluster, b, { path: 'again', version: 'z' });
    together(cluster);
  });

  it('one custodian can hand over to another', () => {
    const cluster = new TestCluster({ custodians: 1, agents: 1 });
    const [a, b] = cluster.nodes as [TestNode, TestNode];
    decide(
      cluster,
      [a],
      [
        { op: 'add', nodeId: b.nodeId },
        { op: 'remove', nodeId: a.nodeId },
      ],
    );
    cluster.runUntil(() => b.chain.height === a.chain.height);
    write(cluster, a, { version: 'x' });
    expect(a.told('finalised').at(-1)?.proposer).toBe(b.nodeId);
  });
});

describe('Q3: an intent that cannot be executed', () => {
  it('is refused when it is handed in, with its own answer', () => {
    const cluster = new TestCluster({ custodians: 1, agents: 2 });
    const [a, b, c] = cluster.nodes as [TestNode, TestNode, TestNode];
    decide(
      cluster,
      [a],
      [
        { op: 'namespace', path: 'x', owners: [a.nodeId], writers: [] },
        { op: 'quota', nodeId: c.nodeId, changesPerHour: 1, bytesPerHour: null, paths: null },
      ],
    );
    together(cluster);
    write(cluster, b, { version: 'a' });
    const codes = (node: TestNode): string[] => node.told('refused').map(({ error }) => error.code);
    cluster.submit(b, intentOf(b.member, 1, { version: 'other' }));
    cluster.submit(b, intentOf(b.member, 3, { version: 'b' }));
    cluster.submit(b, intentOf(b.member, 2, { path: 'x/1', version: 'b' }));
    cluster.submit(c, intentOf(c.member, 1, { path: 'p', version: 'a' }));
    cluster.submit(c, intentOf(c.member, 2, { path: 'p', version: 'b' }));
    expect(codes(b)).toEqual(['REPLAYED', 'OUT_OF_ORDER', 'NOT_ALLOWED']);
    expect(codes(c)).toEqual(['OVER_QUOTA']);
  });

  it('of another author is judged alike, and goes to those who decide', () => {
    const cluster = new TestCluster({ custodians: 1, agents: 2 });
    const [a, b, c] = cluster.nodes as [TestNode, TestNode, TestNode];
    decide(cluster, [a], [{ op: 'namespace', path: 'x', owners: [a.nodeId], writers: [] }]);
    together(cluster);
    const good = intentOf(c.member, 1, { version: 'a' });
    cluster.submit(b, good, good);
    cluster.submit(b, intentOf(c.member, 1, { version: 'b' }));
    cluster.submit(b, intentOf(c.member, 3, { version: 'b' }));
    cluster.submit(b, intentOf(c.member, 2, { path: 'x', version: 'b' }));
    expect(b.told('accepted').map(({ digest }) => digest)).toEqual([good.digest, good.digest]);
    expect(b.told('refused').map(({ error }) => error.code)).toEqual([
      'REPLAYED',
      'OUT_OF_ORDER',
      'NOT_ALLOWED',
    ]);
    cluster.runUntil(() => b.chain.receipt(good.id)?.result === 'done');
    // What has been carried out is no replay.
    cluster.submit(b, good);
    expect(b.told('accepted')).toHaveLength(3);
    expect(b.chain.pending()).toEqual([]);
  });

  it('keeps no leader from making blocks when the right has gone meanwhile', () => {
    const cluster = new TestCluster({ custodians: 1, agents: 1 });
    const [a, b] = cluster.nodes as [TestNode, TestNode];
    decide(cluster, [a], [{ op: 'namespace', path: 'x', owners: [a.nodeId], writers: [b.nodeId] }]);
    together(cluster);
    cluster.disconnect(a, b);
    cluster.submit(b, intentOf(b.member, 1, { path: 'x/1', version: 'a' }));
    cluster.submit(b, intentOf(b.member, 2, { path: 'y', version: 'b' }));
    const sequence = a.chain.nextSequence(a.nodeId);
    const revoke = { op: 'revoke', path: 'x', nodeId: b.nodeId } as const;
    cluster.submit(a, changesOf(a.member, sequence, revoke));
    cluster.runUntil(() => a.chain.nextSequence(a.nodeId) > sequence);
    cluster.connect(a, b);
    cluster.connect(b, a);
    cluster.runUntil(() => b.chain.pending().length === 0);
    const receipts = b.told('finalised').flatMap((block) => block.receipts);
    const own = receipts.filter(({ author }) => author === b.nodeId);
    expect(own.map(({ result, reason }) => reason ?? result)).toEqual(['not-allowed', 'done']);
  });
});

describe('V3: a node whose program does not know the version', () => {
  it('stops before it, signs nothing, and goes on with a newer program', () => {
    let last = 1;
    const { nodeId: late } = membersOf(4)[3]!;
    const cluster = new TestCluster({
      custodians: 4,
      protocol: 1,
      protocolMax: (nodeId) => (nodeId === late ? last : 2),
    });
    const [a, b, c, d] = cluster.nodes as [TestNode, TestNode, TestNode, TestNode];
    cluster.submit(a, ...[a, b, c].map(({ member }) => readinessOf(member, 2)));
    cluster.runUntil(() => a.chain.protocol().ready.length === 3);
    decide(cluster, [a, b, c], [{ op: 'protocol', version: 2 }]);
    expect(a.chain.status()).toMatchObject({ protocol: 2, isTooOld: false });
    const stopped = a.chain.height;
    write(cluster, a, { version: 'new' });
    cluster.run(5000);
    expect(d.chain.height).toBe(stopped);
    expect(d.chain.status()).toMatchObject({ protocol: 2, isTooOld: true, isVoting: false });
    expect(d.told('too-old')).toEqual([{ type: 'too-old', height: stopped + 1, protocol: 2 }]);
    expect(d.told('divergence')).toEqual([]);
    const voted = d.told('voted').filter(({ height }) => height > stopped);
    expect(voted).toEqual([]);
    last = 2;
    cluster.restart(d);
    cluster.stop(a);
    write(cluster, d, { path: 'again', version: 'x' });
    expect(d.chain.status().isTooOld).toBe(false);
  });
});
