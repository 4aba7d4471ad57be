import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import type { Envelope } from '../../../src/core/machine.ts';
import { TestCluster, type TestNode } from './support/cluster.ts';
import { intentOf } from './support/fixtures.ts';

const read = (cluster: TestCluster, node: TestNode, id: string): void => {
  cluster.give(node, { type: 'read-index', id });
};

const indexes = (node: TestNode) => node.told('read-index').map(({ id, height }) => [id, height]);

/** A cluster with one final block. */
function setUp(agents = 0): { cluster: TestCluster; first: TestNode; others: TestNode[] } {
  const cluster = new TestCluster({ custodians: 4, agents });
  const [first, ...others] = cluster.nodes as [TestNode, ...TestNode[]];
  cluster.submit(first, intentOf(first.member, 1, { version: 'a' }));
  cluster.runUntil(() => cluster.nodes.every(({ chain }) => chain.height === 1));
  return { cluster, first, others };
}

const typeOf = (cluster: TestCluster, node: TestNode, envelope: Envelope): string =>
  cluster.open(node, envelope).type;

describe('a linearizable read', () => {
  it('learns the highest height that may be final', () => {
    const { cluster, first } = setUp();
    read(cluster, first, 'r');
    expect(indexes(first)).toEqual([]);
    cluster.run(10);
    expect(indexes(first)).toEqual([['r', 1]]);
  });

  it('of a custodian that lags sees what others have made final', () => {
    const { cluster, first, others } = setUp();
    const [second, third, fourth] = others as [TestNode, TestNode, TestNode];
    // The fourth hears nothing but answers to its reads.
    cluster.isLost = (_from, to, envelope) =>
      to === fourth && typeOf(cluster, to, envelope) !== 'index-reply';
    cluster.submit(first, intentOf(first.member, 2, { version: 'b' }));
    cluster.runUntil(() => [first, second, third].every(({ chain }) => chain.height === 2));
    expect(fourth.chain.height).toBe(1);
    read(cluster, fourth, 'r');
    cluster.run(10);
    // Whether it still asks the right custodians it knows when that height is final here.
    expect([indexes(fourth), fourth.chain.height]).toEqual([[], 1]);
    cluster.isLost = () => false;
    cluster.runUntil(() => fourth.chain.height === 2);
    expect(indexes(fourth)).toEqual([['r', 2]]);
  });

  it('of an agent asks custodians only', () => {
    const { cluster, others } = setUp(1);
    const agent = others.at(-1)!;
    read(cluster, agent, 'r');
    cluster.run(10);
    expect(indexes(agent)).toEqual([['r', 1]]);
  });

  it('waits for a quorum, asks again, and gives up in the end', () => {
    const { cluster, first, others } = setUp();
    cluster.isLost = () => true;
    read(cluster, first, 'r');
    cluster.run(5000);
    cluster.isLost = () => false;
    cluster.run(2000);
    expect(indexes(first)).toEqual([['r', 1]]);
    for (const other of others) cluster.stop(other);
    read(cluster, first, 's');
    cluster.run(62_000);
    expect(indexes(first)).toHaveLength(1);
    expect(first.told('read-failed').map(({ error }) => error.code)).toEqual(['TIMEOUT']);
  });

  it('believes no height without a certificate, and one answer of each custodian', () => {
    const { cluster, first, others } = setUp();
    const [second, third, fourth] = others as [TestNode, TestNode, TestNode];
    let nonce = 0;
    cluster.isLost = (_from, to, envelope) => {
      const message = cluster.open(to, envelope);
      if (message.type === 'index-request') nonce = message.nonce;
      return true;
    };
    read(cluster, first, 'r');
    cluster.run(10);
    const reply = (from: TestNode, height: number, certificate?: Uint8Array) => {
      const message = { type: 'index-reply' as const, nonce, height, certificate };
      cluster.give(first, { type: 'message', from: from.nodeId, message: message as never });
    };
    reply(second, 9);
    // Whose proof does not hold is not heard again.
    reply(second, 1);
    reply(third, 1);
    reply(third, 1);
    expect(indexes(first)).toEqual([]);
    reply(fourth, 1);
    expect(indexes(first)).toEqual([['r', 1]]);
  });

  it('is not answered by a custodian that may have forgotten its votes', () => {
    const { cluster, first, others } = setUp();
    const [second, third, fourth] = others as [TestNode, TestNode, TestNode];
    cluster.stop(third);
    cluster.stop(fourth);
    cluster.restart(second, 'doubtful');
    read(cluster, first, 'r');
    cluster.run(5000);
    expect(indexes(first)).toEqual([]);
  });
});

it('reads that wait go together, and only so many wait', () => {
  const { cluster, first } = setUp();
  const asked: number[] = [];
  cluster.isLost = (_from, to, envelope) => {
    const message = cluster.open(to, envelope);
    if (message.type === 'index-request') asked.push(message.nonce);
    return true;
  };
  for (let at = 0; at <= LIMITS.reads; at += 1) read(cluster, first, `${at}`);
  expect(first.told('read-failed').map(({ id, error }) => [id, error.code])).toEqual([
    [`${LIMITS.reads}`, 'BUSY'],
  ]);
  cluster.run(10);
  expect(new Set(asked).size).toBe(LIMITS.readRounds);
  cluster.isLost = () => false;
  cluster.run(3000);
  expect(indexes(first)).toHaveLength(LIMITS.reads);
});
