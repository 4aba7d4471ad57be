/**
 * Goal: halves that were cut apart and have both written merge by themselves, into one and the same
 * version on every node; what lost is recorded, and nothing is lost.
 * Setup: four daemons, cut in two by `aegis devnet partition`.
 * Check: heads, versions and contents on all nodes; conflicts, and how they are resolved.
 */
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from '../../src/core/api/client/client.ts';
import { resolveHome } from '../../src/core/config/home.ts';
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

interface Conflicted {
  readonly path: string;
  readonly version: string;
  readonly more: boolean;
  readonly conflicts: readonly { readonly at: string; ours: string; theirs: string }[];
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

/** As a program would ask: without a process for each question. */
const clientOf = (node: number): Client => {
  const { socket, adminToken } = resolveHome({ home: cluster.node(node).home, env: {} });
  return new Client({ socket, token: readFileSync(adminToken, 'utf8').trim(), timeoutMs: 30_000 });
};
const KEEP = new AbortController().signal;

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

test('fifty paths that both halves write have one head on all, and lose no version', async () => {
  const paths = Array.from({ length: PATHS }, (_, n) => `many/${n}.txt`);
  await cluster.devnet.partition('1,2/3,4');
  const written = new Map<string, string[]>();
  const write = async (node: number): Promise<void> => {
    const client = clientOf(node);
    for (const path of paths) {
      const bytes = [Buffer.from(`${path} by ${node}\n`)];
      const query = { path, wait: 'local', timeoutMs: 30_000 } as const;
      const { version } = await client.put(
        query,
        { kind: 'file', bytes: Readable.from(bytes) },
        { signal: KEEP },
      );
      written.set(path, [...(written.get(path) ?? []), version]);
    }
  };
  await Promise.all([write(1), write(3)]);
  await cluster.devnet.heal();
  for (const node of NODES) {
    const client = clientOf(node);
    for (const path of paths) {
      const { versions } = await eventually(
        () => client.call('kb.log', { query: { path } }),
        (log) => log.total === 3 && log.heads === 1 && log.versions[0]?.final === true,
        `node ${node} has one final head of ${path}`,
        120_000,
      );
      const [merge, ...before] = versions;
      expect(merge).toMatchObject({ author: null, sequence: 0, conflicts: 1, mismatch: null });
      expect(new Set(before.map(({ version }) => version))).toEqual(new Set(written.get(path)));
    }
  }
  const merged = await Promise.all(
    NODES.map(async (node) => {
      const { paths: found } = await clientOf(node).call('kb.conflicts', {
        query: { prefix: 'many/' },
      });
      return found.map(({ path, version }) => `${path} ${version}`);
    }),
  );
  expect(merged[0]).toHaveLength(PATHS);
  for (const one of merged) expect(one).toEqual(merged[0]);
}, 240_000);

test('a conflict is told, refused when asked for, and resolved by any version', async () => {
  const { paths } = await cluster.json<{ paths: Conflicted[] }>(1, 'kb', 'conflicts', 'owner');
  expect(paths.map(({ path, more }) => [path, more])).toEqual([['owner', false]]);
  const [{ at, ours, theirs }] = paths[0]!.conflicts as [Conflicted['conflicts'][0]];
  expect([at, ours === theirs]).toEqual(['', false]);
  const got = await cluster.run(2, 'kb', 'get', 'owner', '-o', '-');
  expect(got.stderr).toContain('a merge with conflicts');
  const strict = await cluster.run(2, 'kb', 'get', 'owner', '--strict', '-o', '-');
  expect([strict.exit, strict.stdout.length]).toEqual([65, 0]);
  const shown = got.stdout.toString();
  const resolved = await cluster.run(2, 'kb', 'resolve', 'owner', '--theirs');
  expect(resolved.exit, resolved.stderr).toBe(0);
  await expectOneHead('owner');
  expect(new Set([shown, await get(4, 'owner')])).toEqual(new Set(['ana\n', 'bea\n']));
  expect((await cluster.run(4, 'kb', 'get', 'owner', '--strict', '-o', '-')).exit).toBe(0);
  const again = await cluster.run(2, 'kb', 'resolve', 'owner', '--ours');
  expect(again.exit).toBe(66);
});

test('what is shown, or put by hand, ends a conflict as well', async () => {
  const { paths } = await cluster.json<{ paths: Conflicted[] }>(3, 'kb', 'conflicts', 'many/1');
  const [first, second] = paths;
  // With what is shown: a version is written all the same, and ends the conflict.
  const ours = await cluster.json(3, 'kb', 'resolve', first!.path, '--ours');
  expect(ours).toMatchObject({ resolves: first!.version, deleted: false, created: true });
  await put(3, second!.path, 'by hand\n');
  const left = await cluster.json<{ paths: Conflicted[] }>(3, 'kb', 'conflicts', 'many/1');
  expect(left.paths.map((one) => one.path)).toEqual(paths.slice(2).map((one) => one.path));
});
