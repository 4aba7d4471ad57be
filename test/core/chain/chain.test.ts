import { describe, expect, it } from 'vitest';
import { TABLES } from '../../../src/core/chain/rows.ts';
import { verifyStateProof } from '../../../src/core/chain/state-proof.ts';
import { verified } from '../../../src/core/units.ts';
import { NAMES } from '../../helpers/names.ts';
import { TestCluster, type TestNode } from './support/cluster.ts';
import { intentOf, type Move, versionOf } from './support/fixtures.ts';

/** Submits one intent at a node and waits until all that are up have it final. */
function decide(cluster: TestCluster, node: TestNode, ...moves: readonly Move[]): void {
  const { height } = node.chain;
  const sequence = node.chain.nextSequence(node.nodeId);
  cluster.submit(node, intentOf(node.member, sequence, ...moves));
  cluster.runUntil(() =>
    cluster.nodes.every((other) => !other.isUp || other.chain.height > height),
  );
}

const headsAt = (node: TestNode, path = 'notes'): string[] =>
  (node.chain.ref(path)?.heads ?? []).map(({ version }) => version.toString());

describe('a cluster', () => {
  it('makes an intent final everywhere, with the same state', () => {
    const cluster = new TestCluster({ custodians: 4 });
    const [first] = cluster.nodes;
    decide(cluster, first!, { version: 'a' });
    for (const node of cluster.nodes) {
      expect(headsAt(node)).toEqual([versionOf('a').toString()]);
      expect(node.chain.tip().digest).toBe(first!.chain.tip().digest);
      const { stateRoot, proof, value, height } = node.chain.prove('notes');
      expect(height).toBe(1);
      expect(stateRoot).toEqual(node.chain.tip().header?.stateRoot);
      const key = NAMES.refKey('notes');
      expect(verifyStateProof(stateRoot, key, value, proof)).toBe(true);
    }
    expect(first!.chain.pending()).toEqual([]);
    expect(first!.table(TABLES.pending)).toEqual([]);
    expect(first!.told('finalised')[0]).toMatchObject({ height: 1, intents: 1, paths: ['notes'] });
  });

  it('of one custodian decides alone', () => {
    const cluster = new TestCluster({ custodians: 1 });
    decide(cluster, cluster.nodes[0]!, { version: 'a' });
    expect(cluster.nodes[0]!.chain.height).toBe(1);
  });

  it('makes no blocks without intents', () => {
    const cluster = new TestCluster({ custodians: 4 });
    decide(cluster, cluster.nodes[0]!, { version: 'a' });
    cluster.run(120_000);
    expect(cluster.nodes.map(({ chain }) => chain.height)).toEqual([1, 1, 1, 1]);
  });

  it('decides what comes together in one block', () => {
    const cluster = new TestCluster({ custodians: 4 });
    const [first, second] = cluster.nodes as [TestNode, TestNode];
    decide(cluster, first, { version: 'first' });
    for (let sequence = 2; sequence <= 51; sequence += 1) {
      cluster.submit(first, intentOf(first.member, sequence, { version: `v${sequence}` }));
    }
    decide(cluster, second, { version: 'b', path: 'other' });
    cluster.runUntil(() => first.chain.pending().length === 0);
    expect(first.chain.height).toBeLessThan(8);
    expect(first.chain.nextSequence(first.nodeId)).toBe(52);
  });

  it('goes on through the ends of seed epochs', () => {
    const cluster = new TestCluster({ custodians: 4, epochHeights: 3 });
    for (let at = 1; at <= 8; at += 1) {
      decide(cluster, cluster.nodes[at % 4]!, { version: `v${at}` });
    }
    const headers = cluster.nodes[0]!.told('finalised').map(({ height }) => height);
    expect(headers).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('goes on when one custodian is gone, and that one catches up', () => {
    const cluster = new TestCluster({ custodians: 4 });
    const last = cluster.nodes[3]!;
    decide(cluster, cluster.nodes[0]!, { version: 'a' });
    cluster.stop(last);
    for (let at = 0; at < 70; at += 1) decide(cluster, cluster.nodes[0]!, { version: `v${at}` });
    cluster.restart(last);
    cluster.runUntil(() => last.chain.height === cluster.nodes[0]!.chain.height);
    expect(last.chain.tip().digest).toBe(cluster.nodes[0]!.chain.tip().digest);
    expect(last.told('finalised')).toHaveLength(71);
    expect(last.chain.status().lag).toBe(0);
  });
});

describe('an agent', () => {
  it('asks for changes and follows', () => {
    const cluster = new TestCluster({ custodians: 4, agents: 2 });
    const [agent, other] = cluster.nodes.slice(4) as [TestNode, TestNode];
    decide(cluster, agent, { version: 'a' });
    expect(headsAt(other)).toEqual([versionOf('a').toString()]);
    expect(agent.told('accepted')).toHaveLength(1);
  });

  it('that reaches no custodian is served by another agent', () => {
    const cluster = new TestCluster({ custodians: 4, agents: 2 });
    const [far, near] = cluster.nodes.slice(4) as [TestNode, TestNode];
    for (const custodian of cluster.custodians) cluster.disconnect(far, custodian);
    decide(cluster, far, { version: 'a' });
    expect(headsAt(near)).toEqual([versionOf('a').toString()]);
    expect(headsAt(far)).toEqual([versionOf('a').toString()]);
  });
});

describe('what came by one message', () => {
  const holders = [
    ...[1, 2, 3, 4].map((at) => ({ at, standing: 'sound' as const })),
    // It neither proposes nor gives up a view.
    ...[0, 1, 2, 3].map((at) => ({ at, standing: 'doubtful' as const })),
  ];

  it.each(holders)('is decided, though node $at ($standing) sends it in vain', (one) => {
    const cluster = new TestCluster({ custodians: 4, agents: 2 });
    const holder = cluster.nodes[one.at]!;
    const { member, nodeId: from } = cluster.nodes[5]!;
    decide(cluster, holder, { version: 'before' });
    cluster.restart(holder, one.standing);
    cluster.run(5000);
    let lost = 0;
    const lostUntil = cluster.now + 10_000;
    cluster.isLost = (_, to, envelope) => {
      const isLost = cluster.now < lostUntil && cluster.open(to, envelope).type === 'intents';
      lost += isLost ? 1 : 0;
      return isLost;
    };
    const message = { type: 'intents' as const, intents: [intentOf(member, 1, { version: 'a' })] };
    cluster.give(holder, { type: 'message', from, message: verified(message) });
    cluster.runUntil(() => cluster.nodes.every(({ chain }) => chain.height === 2));
    expect(cluster.now).toBeGreaterThan(lostUntil);
    // One message at a time, so that all together send no more than the network takes.
    expect(lost).toBeLessThan(12);
  });
});

describe('what this node asked for', () => {
  it('is queued without a quorum and decided when there is one', () => {
    const cluster = new TestCluster({ custodians: 4 });
    const [first, ...others] = cluster.nodes as [TestNode, ...TestNode[]];
    for (const other of others) cluster.stop(other);
    cluster.submit(first, intentOf(first.member, 1, { version: 'a' }));
    expect(first.told('accepted')).toHaveLength(1);
    cluster.run(30_000);
    cluster.restart(first);
    expect(first.chain.pending()).toHaveLength(1);
    for (const other of others) cluster.restart(other);
    cluster.runUntil(() => first.chain.height === 1);
    expect(first.chain.pending()).toEqual([]);
  });

  it('is accepted once, however often it is repeated', () => {
    const cluster = new TestCluster({ custodians: 4 });
    const [first] = cluster.nodes as [TestNode];
    const once = intentOf(first.member, 1, { version: 'a' });
    cluster.submit(first, once, intentOf(first.member, 2, { version: 'a' }));
    cluster.runUntil(() => first.chain.height === 1);
    cluster.submit(first, intentOf(first.member, 2, { version: 'a' }));
    const { digest, id } = once;
    expect(first.told('accepted')).toEqual(
      Array.from({ length: 3 }, () => ({ type: 'accepted', id, digest, sequence: 1 })),
    );
    expect(first.chain.nextSequence(first.nodeId)).toBe(2);
  });

  it('is refused with a sequence that is not the next', () => {
    const cluster = new TestCluster({ custodians: 4 });
    const [first] = cluster.nodes as [TestNode];
    cluster.submit(first, intentOf(first.member, 2, { version: 'a' }));
    expect(first.told('refused')[0]?.error.code).toBe('OUT_OF_ORDER');
    expect(first.table(TABLES.pending)).toEqual([]);
  });

  it('can be cancelled while it waits', () => {
    const cluster = new TestCluster({ custodians: 4 });
    const [first, ...others] = cluster.nodes as [TestNode, ...TestNode[]];
    for (const other of others) cluster.stop(other);
    cluster.submit(first, intentOf(first.member, 1, { version: 'a' }));
    const cancel = intentOf(first.member, 1);
    cluster.submit(first, cancel);
    cluster.submit(first, intentOf(first.member, 1));
    expect(first.told('refused')).toEqual([]);
    expect(
      first
        .told('accepted')
        .map(({ digest }) => digest)
        .slice(1),
    ).toEqual([cancel.digest, cancel.digest]);
    expect(first.chain.pending().map(({ signed }) => signed.intent.changes)).toEqual([[]]);
    for (const other of others) cluster.restart(other);
    cluster.runUntil(() => first.chain.height === 1);
    expect(headsAt(first)).toEqual([]);
    expect(first.chain.nextSequence(first.nodeId)).toBe(2);
  });

  it('is refused when another intent took its sequence', () => {
    const cluster = new TestCluster({ custodians: 4 });
    const [first, ...others] = cluster.nodes as [TestNode, ...TestNode[]];
    for (const other of others) cluster.disconnect(first, other);
    cluster.submit(first, intentOf(first.member, 1, { version: 'a' }));
    // A home that was copied signs another intent with the same key.
    const intents = [intentOf(first.member, 1, { version: 'b' })];
    const message = verified({ type: 'intents' as const, intents });
    for (const node of others) {
      cluster.give(node, { type: 'message', from: first.nodeId, message });
    }
    cluster.runUntil(() => others.every(({ chain }) => chain.height === 1));
    cluster.restart(first);
    cluster.runUntil(() => first.chain.height === 1);
    expect(first.told('refused')[0]?.error.code).toBe('EXISTS');
    expect([first.chain.pending(), first.table(TABLES.pending)]).toEqual([[], []]);
  });
});

describe('a node that starts again', () => {
  it('has the state, the tip and what was undecided', () => {
    const cluster = new TestCluster({ custodians: 4 });
    const [first] = cluster.nodes as [TestNode];
    decide(cluster, first, { version: 'a' });
    // Prepare votes are lost, so that a block stays undecided.
    cluster.isLost = (_from, _to, { protocol, body }) =>
      protocol === 'consensus' &&
      cluster.open(first, { to: '', protocol, body }).type === 'consensus' &&
      Buffer.from(body).includes('vote');
    cluster.submit(first, intentOf(first.member, 2, { version: 'b' }));
    cluster.run(50);
    const voters = cluster.nodes.filter((node) => node.table(TABLES.blocks).length === 2);
    expect(voters.length).toBeGreaterThanOrEqual(2);
    for (const node of cluster.nodes) cluster.restart(node);
    for (const node of voters) expect(node.chain.status().undecided).toBe(1);
    cluster.isLost = () => false;
    cluster.runUntil(() => cluster.nodes.every(({ chain }) => chain.height === 2));
    expect(headsAt(first)).toContain(versionOf('b').toString());
  });

  it('does not start with a state that is not that of its tip', () => {
    const cluster = new TestCluster({ custodians: 4 });
    const [first] = cluster.nodes as [TestNode];
    decide(cluster, first, { version: 'a' });
    const row = first.table(TABLES.state)[0]!;
    first.rows.delete(`${row.table}\0${row.key}`);
    expect(() => cluster.boot(first)).toThrow(expect.objectContaining({ code: 'STORE_DAMAGED' }));
  });
});
