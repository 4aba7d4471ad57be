/**
 * Goal: one home in two clusters, with the same keys, and no harm from one to the other.
 * Setup: two nodes in the cluster of a devnet, and the same two homes in a second cluster, `work`,
 * with a daemon each for both; so neither cluster decides anything without both nodes.
 * Check: documents stay apart; a rotation of all keys becomes final in one cluster while the other
 * stands still, and the keys that it retires are kept for that one, over kill -9; once it is final
 * there, too, they are erased (A4, J3). A cluster that is left out is waited for no more (J4).
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resolveHome } from '../../src/core/config/home.ts';
import { type Inspection, readHome } from '../../src/core/keys/home.ts';
import { keyInForce } from '../../src/core/keys/layout.ts';
import { aegis, Cluster, eventually } from './support/cluster.ts';

const TIMEOUT_MS = 180_000;
const WORK = ['--cluster', 'work'] as const;
const NODES = [1, 2] as const;

let cluster: Cluster;
let dir: string;

const passphrase = (): string[] => ['--passphrase-file', cluster.passphraseFile];
const startWork = (node: number) => cluster.start(node, ...WORK);
const workPaths = (node: number) =>
  resolveHome({ home: cluster.node(node).home, env: {}, cluster: 'work' });

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

/** Founds `work` with the homes of both nodes. */
async function found(): Promise<void> {
  const addresses: string[] = [];
  for (const node of NODES) {
    const address = `/ip4/127.0.0.1/tcp/${await freePort()}`;
    addresses.push(address);
    const out = ['--address', address, '--out', join(dir, `${node}.bundle`)];
    await cluster.json(node, 'cluster', 'bundle', ...out, ...passphrase());
  }
  const bundles = NODES.map((node) => join(dir, `${node}.bundle`));
  const genesis = ['--name', 'office', '--out', join(dir, 'genesis')];
  await cluster.json(1, 'cluster', 'create', ...bundles, ...genesis, ...WORK);
  await cluster.json(2, 'cluster', 'join', join(dir, 'genesis'), ...WORK);
  for (const node of NODES) {
    await cluster.json(node, 'config', 'set', 'node.listen', addresses[node - 1]!, ...WORK);
    expect(await startWork(node)).toMatchObject({ exit: 0 });
  }
  await cluster.json(1, 'node', 'wait', '--for', 'peers=1', ...WORK);
}

const put = (node: number, path: string, text: string, ...more: string[]) =>
  aegis(['--home', cluster.node(node).home, 'kb', 'put', '-', '--path', path, ...more], {
    input: Buffer.from(text),
  });

/** As all clusters of the home know the keys, or as one does. */
const keysOf = (node: number, view?: { cluster: string | undefined }): Promise<Inspection> =>
  readHome(cluster.home(node).keys, { view });

const listed = async (node: number) => {
  const { clusters } = await cluster.json<{ clusters: Record<string, unknown>[] }>(
    node,
    'cluster',
    'list',
  );
  return clusters;
};

const numbersOf = async (node: number) => (await listed(node)).map(({ number }) => number);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-clusters-'));
  cluster = await Cluster.start({ size: 2 });
  await found();
}, TIMEOUT_MS);

afterAll(async () => {
  for (const node of NODES) await cluster.run(node, 'node', 'stop', ...WORK);
  await cluster.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe('one home in two clusters', { timeout: TIMEOUT_MS }, () => {
  test('has two histories and no document in the wrong one', async () => {
    expect(await put(1, 'here.txt', 'home')).toMatchObject({ exit: 0 });
    expect(await put(1, 'there.txt', 'work', ...WORK)).toMatchObject({ exit: 0 });
    expect((await cluster.run(2, 'kb', 'get', 'there.txt', ...WORK)).stdout.toString()).toBe(
      'work',
    );
    expect(await cluster.run(2, 'kb', 'get', 'there.txt')).toMatchObject({ exit: 66 });
    expect(await cluster.run(2, 'kb', 'get', 'here.txt', ...WORK)).toMatchObject({ exit: 66 });
    expect(await listed(1)).toMatchObject([
      { cluster: 'default', running: true, number: 0 },
      { cluster: 'work', name: 'office', running: true, number: 0 },
    ]);
    const doctor = await cluster.json<{ healthy: boolean }>(1, 'doctor', ...WORK);
    expect(doctor.healthy).toBe(true);
  });

  test('takes each cluster in once, under one name', async () => {
    const again = await cluster.run(1, 'cluster', 'join', join(dir, 'genesis'), '--cluster', 'b');
    expect(again.exit).toBe(73);
    expect(again.stderr).toContain('it is work here');
    const nowhere = await cluster.run(1, 'node', 'status', '--cluster', 'nowhere');
    expect(nowhere).toMatchObject({ exit: 69 });
    expect(await cluster.run(1, 'node', 'status', '--cluster', 'No')).toMatchObject({ exit: 2 });
  });

  test('keeps retired keys until the rotation is final in both, over kill -9', async () => {
    const before = await keysOf(1);
    const old = keyInForce(before.current, 'identity');
    // `work` decides nothing without node 2.
    await cluster.json(2, 'node', 'stop', ...WORK);
    const rotate = ['keys', 'rotate', '--all', '--yes', ...passphrase()];
    expect(await cluster.json(1, ...rotate)).toMatchObject({ state: 'final', number: 1 });
    expect(await numbersOf(1)).toEqual([1, 0]);
    // The files of before are all there, and so is what replaces them.
    const kept = await keysOf(1);
    expect(keyInForce(kept.current, 'identity')).toBe(old);
    expect(kept.keys.map(({ role }) => role)).toEqual(before.keys.map(({ role }) => role));
    expect(kept.pending?.isHandedIn).toBe(true);
    // Nobody else can be prepared meanwhile, nor can this one be given up.
    expect(await cluster.run(1, ...rotate)).toMatchObject({ exit: 75 });
    expect(await cluster.run(1, 'keys', 'rotate', '--discard', '--yes')).toMatchObject({
      exit: 73,
    });
    for (const more of [[], WORK]) {
      const { pid } = await cluster.json<{ pid: number }>(1, 'node', 'status', ...more);
      process.kill(pid, 'SIGKILL');
    }
    await eventually(
      () => listed(1),
      (clusters) => clusters.every(({ running }) => running === false),
      'both daemons are gone',
    );
    expect(await cluster.start(1)).toMatchObject({ exit: 0 });
    expect(await startWork(1)).toMatchObject({ exit: 0 });
    // One signs with the new keys, the other with those of before.
    expect(await put(1, 'after.txt', 'new keys')).toMatchObject({ exit: 0 });
    expect(await numbersOf(1)).toEqual([1, 0]);
    expect(await startWork(2)).toMatchObject({ exit: 0 });
    await eventually(
      () => numbersOf(1),
      (numbers) => numbers.join() === '1,1',
      'it is final in both clusters',
    );
    const after = await eventually(
      () => keysOf(1),
      ({ current, pending }) => current.number === 1 && pending === undefined,
      'the home has settled',
    );
    expect(after.keys.find(({ role }) => role === 'identity')?.file.public.key).not.toBe(old);
    // Its entry goes first: what is left of it goes at once after.
    await eventually(
      () => existsSync(join(cluster.home(1).keys, 'pending')),
      (isThere) => !isThere,
      'nothing is left of the rotation',
    );
    expect(await put(1, 'later.txt', 'new keys', ...WORK)).toMatchObject({ exit: 0 });
    expect((await cluster.run(2, 'kb', 'get', 'later.txt', ...WORK)).exit).toBe(0);
  });

  test('waits no more for a cluster that is left out', async () => {
    for (const node of NODES) await cluster.json(node, 'node', 'stop', ...WORK);
    const rotate = ['keys', 'rotate', '--consensus', '--yes', ...passphrase()];
    expect(await cluster.json(1, ...rotate)).toMatchObject({ state: 'final', number: 2 });
    expect((await keysOf(1)).current.number).toBe(1);
    expect(await cluster.json(1, 'cluster', 'forget', '--yes', ...WORK)).toMatchObject({
      forgotten: true,
    });
    await eventually(
      () => keysOf(1),
      ({ current, pending }) => current.number === 2 && pending === undefined,
      'the home has settled without it',
    );
    expect(await startWork(1)).toMatchObject({ exit: 78 });
    expect(existsSync(workPaths(1).chainDb)).toBe(true);
    // Taken in again, it votes once its cluster has decided the same entry.
    const join_ = ['cluster', 'join', join(dir, 'genesis'), ...WORK];
    expect(await cluster.json(1, ...join_)).toMatchObject({ joined: true });
    expect(await startWork(1)).toMatchObject({ exit: 0 });
  });
});
