/** Several nodes in one process: they share nothing, find each other, and end without a trace. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Client } from '../../../src/core/api/client/client.ts';
import type { HomePaths } from '../../../src/core/config/home.ts';
import { dryRun, type RunningNode, startNode } from '../../../src/core/node/daemon.ts';
import { makeCluster, makeHome, PASSPHRASE } from './support/homes.ts';

let dir: string;
let running: RunningNode[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-nodes-'));
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map((node) => node.stop()));
  rmSync(dir, { recursive: true, force: true });
});

const optionsOf = (paths: HomePaths) => ({
  paths,
  passphrase: PASSPHRASE,
  version: '0.0.0',
  env: {},
});

async function start(paths: HomePaths): Promise<RunningNode> {
  const node = await startNode(optionsOf(paths));
  running.push(node);
  return node;
}

const clientOf = (paths: HomePaths): Client =>
  new Client({
    socket: paths.socket,
    token: readFileSync(paths.adminToken, 'utf8').trim(),
    timeoutMs: 20_000,
  });

test('three nodes in one process meet, and one learns from another how to be reached', async () => {
  const homes = await makeCluster(dir, 'a', 'b', 'c');
  const nodes = await Promise.all(homes.map(start));
  const [a, b, c] = homes.map(clientOf);
  for (const node of nodes.slice(1)) {
    await a!.call('peers.add', { body: { address: node.ready.addresses[0]! } });
  }
  await a!.call('node.wait', { query: { for: 'peers=2' } });
  for (const client of [a, b, c]) {
    const status = await client!.call('node.status');
    expect(status.state).toBe('ready');
    expect(status.peers.connected).toBeGreaterThan(0);
  }
  const ids = await Promise.all([a, b, c].map((client) => client!.call('node.info')));
  expect(new Set(ids.map((info) => info.nodeId)).size).toBe(3);
});

test('a stopped node leaves no socket, no token and no lock, and can start again', async () => {
  const [paths] = await makeCluster(dir, 'alone');
  const first = await start(paths!);
  await expect(startNode(optionsOf(paths!))).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
  expect((await clientOf(paths!).call('node.status')).state).toBe('ready');
  await first.stop();
  await first.stopped;
  for (const path of [paths!.socket, paths!.adminToken, paths!.readToken]) {
    expect(existsSync(path), path).toBe(false);
  }
  await start(paths!);
});

test('why a process ends at once is in the log, on the disk at once', async () => {
  const [paths] = await makeCluster(dir, 'alone');
  const node = await start(paths!);
  node.crashed(new TypeError('nobody has caught it'));
  const [line] = readFileSync(paths!.logFile, 'utf8').trimEnd().split('\n').slice(-1);
  expect(JSON.parse(line!)).toMatchObject({
    level: 'error',
    message: 'the node has crashed',
    fields: {
      code: 'BUG',
      reason: 'nobody has caught it',
      stack: expect.stringContaining('daemon.test.ts'),
    },
  });
});

test('a wrong passphrase starts nothing and leaves the home free', async () => {
  const [paths] = await makeCluster(dir, 'alone');
  const wrong = { ...optionsOf(paths!), passphrase: 'another one entirely' };
  await expect(startNode(wrong)).rejects.toMatchObject({ code: 'WRONG_PASSPHRASE' });
  await start(paths!);
});

test('a dry run reports what would start and touches nothing', async () => {
  const [paths] = await makeCluster(dir, 'alone');
  const report = await dryRun(optionsOf(paths!));
  expect(report).toMatchObject({ name: 'alone', members: 1, cluster: { name: 'test' } });
  expect(existsSync(paths!.chainDb)).toBe(false);
  expect(existsSync(paths!.socket)).toBe(false);
});

test('a home without a cluster says how to get one', async () => {
  const { paths } = await makeHome(dir, 'alone');
  await expect(startNode(optionsOf(paths))).rejects.toMatchObject({
    code: 'BAD_CONFIG',
    hint: expect.stringContaining('cluster create'),
  });
});
