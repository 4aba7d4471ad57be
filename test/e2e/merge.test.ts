/**
 * Goal: halves that were cut apart and have both written merge by themselves, into one and the same
 * version on every node; what lost is recorded, and nothing is lost.
 * Setup: four daemons, cut in two by `aegis devnet partition`.
 * Check: heads, versions and contents on all nodes; conflicts, and how they are resolved.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { aegis, Cluster, eventually, type Run } from './support/cluster.ts';

const NODES = [1, 2, 3, 4];
const PATHS = 50;
let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ size: NODES.length });
});
afterAll(() => cluster.stop());

const put = async (node: number, path: string, text: string, ...args: string[]): Promise<Run> => {
  const flags = ['kb', 'put', '-', '--path', path, ...args];
  const run = await aegis(['--home', cluster.node(node).home, ...flags], {
    input: Buffer.from(text),
  });
  expect(run.exit, run.stderr).toBe(0);
  return run;
};

interface Stat {
  readonly version: string;
  readonly heads: number;
  readonly final: boolean;
}

/** Every node shows one head, final, and the same. */
async function expectOneHead(path: string): Promise<void> {
  const versions = new Set<string>();
  for (const node of NODES) {
    const stat = await eventually(
      () => cluster.json<Stat>(node, 'kb', 'stat', path),
      ({ heads, final }) => heads === 1 && final,
      `node ${node} shows one head of ${path}`,
    );
    versions.add(stat.version);
  }
  expect([...versions], path).toHaveLength(1);
}

const get = async (node: number, path: string): Promise<string> =>
  (await cluster.run(node, 'kb', 'get', path, '-o', '-')).stdout.toString();

test('two halves that change one document come to one that has both changes', async () => {
  await put(1, 'config.json', '{"a":1,"b":1}\n');
  await put(1, 'notes.md', 'one\ntwo\nthree\n');
  await put(1, 'owner', 'nobody\n');
  for (const path of ['config.json', 'notes.md', 'owner']) await expectOneHead(path);
  await cluster.devnet.partition('1,2/3,4');
  await put(1, 'config.json', '{"a":2,"b":1}\n', '--wait', 'local');
  await put(3, 'config.json', '{"a":1,"b":2}\n', '--wait', 'local');
  await put(2, 'notes.md', 'ONE\ntwo\nthree\n', '--wait', 'local');
  await put(4, 'notes.md', 'one\ntwo\nTHREE\n', '--wait', 'local');
  await put(1, 'owner', 'ana\n', '--wait', 'local');
  await put(4, 'owner', 'bea\n', '--wait', 'local');
  await cluster.devnet.heal();
  for (const path of ['config.json', 'notes.md', 'owner']) await expectOneHead(path);
  for (const node of NODES) {
    expect(JSON.parse(await get(node, 'config.json'))).toEqual({ a: 2, b: 2 });
    expect(await get(node, 'notes.md')).toBe('ONE\ntwo\nTHREE\n');
    expect(['ana\n', 'bea\n']).toContain(await get(node, 'owner'));
  }
});
