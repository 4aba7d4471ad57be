/**
 * Goal: a cluster that has forgotten its first blocks is as good as one that has not.
 * Setup: three custodians with more blocks than are kept; all of them prune while they run.
 * Check: what stands is still proven by the genesis alone, a new node comes in by a snapshot, and
 * what each has left verifies.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join as pathOf } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type {
  ChainImportOutput,
  ChainSnapshotOutput,
  ChainVerifyOutput,
} from '../../src/core/api/contract/chain.ts';
import type { Result } from '../../src/core/api/contract/endpoints.ts';
import { clientOf, putFinal, readLinearizable } from './support/api.ts';
import { Cluster, eventually } from './support/cluster.ts';
import { Newcomer } from './support/newcomer.ts';

type Pruned = Result<'chain.prune'>;

const KEEP = 128;
/** So many blocks more than are kept, at least. */
const OLD = 30;

let cluster: Cluster;
let carol: Newcomer;
let dave: Newcomer;
beforeAll(async () => {
  [cluster, carol, dave] = await Promise.all([
    Cluster.start({ size: 3 }),
    Newcomer.create('carol'),
    Newcomer.create('dave'),
  ]);
});
afterAll(async () => {
  await Promise.all([carol?.remove(), dave?.remove()]);
  await cluster?.stop();
});

const heightAt = async (node: number): Promise<number> =>
  (await clientOf(cluster, node).call('consensus.status')).height;

/** Each intent is awaited, so that it takes a block. */
async function grow(to: number): Promise<void> {
  for (let n = 0; (await heightAt(1)) < to; n += 1) {
    const body = { label: 'grow', digest: (n + 1).toString(16).padStart(64, '0') };
    await clientOf(cluster, 1).call('intents.anchor', { body });
  }
}

test('all forget their first blocks while they run', async () => {
  await putFinal(cluster, 1, 'old', 'from a block that nobody keeps');
  await grow(KEEP + OLD);
  for (const node of [1, 2, 3]) {
    const pruned = await cluster.json<Pruned>(node, 'chain', 'prune', '--keep', '128', '--yes');
    expect(pruned).toMatchObject({ from: 1, base: pruned.height - KEEP + 1, dryRun: false });
    expect(pruned.base).toBeGreaterThan(OLD);
    expect(pruned.bytesAfter).toBeLessThan(pruned.bytesBefore);
    const verified = await cluster.json<ChainVerifyOutput>(node, 'chain', 'verify');
    expect(verified).toMatchObject({ from: pruned.base, depth: 'signatures' });
  }
  expect((await readLinearizable(cluster, 2, 'old')).text).toBe('from a block that nobody keeps');
});

test('what stands is proven by the genesis alone', async () => {
  const file = pathOf(cluster.dir, 'old.proof');
  const got = await cluster.run(2, 'kb', 'get', 'old', '--proof', file);
  expect(got.exit, got.stderr).toBe(0);
  expect(readFileSync(file).length).toBeGreaterThan(100);
  const { genesis } = cluster.home(2);
  const verified = await cluster.run(2, 'verify', file, '--genesis', genesis);
  expect(verified.exit, `${String(verified.stdout)}${verified.stderr}`).toBe(0);
});

async function join(who: Newcomer): Promise<void> {
  const file = who.at('invitation');
  await cluster.json(1, 'cluster', 'invite', await who.bundle(), '-o', file);
  await who.json('cluster', 'join', file);
}

test('a new node comes in by a snapshot, and goes on with blocks', async () => {
  await join(carol);
  expect((await carol.start()).exit).toBe(0);
  const { height } = await putFinal(cluster, 2, 'after', 'after it came');
  await carol.client(60_000).call('node.wait', {
    query: { for: `height=${height}`, timeoutMs: 60_000 },
  });
  const [here, there] = await eventually(
    async () =>
      await Promise.all([
        carol.client().call('consensus.status'),
        clientOf(cluster, 1).call('consensus.status'),
      ]),
    ([mine, theirs]) => mine.height === theirs.height,
    'it is as far as the others',
  );
  expect(here.digest).toBe(there.digest);
  const { from } = await carol.client().call('chain.prune', { body: { keep: KEEP, dryRun: true } });
  expect(from).toBeGreaterThan(OLD);
  const old = await carol.run('kb', 'get', 'old', '--timeout', '30s');
  expect(String(old.stdout)).toBe('from a block that nobody keeps');
  const verified = await carol.json<ChainVerifyOutput>('chain', 'verify');
  expect(verified).toMatchObject({ from, depth: 'signatures' });
});

test('a snapshot can be brought on a disk, and is believed no more than a peer', async () => {
  await join(dave);
  const file = dave.at('state');
  const { height } = await cluster.json<ChainSnapshotOutput>(3, 'chain', 'snapshot', file);
  const bent = readFileSync(file);
  const at = Math.floor(bent.length / 2);
  bent[at] = bent[at]! ^ 1;
  writeFileSync(dave.at('bent'), bent);
  expect((await dave.run('chain', 'import', dave.at('bent'))).exit).toBe(65);
  const imported = await dave.json<ChainImportOutput>('chain', 'import', file);
  expect(imported).toMatchObject({ kind: 'snapshot', before: 0, height });
  expect((await dave.start()).exit).toBe(0);
  const later = await putFinal(cluster, 1, 'later', 'after dave came');
  await dave.client(60_000).call('node.wait', {
    query: { for: `height=${later.height}`, timeoutMs: 60_000 },
  });
  const { from } = await dave.client().call('chain.prune', { body: { keep: KEEP, dryRun: true } });
  expect(from).toBe(height + 1);
});
