/**
 * Goal: an agent takes part without a vote: it follows, reads what is final, and asks for changes.
 * Setup: four custodians and one agent.
 * Check: what the agent says of itself and of documents, also with one custodian in its reach; that
 * no quorum counts it; and one chain on all five.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectLiveness, expectOneChain, expectPeace } from './support/agreement.ts';
import { clientOf, putFinal, readLinearizable, statusOf } from './support/api.ts';
import { aegis, Cluster } from './support/cluster.ts';

const AGENT = 5;
let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ size: 5, agents: 1 });
});
afterAll(() => cluster.stop());

const follows = (height: number): Promise<unknown> => {
  const query = { for: `height=${height}`, timeoutMs: 60_000 };
  return clientOf(cluster, AGENT).call('node.wait', { query });
};

const statOf = (path: string): Promise<unknown> =>
  clientOf(cluster, AGENT).call('kb.stat', { query: { path } });

test('it says what it is, reads what is final, and its own changes become final', async () => {
  const { height } = await putFinal(cluster, 1, 'by-a-custodian', 'of a custodian');
  await follows(height!);
  const stat = await statOf('by-a-custodian');
  expect(stat).toMatchObject({ final: true, height });
  const read = await readLinearizable(cluster, AGENT, 'by-a-custodian');
  expect(read.text).toBe('of a custodian');
  await putFinal(cluster, AGENT, 'by-the-agent', 'of the agent');
  expect((await readLinearizable(cluster, 2, 'by-the-agent')).text).toBe('of the agent');

  const status = await statusOf(cluster, AGENT);
  expect(status).toMatchObject({ role: 'agent', isVoting: false, doubt: null, custodians: 4 });
  const why = await cluster.run(AGENT, 'consensus', 'status', '--why');
  expect(why.stdout.toString()).toContain('follows the chain without a vote');
  const { validators } = await clientOf(cluster, AGENT).call('consensus.validators');
  expect(validators.map(({ nodeId }) => nodeId)).not.toContain(cluster.node(AGENT).nodeId);
});

test('one custodian in its reach is enough to follow', async () => {
  const nodeIds = [1, 2, 3].map((node) => cluster.node(node).nodeId);
  await clientOf(cluster, AGENT).call('peers.isolate', { body: { nodeIds } });
  for (const node of [1, 2]) {
    const { height } = await putFinal(cluster, node, 'far-away', `of node ${node}`);
    await follows(height!);
  }
  expect(await statOf('far-away')).toMatchObject({ final: true });
  await clientOf(cluster, AGENT).call('peers.isolate', { body: { nodeIds: [] } });
  await cluster.connected();
});

test('no quorum counts it', async () => {
  const { height } = await statusOf(cluster, AGENT);
  for (const node of ['3', '4']) await cluster.devnet.kill(node);
  const put = ['--home', cluster.node(1).home, 'kb', 'put', '-', '--path', 'two-of-four'];
  const run = await aegis([...put, '--timeout', '3s'], { input: Buffer.from('queued') });
  expect(run.exit, run.stderr).toBe(75);
  expect((await statusOf(cluster, AGENT)).height).toBe(height);
  for (const node of ['3', '4']) await cluster.devnet.resume(node);
  await cluster.connected();

  const last = await expectLiveness(cluster);
  await expectOneChain(cluster, last);
  await expectPeace(cluster);
  for (let at = 1; at <= last; at += 1) {
    const params = { id: String(at) };
    const block = await clientOf(cluster, AGENT).call('consensus.block', { params });
    const names = [block.proposer, ...block.certificate.signers].map(({ nodeId }) => nodeId);
    expect(names, `height ${at}`).not.toContain(cluster.node(AGENT).nodeId);
  }
});
