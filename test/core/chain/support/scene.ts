/** A cluster that has gone on while a node was away, and what peers may answer when it is back. */
import {
  CHAIN_PROTOCOL,
  type ChainMessage,
  encodeMessage,
  type OutgoingMessage,
} from '../../../../src/core/chain/messages.ts';
import { TABLES } from '../../../../src/core/chain/rows.ts';
import type { Envelope } from '../../../../src/core/machine.ts';
import { TestCluster, type TestNode } from './cluster.ts';
import { intentOf, type Member, statementOf } from './fixtures.ts';

export interface Scene {
  readonly cluster: TestCluster;
  readonly first: TestNode;
  readonly others: readonly TestNode[];
  /** An agent that was away all the time. */
  readonly away: TestNode;
}

/** A cluster that has decided some blocks, in several epochs, while an agent was away. */
export function sceneOf(blocks: number, agents = 1): Scene {
  const cluster = new TestCluster({ custodians: 4, agents });
  cluster.verifies = true;
  const [first, second] = cluster.nodes as [TestNode, TestNode];
  const away = cluster.nodes.at(-1)!;
  cluster.stop(away);
  for (let at = 0; at < blocks; at += 1) {
    const isTurn = at % 30 === 20;
    write(cluster, isTurn ? second : first, isTurn ? second.member : undefined);
  }
  const others = cluster.nodes.filter((node) => node !== away);
  return { cluster, first, others, away };
}

/** One block more. */
export function write(cluster: TestCluster, node: TestNode, rotates?: Member): void {
  const height = node.chain.height + 1;
  const signed =
    rotates === undefined
      ? intentOf(node.member, node.chain.nextSequence(node.nodeId), {
          path: `dir/${height % 17}`,
          version: `${height}`,
        })
      : statementOf(rotates.rotate(['consensus', 'identity']).bytes);
  cluster.submit(node, signed);
  const up = cluster.nodes.filter(({ isUp }) => isUp);
  cluster.runUntil(() => up.every(({ chain }) => chain.receipt(signed.id) !== undefined));
}

export function begin({ cluster, others, away }: Scene): void {
  cluster.boot(away);
  cluster.give(away, { type: 'start' });
  for (const node of others) {
    cluster.connect(away, node);
    cluster.connect(node, away);
  }
}

/** What a node answers in the place of what it would have said. */
export type Twist = (message: ChainMessage) => OutgoingMessage | 'silence' | undefined;

export function lieTo({ cluster, away }: Scene, twists: ReadonlyMap<TestNode, Twist>): void {
  const twistedBodies = new Set<Uint8Array>();
  cluster.isLost = (from: TestNode, to: TestNode, envelope: Envelope) => {
    const twist = twists.get(from);
    if (twist === undefined || to !== away || twistedBodies.has(envelope.body)) return false;
    const twisted = twist(cluster.open(to, envelope));
    if (twisted === undefined || twisted === 'silence') return twisted === 'silence';
    const body = encodeMessage(twisted);
    twistedBodies.add(body);
    cluster.deliver(from, { to: to.nodeId, protocol: CHAIN_PROTOCOL, body });
    return true;
  };
}

export const rowsOf = (node: TestNode, table: string): string[] =>
  node
    .table(table)
    .map(({ key, value }) => `${key} ${Buffer.from(value).toString('hex')}`)
    .toSorted();

/** Blocks of a node below a height are gone. */
export function prune(cluster: TestCluster, node: TestNode, base: number): void {
  for (const [name, { table, key }] of node.rows) {
    if (table === TABLES.chain && Number(key) < base) node.rows.delete(name);
    if (table === TABLES.blocks && Number(key.split('/')[0]) < base) node.rows.delete(name);
  }
  cluster.give(node, { type: 'pruned', base });
}

/** All of them offer their tip, and have no blocks below it. */
export function pruneAll({ cluster, others }: Scene): void {
  for (const node of others) {
    cluster.restart(node);
    prune(cluster, node, node.chain.height + 1);
  }
}
