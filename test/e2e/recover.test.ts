/**
 * Goal: a cluster that has lost its quorum for ever goes on from its state.
 * Setup: four custodians, some with keys that have changed, two of which die with their disks; a
 * new machine takes part in the recovery.
 * Check: nothing becomes final before; after it everything that was final is there, on all three,
 * with its history; what was only queued becomes final, and writes go on.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type {
  ClusterJoinResult,
  ClusterRecoverResult,
} from '../../src/core/api/contract/cluster.ts';
import type { Result } from '../../src/core/api/contract/endpoints.ts';
import { clientOf, putFinal, readLinearizable, untilFinal } from './support/api.ts';
import { aegis, Cluster, eventually, type Run } from './support/cluster.ts';
import { Newcomer } from './support/newcomer.ts';
import { rotate } from './support/rotate.ts';

let cluster: Cluster;
let erin: Newcomer;
beforeAll(async () => {
  [cluster, erin] = await Promise.all([Cluster.start({ size: 4 }), Newcomer.create('erin')]);
});
afterAll(async () => {
  await erin?.remove();
  await cluster?.stop();
});

const PATHS = [1, 2, 3, 4].map((node) => `by-${node}`);

type Log = Result<'kb.log'>;

/** The versions of a path, the newest first. */
const logAt = async (node: number, path: string): Promise<Log['versions']> =>
  (await clientOf(cluster, node).call('kb.log', { query: { path } })).versions;

async function put(node: number, path: string, text: string, timeout: string): Promise<Run> {
  const home = cluster.node(node).home;
  const options = ['--path', path, '--replicas', '3', '--timeout', timeout];
  return await aegis(['--home', home, 'kb', 'put', '-', ...options], {
    input: Buffer.from(text),
  });
}

test('a cluster goes on without those who are gone', async () => {
  for (const [at, path] of PATHS.entries()) {
    expect((await put(at + 1, path, `first of ${path}`, '40s')).exit).toBe(0);
  }
  // One that will be there, and one that will not, have changed their keys in between.
  for (const node of [2, 4]) await rotate(cluster, node, ['identity', 'network', 'consensus']);
  for (const [at, path] of PATHS.entries()) {
    expect((await put(at + 1, path, `second of ${path}`, '40s')).exit).toBe(0);
  }
  for (const node of [1, 2])
    await Promise.all(PATHS.map((path) => untilFinal(cluster, node, path)));
  const before = await Promise.all(PATHS.map((path) => logAt(1, path)));
  for (const versions of before) expect(versions.map(({ final }) => final)).toEqual([true, true]);

  // Two of four die, with all they had.
  for (const node of [3, 4]) {
    process.kill(await cluster.pid(node), 'SIGKILL');
    rmSync(cluster.node(node).home, { recursive: true });
  }
  const stuck = await aegis(
    [
      ...['--home', cluster.node(1).home, 'kb', 'put', '-', '--path', 'queued'],
      ...['--replicas', '1', '--timeout', '5s'],
    ],
    { input: Buffer.from('written while nothing became final') },
  );
  expect(stuck.exit).toBe(75);

  // While it runs there is no state to go on from.
  expect((await cluster.run(1, 'cluster', 'recover')).exit).toBe(73);
  for (const node of [1, 2]) expect((await cluster.run(node, 'node', 'stop')).exit).toBe(0);
  const states = await Promise.all(
    [1, 2].map((node) => cluster.json<ClusterRecoverResult>(node, 'cluster', 'recover')),
  );
  const [{ consent, height }] = states as [ClusterRecoverResult];
  expect(states[1]).toEqual(states[0]);
  expect(height).toBeGreaterThan(0);

  // All who are to vote agree; a home of the old cluster to nothing but what it has.
  const at = (name: string): string => join(cluster.dir, name);
  const passphrase = ['--passphrase-file', cluster.passphraseFile];
  const other = consent.replace(/.{4}$/, consent.endsWith('0000') ? '1111' : '0000');
  const refused = await cluster.run(1, 'cluster', 'bundle', '--recover', other, ...passphrase);
  expect(refused.exit).toBe(1);
  expect(refused.stderr).toContain('another state');
  for (const node of [1, 2]) {
    const out = ['--recover', consent, '--out', at(`${node}.bundle`)];
    await cluster.json(node, 'cluster', 'bundle', ...out, ...passphrase);
  }
  const own = ['--passphrase-file', erin.at('passphrase'), '--no-address', '--yes'];
  await erin.json('cluster', 'bundle', '--recover', consent, '--out', at('e.bundle'), ...own);

  const bundles = ['1.bundle', '2.bundle', 'e.bundle'].map(at);
  const made = await cluster.json<ClusterRecoverResult>(
    ...([1, 'cluster', 'recover', ...bundles] as const),
    ...['--out', at('genesis'), '--state', at('state')],
  );
  expect(made.cluster?.custodians.map(({ name }) => name)).toContain('erin');
  expect(made.cluster?.clusterId).not.toBe(made.clusterId);

  const joins = await Promise.all([
    cluster.json<ClusterJoinResult>(1, 'cluster', 'join', at('genesis')),
    cluster.json<ClusterJoinResult>(2, 'cluster', 'join', at('genesis')),
  ]);
  expect(joins.map(({ joined, recovery }) => [joined, recovery?.height])).toEqual([
    [true, height],
    [true, height],
  ]);
  // The new machine has not the state.
  expect((await erin.run('cluster', 'join', at('genesis'))).exit).toBe(66);
  await erin.json('cluster', 'join', at('genesis'), '--state', at('state'));
  // Repeated, it changes nothing.
  const again = await cluster.json<ClusterJoinResult>(1, 'cluster', 'join', at('genesis'));
  expect(again.joined).toBe(false);
  // What was there is kept.
  const { chainDb, genesis } = cluster.home(1);
  for (const path of [chainDb, genesis]) expect(existsSync(`${path}.${made.clusterId}`)).toBe(true);

  for (const node of [1, 2]) expect((await cluster.start(node)).exit).toBe(0);
  expect((await erin.start()).exit).toBe(0);
  await eventually(
    async () => (await erin.client().call('node.status')).peers.connected,
    (connected) => connected === 2,
    'the new machine knows the others',
  );

  // Everything final is there, under its history.
  for (const [n, path] of PATHS.entries()) {
    for (const node of [1, 2]) {
      expect((await readLinearizable(cluster, node, path, 20_000)).text).toBe(`second of ${path}`);
      const versions = await logAt(node, path);
      expect(versions.map(({ cid, final }) => [cid, final])).toEqual(
        before[n]!.map(({ cid }) => [cid, true]),
      );
    }
    const got = await erin.run('kb', 'get', path, '--timeout', '30s');
    expect([got.exit, got.stdout.toString()]).toEqual([0, `second of ${path}`]);
    const log = await erin.json<Log>('kb', 'log', path);
    expect(log.versions.map(({ cid, final }) => [cid, final])).toEqual(
      before[n]!.map(({ cid }) => [cid, true]),
    );
  }
  // What was promised to become final, becomes so.
  await untilFinal(cluster, 2, 'queued');
  // And it goes on, from all of them.
  await putFinal(cluster, 1, 'by-3', 'third of by-3');
  await putFinal(cluster, 2, 'new', 'of the new cluster');
  expect((await readLinearizable(cluster, 1, 'new', 20_000)).text).toBe('of the new cluster');
  const more = await aegis(
    [
      ...['--home', erin.home.label, 'kb', 'put', '-', '--path', 'by-erin'],
      ...['--replicas', '2', '--timeout', '30s'],
    ],
    { input: Buffer.from('of erin') },
  );
  expect(more.exit).toBe(0);
  await untilFinal(cluster, 1, 'by-erin');
});
