/**
 * Goal: a cluster goes to another protocol version under load, node by node.
 * Setup: four custodians and an agent at version 1, all held back by `protocol.max`; writers.
 * Check: the raise waits for a quorum of ready custodians; who is not ready when it holds stops
 * with a reason and changes nothing, and goes on from there once it may.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clientOf, putFinal, statusOf } from './support/api.ts';
import { Cluster, eventually } from './support/cluster.ts';
import { decide, Load, stateAt } from './support/governance.ts';

const DIGEST = 'ab'.repeat(32);

let cluster: Cluster;
let load: Load;

beforeAll(async () => {
  cluster = await Cluster.start({
    size: 5,
    agents: 1,
    protocol: 1,
    settings: ['protocol.max', '1'],
  });
  load = new Load(cluster, [1, 2]);
});
afterAll(async () => {
  await load?.end().catch(() => {});
  await cluster?.stop();
});

/** The program that knows more, as an operator would install it. */
async function upgrade(node: number): Promise<void> {
  await cluster.json(node, 'config', 'unset', 'protocol.max');
  await cluster.json(node, 'node', 'restart', '--passphrase-file', cluster.passphraseFile);
}

const protocolAt = async (node: number) => (await stateAt(cluster, node)).protocol;

test('what a later version has is refused before', async () => {
  expect(await protocolAt(5)).toMatchObject({ version: 1, max: 1, raise: null });
  const early = await cluster.run(5, 'intent', 'anchor', 'ledger', DIGEST);
  expect(early.exit, early.stderr).toBe(1);
  expect(early.stderr).toContain('protocol version');
});

test('a raise waits until a quorum is ready', async () => {
  await decide(cluster, [1, 2, 3], [{ op: 'protocol', version: 2 }]);
  expect(await protocolAt(1)).toMatchObject({ version: 1, raise: { version: 2, ready: 0 } });
  const { why } = await clientOf(cluster, 4).call('consensus.status');
  expect(why.map(({ text }) => text).join()).toContain('this node stops');
  await load.end();
  for (const node of [1, 2]) {
    await upgrade(node);
    load.add(node);
  }
  await eventually(
    () => protocolAt(1),
    ({ raise }) => raise?.ready === 2,
    'two custodians are ready',
  );
  // Mixed versions, and the cluster goes on.
  const { height } = await putFinal(cluster, 4, 'mixed', 'by one that is held back');
  expect(height).toBeGreaterThan(0);
  expect(await protocolAt(4)).toMatchObject({ version: 1, max: 1 });
});

test('with the third the version holds, and who is too old stops with a reason', async () => {
  const before = await cluster.pid(4);
  await upgrade(3);
  await eventually(
    () => protocolAt(3),
    ({ version }) => version === 2,
    'version 2 is in force',
  );
  for (const node of [4, 5]) {
    await eventually(
      async () => (await cluster.devnet.status())[node - 1]!.state,
      (state) => state !== 'running',
      `node ${node} has stopped`,
    );
    const again = await cluster.start(node);
    expect(again.exit, again.stderr).toBe(78);
    const { error } = JSON.parse(
      (
        await cluster.run(
          node,
          'node',
          'start',
          '--json',
          '--passphrase-file',
          cluster.passphraseFile,
        )
      ).stdout.toString(),
    ) as { error: { code: string; message: string } };
    expect(error).toMatchObject({ code: 'PROTOCOL_TOO_NEW' });
    expect(error.message).toContain('version 2');
  }
  const logs = await cluster.run(4, 'node', 'logs', '--lines', '200');
  expect(logs.stdout.toString()).toContain('PROTOCOL_TOO_NEW');
  expect(before).toBeGreaterThan(0);
  await putFinal(cluster, 1, 'without', 'the one that is too old');
});

test('it goes on from where it stopped once it may', async () => {
  for (const node of [4, 5]) {
    await cluster.json(node, 'config', 'unset', 'protocol.max');
    const { exit, stderr } = await cluster.start(node);
    expect(exit, stderr).toBe(0);
  }
  const { height } = await putFinal(cluster, 4, 'back', 'by the one that was held back');
  await load.end();
  for (const node of [1, 2, 3, 4, 5]) {
    const query = { for: `height=${height}`, timeoutMs: 60_000 };
    await clientOf(cluster, node, 65_000).call('node.wait', { query });
    expect(await protocolAt(node)).toMatchObject({ version: 2, max: 2, raise: null });
    expect((await statusOf(cluster, node)).divergence).toBeNull();
  }
  const late = await cluster.json<{ intent: { result: string } }>(
    ...([5, 'intent', 'anchor', 'ledger', DIGEST] as const),
  );
  expect(late.intent.result).toBe('done');
  const tips = await Promise.all(
    [1, 2, 3, 4, 5].map((node) =>
      clientOf(cluster, node).call('consensus.block', { params: { id: String(height) } }),
    ),
  );
  for (const { digest, stateRoot } of tips) {
    expect({ digest, stateRoot }).toEqual({
      digest: tips[0]!.digest,
      stateRoot: tips[0]!.stateRoot,
    });
  }
});
