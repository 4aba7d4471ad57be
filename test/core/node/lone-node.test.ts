/** A cluster of one: its chain, seen through the API of a real node. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { Client } from '../../../src/core/api/client/client.ts';
import { type HomePaths, resolveHome } from '../../../src/core/config/home.ts';
import { type RunningNode, startNode } from '../../../src/core/node/daemon.ts';
import { ChainStore } from '../../../src/core/storage/chain-store.ts';
import { versionOf } from '../kb/authors.ts';
import { makeCluster, PASSPHRASE } from './support/homes.ts';
import { ana } from './support/node.ts';

let dir: string;
let paths: HomePaths;
let node: RunningNode;
let client: Client;

async function start(vouch = false, env: Record<string, string> = {}): Promise<void> {
  node = await startNode({ paths, passphrase: PASSPHRASE, version: '0.0.0', env, vouch });
  const token = readFileSync(paths.adminToken, 'utf8').trim();
  client = new Client({ socket: paths.socket, token, timeoutMs: 20_000 });
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-lone-'));
  await makeCluster(dir, 'alone');
  paths = resolveHome({ home: join(dir, 'alone'), env: {} });
  await start();
});
afterAll(async () => {
  await node.stop();
  rmSync(dir, { recursive: true, force: true });
});

const changeOf = (path: string, more: object = {}) => ({
  path,
  version: versionOf(ana, { path, sequence: 1 }).cidText,
  ...more,
});

const submit = (path: string, more: object = {}, rest: object = {}) =>
  client.call('intents.submit', {
    body: { intents: [{ changes: [changeOf(path, more)] }], ...rest },
  });

async function* document(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

test('an intent is decided, shown with its proof, and the same again is the same', async () => {
  const { intents } = await submit('raw');
  const [fate] = intents;
  expect(fate).toMatchObject({ status: 'final', height: 1, result: 'done', sequence: 1 });
  expect((await submit('raw')).intents).toEqual(intents);
  const shown = await client.call('intents.show', { params: { id: fate!.id.slice(0, 10) } });
  expect(shown).toMatchObject({ id: fate!.id, height: 1, changes: [{ path: 'raw' }] });
  expect(shown.proof).toMatchObject({ index: 0, intents: 1, siblings: [] });
  const listed = await client.call('intents.list');
  expect(listed).toMatchObject({ pending: 0, intents: [{ id: fate!.id, status: 'final' }] });
  const cancelled = await client.call('intents.cancel', { params: { id: fate!.id } });
  expect(cancelled).toMatchObject({ outcome: 'too-late', height: 1 });
});

test('what was refused may be asked for again', async () => {
  const { cidText: expected } = versionOf(ana, { path: 'other', sequence: 9 });
  const [first] = (await submit('cas', { expected })).intents;
  expect(first).toMatchObject({ status: 'final', result: 'refused', reason: 'conflict' });
  const [second] = (await submit('cas', { expected })).intents;
  expect(second).toMatchObject({ id: first!.id, result: 'refused' });
  expect(second!.sequence).toBe(first!.sequence + 1);
});

test('status, blocks, validators and explanation agree', async () => {
  const status = await client.call('consensus.status');
  const { height } = status;
  expect(status).toMatchObject({ role: 'custodian', quorum: 1, isVoting: true, phase: 'idle' });
  const { blocks, next } = await client.call('consensus.blocks', { query: { limit: 2 } });
  expect(blocks.map((block) => block.height)).toEqual([height, height - 1]);
  expect(next).toBe(height > 2 ? height - 2 : null);
  const block = await client.call('consensus.block', { params: { id: String(height) } });
  expect(block).toMatchObject({ height, digest: status.digest, sizeBytes: blocks[0]!.sizeBytes });
  expect(block.previous).toBe(blocks[1]!.digest);
  expect(block.certificate.signers).toHaveLength(1);
  const { validators } = await client.call('consensus.validators');
  expect(validators).toMatchObject([{ self: true, connected: true, lastSignedHeight: height }]);
  const explained = await client.call('consensus.explain', { params: { id: String(height) } });
  expect(explained).toMatchObject({ state: 'final', signers: [{ name: 'alone' }], absent: [] });
  expect(explained.views).toMatchObject([{ outcome: 'final', proposed: true }]);
  const open = await client.call('consensus.explain', { params: { id: String(height + 1) } });
  expect(open).toMatchObject({ state: 'open', digest: null });
  expect(await client.call('consensus.evidence')).toMatchObject({ evidence: [], total: 0 });
  for (const id of [height + 1, 0]) {
    const asked = client.call('consensus.block', { params: { id: String(id) } });
    await expect(asked).rejects.toMatchObject({ code: 'NOT_FOUND' });
  }
});

test('a height is shown once its block is durable, and can be read then', async () => {
  const { height, digest } = await client.call('consensus.status');
  const gate = Promise.withResolvers<void>();
  const { commit } = ChainStore.prototype;
  const slow = vi.spyOn(ChainStore.prototype, 'commit').mockImplementation(async function (
    this: ChainStore,
    entries,
  ) {
    await gate.promise;
    await commit.call(this, entries);
  });
  onTestFinished(() => {
    gate.resolve();
    slow.mockRestore();
  });
  const submitted = submit('slowly');
  // Alone it needs nobody to agree, so that in memory the block is final soon.
  const early = client.call('node.wait', {
    query: { for: `height=${height + 1}`, timeoutMs: 500 },
  });
  await expect(early).rejects.toMatchObject({ code: 'TIMEOUT' });
  expect(await client.call('consensus.status')).toMatchObject({ height, digest });
  const page = await client.call('consensus.blocks', { query: { limit: 1 } });
  expect(page).toMatchObject({ height, blocks: [{ height }] });
  const waiting = client.call('node.wait', { query: { for: `height=${height + 1}` } });
  gate.resolve();
  await waiting;
  const params = { id: String(height + 1) };
  expect(await client.call('consensus.block', { params })).toMatchObject({ height: height + 1 });
  await submitted;
});

test('watchers are told of blocks, and a wait for a height ends with it', async () => {
  const { height } = await client.call('consensus.status');
  const waiting = client.call('node.wait', { query: { for: `height=${height + 1}` } });
  const controller = new AbortController();
  const seen: unknown[] = [];
  for await (const event of client.events({ signal: controller.signal })) {
    if (event.type === 'snapshot') {
      expect(event.consensus).toMatchObject({ height });
      expect(event.blocks.at(-1)).toMatchObject({ height, absent: [] });
      expect(event.custodians).toMatchObject([{ name: 'alone' }]);
      await submit('watched');
    } else if (event.type === 'block') {
      seen.push(event.block.height);
      break;
    }
  }
  controller.abort();
  expect(seen).toEqual([height + 1]);
  await waiting;
});

test('after a restart the chain, receipts and heights are there', async () => {
  const put = await client.put({ path: 'kept.md' }, { kind: 'file', bytes: document('kept') });
  expect(put.height).toBeGreaterThan(0);
  const before = await client.call('consensus.status');
  await node.stop();
  await start();
  const after = await client.call('consensus.status');
  expect([after.height, after.digest]).toEqual([before.height, before.digest]);
  const { versions } = await client.call('kb.log', { query: { path: 'kept.md' } });
  expect(versions).toMatchObject([{ final: true, height: put.height, shown: true }]);
  const shown = await client.call('intents.show', { params: { id: put.intent! } });
  expect(shown).toMatchObject({ height: put.height, result: 'done' });
});

test('old blocks go while the node runs: when they are told to, and by themselves', async () => {
  const first = await submit('first');
  for (let n = 0; n < 140; n += 1) await submit(`many/${n}`);
  const { height } = await client.call('consensus.status');
  const planned = await client.call('chain.prune', { body: { keep: 128, dryRun: true } });
  const base = height - 127;
  expect(planned).toMatchObject({ from: 1, base, height, blocks: base - 1, dryRun: true });
  expect(planned.bytesAfter).toBe(planned.bytesBefore);
  const done = await client.call('chain.prune', { body: { keep: 128 } });
  expect(done).toMatchObject({ from: 1, base, height, blocks: base - 1, dryRun: false });
  expect(done.bytesAfter).toBeLessThan(done.bytesBefore);
  await expect(client.call('consensus.block', { params: { id: '1' } })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  expect(await client.call('consensus.block', { params: { id: String(base) } })).toMatchObject({
    height: base,
  });
  // What became of its intents is gone with a block, what they have done is not.
  await node.stop();
  await start(false, { AEGIS_CHAIN_KEEP_BLOCKS: '128' });
  const { id } = first.intents[0]!;
  await expect(client.call('intents.show', { params: { id } })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  const { versions } = await client.call('kb.log', { query: { path: 'kept.md' } });
  expect(versions).toMatchObject([{ final: true, shown: true }]);
  for (let n = 0; n < 70; n += 1) await submit(`more/${n}`);
  const pruned = async () =>
    await client.call('chain.prune', { body: { keep: 128, dryRun: true } });
  await vi.waitUntil(async () => (await pruned()).from > base, { timeout: 10_000 });
  const { blocks } = await client.call('consensus.blocks', { query: { limit: 1 } });
  expect(blocks[0]).toMatchObject({ height: height + 70 });
});

test('a home that lost its votes stays silent until an operator vouches for it', async () => {
  await node.stop();
  await rm(paths.chainDb);
  await start();
  const status = await client.call('consensus.status');
  expect(status).toMatchObject({ height: 0, isVoting: false });
  expect(status.doubt).toContain('--vouch');
  const [fate] = (await submit('silent', {}, { timeoutMs: 300 })).intents;
  expect(fate).toMatchObject({ status: 'pending', height: null });
  await node.stop();
  await start();
  expect((await client.call('consensus.status')).isVoting).toBe(false);
  await node.stop();
  await start(true);
  expect(await client.call('consensus.status')).toMatchObject({ isVoting: true, doubt: null });
  await client.call('node.wait', { query: { for: 'height=1' } });
  await node.stop();
  await start();
  expect(await client.call('consensus.status')).toMatchObject({ isVoting: true, doubt: null });
});
