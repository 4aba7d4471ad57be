/** What goes on, and what begins anew, where other nodes become custodians. */
import { describe, expect, it } from 'vitest';
import type { Envelope } from '../../../src/core/machine.ts';
import type { ProposedChange } from '../../../src/core/model/proposed-change.ts';
import { TestCluster, type TestNode } from './support/cluster.ts';
import { approvalOf, intentOf, membersOf, proposalOf, readinessOf } from './support/fixtures.ts';

/** Hands in what changes the cluster, approved by all of `approvers`. */
function propose(
  cluster: TestCluster,
  approvers: readonly TestNode[],
  changes: readonly ProposedChange[],
): string {
  const [first, ...others] = approvers as [TestNode, ...TestNode[]];
  const times = { createdAt: cluster.now, expiresAt: cluster.now + 1e6 };
  const proposal = proposalOf(first.member, changes, times);
  cluster.submit(first, proposal);
  for (const one of others) {
    cluster.runUntil(() => one.chain.proposal(proposal.id) !== undefined);
    cluster.submit(one, approvalOf(one.member, proposal));
  }
  return proposal.id;
}

function decide(
  cluster: TestCluster,
  approvers: readonly TestNode[],
  changes: readonly ProposedChange[],
): void {
  const id = propose(cluster, approvers, changes);
  cluster.runUntil(() => approvers[0]!.chain.proposal(id)?.status === 'done');
}

function write(cluster: TestCluster, node: TestNode, version: string): number {
  const signed = intentOf(node.member, node.chain.nextSequence(node.nodeId), { version });
  cluster.submit(node, signed);
  cluster.runUntil(() =>
    node.told('finalised').some(({ signed: all }) => all.some(({ id }) => id === signed.id)),
  );
  return node.chain.height;
}

/** Four custodians, and three to come. */
type Seven = [TestNode, TestNode, TestNode, TestNode, ...TestNode[]];

const add = ({ nodeId }: TestNode): ProposedChange => ({ op: 'add', nodeId });
const remove = ({ nodeId }: TestNode): ProposedChange => ({ op: 'remove', nodeId });

function isCommitVote(cluster: TestCluster, to: TestNode, envelope: Envelope): boolean {
  const opened = cluster.open(to, envelope);
  if (opened.type !== 'consensus') return false;
  const { message } = opened;
  return message.type === 'vote' && message.phase === 'commit';
}

const settle = (cluster: TestCluster): void => {
  const up = cluster.nodes.filter(({ isUp }) => isUp);
  cluster.runUntil(() => new Set(up.map(({ chain }) => chain.tip().digest)).size === 1);
};

describe('E5: a cluster', () => {
  it('grows from one custodian to four, and shrinks to another one', () => {
    const cluster = new TestCluster({ custodians: 1, agents: 4 });
    const [a, b, c, d, e] = cluster.nodes as [TestNode, TestNode, TestNode, TestNode, TestNode];
    write(cluster, e, 'a');
    decide(cluster, [a], [add(b), add(c), add(d)]);
    cluster.runUntil(() => [b, c, d].every(({ chain }) => chain.status().isVoting));
    cluster.stop(a);
    write(cluster, b, 'b');
    cluster.restart(a);
    decide(cluster, [b, c, d], [remove(a), remove(b), remove(c)]);
    settle(cluster);
    for (const node of [a, b, c]) cluster.stop(node);
    write(cluster, e, 'c');
    expect(d.chain.status()).toMatchObject({ isVoting: true, quorum: 1 });
    for (const node of [a, b, c]) cluster.restart(node);
    settle(cluster);
    expect(a.chain.status()).toMatchObject({ isVoting: false, quorum: 1 });
  });

  it('goes on when only a node that is removed knows the last height before', () => {
    const cluster = new TestCluster({ custodians: 4, agents: 3 });
    const [a, b, c, d, ...fresh] = cluster.nodes as Seven;
    const { height } = a.chain;
    // Commit votes reach the first alone, which is removed with that block.
    let isCut = false;
    cluster.isLost = (_from, to, envelope) =>
      isCut && to !== a && isCommitVote(cluster, to, envelope);
    const changes = [remove(a), remove(b), remove(c), ...fresh.map((node) => add(node))];
    const id = propose(cluster, [a, b], changes);
    cluster.runUntil(() => a.chain.proposal(id) !== undefined && a.chain.height > height + 1);
    isCut = true;
    cluster.submit(c, approvalOf(c.member, { digest: id }));
    cluster.runUntil(() => a.chain.proposal(id)?.status === 'done');
    expect(a.chain.custodians().nodeIds).not.toContain(a.nodeId);
    cluster.runUntil(() => fresh.every(({ chain }) => chain.status().isVoting));
    isCut = false;
    write(cluster, d, 'x');
    settle(cluster);
  });
});

describe('a linearizable read', () => {
  it('does not believe custodians that have been removed and do not know it', () => {
    const cluster = new TestCluster({ custodians: 4, agents: 3 });
    const [a, b, c, d, ...fresh] = cluster.nodes as Seven;
    write(cluster, a, 'a');
    settle(cluster);
    const old = new Set([a, b, c]);
    const changes = [remove(a), remove(b), remove(c), ...fresh.map((node) => add(node))];
    const id = propose(cluster, [a, b], changes);
    cluster.runUntil(() => [a, b, c, d].every(({ chain }) => chain.proposal(id) !== undefined));
    settle(cluster);
    const last = a.chain.height;
    const isOver = (): boolean => d.chain.proposal(id)?.status === 'done';
    // The fourth alone sees that the block is final; then it is with the new ones.
    cluster.isLost = (from, to, envelope) =>
      (to !== d && isCommitVote(cluster, to, envelope)) ||
      (isOver() && old.has(from) !== old.has(to));
    cluster.submit(c, approvalOf(c.member, { digest: id }));
    cluster.runUntil(isOver);
    const isBetween = (from: TestNode, to: TestNode): boolean => old.has(from) !== old.has(to);
    cluster.isLost = (from, to, envelope) =>
      isBetween(from, to) || (old.has(to) && isCommitVote(cluster, to, envelope));
    cluster.runUntil(() => fresh.every(({ chain }) => chain.status().isVoting));
    const written = write(cluster, d, 'new');
    expect(a.chain.custodians().nodeIds).toContain(a.nodeId);
    cluster.give(c, { type: 'read-index', id: 'r' });
    cluster.run(3000);
    // A quorum of the old ones answers; the block that they have voted for is not final here.
    expect(c.told('read-index')).toEqual([]);
    cluster.isLost = () => false;
    cluster.runUntil(() => c.told('read-index').length > 0);
    expect(c.told('read-index')[0]!.height).toBeGreaterThanOrEqual(written);
    expect(written).toBeGreaterThan(last + 1);
  });
});

describe('V3: a node that is too old', () => {
  it('stops in the midst of a window, stays so, and goes on with a newer program', () => {
    let newest = 1;
    const oldOne = membersOf(2)[1]!.nodeId;
    const cluster = new TestCluster({
      custodians: 1,
      agents: 1,
      protocol: 1,
      protocolMax: (nodeId) => (nodeId === oldOne ? newest : 2),
    });
    const [a, late] = cluster.nodes as [TestNode, TestNode];
    cluster.stop(late);
    cluster.submit(a, readinessOf(a.member, 2));
    decide(cluster, [a], [{ op: 'protocol', version: 2 }]);
    cluster.runUntil(() => a.chain.protocol().version === 2);
    for (const version of ['a', 'b', 'c']) write(cluster, a, version);
    cluster.restart(late);
    cluster.runUntil(() => late.chain.status().isTooOld);
    const { height } = late.chain;
    expect(height).toBeLessThan(a.chain.height);
    cluster.restart(late);
    cluster.run(5000);
    expect(late.chain.height).toBe(height);
    expect(late.chain.status()).toMatchObject({ isTooOld: true, isVoting: false });
    newest = 2;
    cluster.restart(late);
    settle(cluster);
    expect(late.chain.status()).toMatchObject({ isTooOld: false, height: late.chain.height + 1 });
  });
});
