/**
 * Goal: a part without a quorum decides nothing and loses nothing; after the cut all are one again.
 * Setup: four daemons, cut in parts by `aegis devnet partition`.
 * Check: exit statuses, what each part says, one chain and one content on all nodes afterwards.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { aegis, aegisJson, Cluster, eventually, type Run } from './support/cluster.ts';

const NODES = [1, 2, 3, 4];
let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ size: NODES.length });
});
afterAll(() => cluster.stop());

const on = (node: number, ...args: string[]): string[] => [
  ...['--home', cluster.node(node).home],
  ...args,
];

const put = (node: number, path: string, ...args: string[]): Promise<Run> =>
  aegis(on(node, 'kb', 'put', '-', '--path', path, ...args), { input: Buffer.from(path) });

interface Status {
  readonly height: number;
  readonly why: readonly { readonly cause: string }[];
}
const status = (node: number): Promise<Status> =>
  aegisJson<Status>(on(node, 'consensus', 'status', '--why'));

/** Every node has the same block at the greatest height that any has, and the paths are final. */
async function expectOneChain(...paths: string[]): Promise<void> {
  for (const node of NODES) {
    for (const path of paths) {
      await eventually(
        async () => (await aegis(on(node, 'kb', 'stat', path, '--json'))).stdout.toString(),
        (stat) => stat.includes('"final":true'),
        `${path} is final on node ${node}`,
      );
      const got = await aegis(on(node, 'kb', 'get', path, '-o', '-'));
      expect(got.stdout.toString(), got.stderr).toBe(path);
    }
  }
  const heights = await Promise.all(NODES.map(async (node) => (await status(node)).height));
  const height = String(Math.max(...heights));
  const digests = new Set<string>();
  for (const node of NODES) {
    await aegisJson(on(node, 'node', 'wait', '--for', `height=${height}`));
    const block = await aegisJson<{ digest: string }>(on(node, 'consensus', 'block', height));
    digests.add(block.digest);
  }
  expect(digests.size).toBe(1);
}

test('one node alone decides nothing, three go on, and after the cut it catches up', async () => {
  expect((await put(1, 'before')).exit).toBe(0);
  await cluster.devnet.partition('1');
  const alone = await put(1, 'alone', '--timeout', '3s');
  expect(alone.exit, alone.stderr).toBe(75);
  expect((await status(1)).why[0]?.cause).toBe('no-quorum');
  const others = await put(2, 'others');
  expect(others.exit, others.stderr).toBe(0);
  expect((await status(2)).height).toBeGreaterThan((await status(1)).height);
  await cluster.devnet.heal();
  await expectOneChain('before', 'others', 'alone');
});

test('two halves decide nothing, and both writes become final after the cut', async () => {
  const { height } = await status(1);
  await cluster.devnet.partition('1,2/3,4');
  const runs = await Promise.all([
    put(1, 'left', '--timeout', '3s'),
    put(3, 'right', '--timeout', '3s'),
  ]);
  expect(runs.map((run) => run.exit)).toEqual([75, 75]);
  for (const node of NODES) expect((await status(node)).height).toBe(height);
  await cluster.devnet.heal();
  await expectOneChain('left', 'right');
});

test('whoever is cut off may repeat a command; it is done once, when the cut is over', async () => {
  await cluster.devnet.partition('4');
  for (let i = 0; i < 2; i += 1) {
    const run = await put(4, 'repeated', '--timeout', '3s');
    expect(run.exit, run.stderr).toBe(75);
  }
  expect(await cluster.json(4, 'intent', 'list')).toMatchObject({ pending: 1 });
  await cluster.devnet.heal();
  await expectOneChain('repeated');
  const again = await put(4, 'repeated');
  expect(again.exit, again.stderr).toBe(0);
  for (const node of NODES) {
    const log = await cluster.json(node, 'kb', 'log', 'repeated');
    expect(log, `log of node ${node}`).toMatchObject({ heads: 1, total: 1 });
  }
});

test('of two that swap the same version the one that is cut off loses', async () => {
  expect((await put(1, 'swapped')).exit).toBe(0);
  await expectOneChain('swapped');
  const { version } = await cluster.json<{ version: string }>(4, 'kb', 'stat', 'swapped');
  const swap = (node: number, text: string): Promise<Run> => {
    const args = ['kb', 'put', '-', '--path', 'swapped', '--if-version', version];
    return aegis(on(node, ...args, '--timeout', '3s'), { input: Buffer.from(text) });
  };
  await cluster.devnet.partition('4');
  const [alone, together] = [await swap(4, 'alone'), await swap(1, 'together')];
  expect(alone.exit, alone.stderr).toBe(75);
  expect(together.exit, together.stderr).toBe(0);
  const get = ['kb', 'get', 'swapped', '-o', '-'];
  // What it holds final is old by now: it may show that, but not as the newest.
  expect((await cluster.run(4, ...get)).stdout.toString()).toBe('swapped');
  const newest = await cluster.run(4, ...get, '--linearizable', '--timeout', '2s');
  expect(newest.exit, newest.stderr).toBe(75);
  await cluster.devnet.heal();
  await cluster.until(
    () => cluster.json<{ intents: { result: string | null }[] }>(4, 'intent', 'list'),
    ({ intents }) => intents[0]?.result === 'refused',
    'the swap of the node that was cut off is refused',
  );
  for (const node of NODES) {
    await cluster.until(
      async () => (await cluster.run(node, 'kb', 'get', 'swapped', '-o', '-')).stdout.toString(),
      (text) => text === 'together',
      `node ${node} shows what the others agreed on`,
    );
  }
});
