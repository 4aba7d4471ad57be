import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AegisError } from '../../../src/core/errors.ts';
import type { Move } from '../../../src/core/model/intent.ts';
import { ContentStore } from '../../../src/core/storage/content-store.ts';
import { versionOf } from '../kb/authors.ts';
import { ana, log, TestNode } from './support/node.ts';

let dir: string;
let content: ContentStore;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-node-'));
  content = await ContentStore.open(join(dir, 'content.db'), { log });
});
afterAll(async () => {
  await content.close();
  rmSync(dir, { recursive: true, force: true });
});

const makeNode = (pendingMax = 100) => TestNode.make({ content, pendingMax });

const { signal } = new AbortController();

const changeOf = (path: string, sequence = 1): Move => {
  const { cid: version } = versionOf(ana, { path, sequence });
  return { path, version, parents: [], generation: 1 };
};

test('intents are numbered in their order, and repeating one changes nothing', async () => {
  const { desk, chain } = await makeNode();
  chain.isQuick = false;
  const [a, b] = await desk.submit([[changeOf('a')], [changeOf('b')]]);
  expect([a!.sequence, b!.sequence]).toEqual([1, 2]);
  const [again, c] = await desk.submit([[changeOf('a')], [changeOf('c')]]);
  expect(again).toEqual(a);
  expect(c!.sequence).toBe(3);
  expect(desk.allPending().map(({ id }) => id)).toEqual([a!.id, b!.id, c!.id]);
});

test('what is decided is told, at once to whoever repeats it', async () => {
  const node = await makeNode();
  node.chain.isQuick = false;
  const [queued] = await node.desk.submit([[changeOf('a')]]);
  const decided = node.desk.wait(queued!, signal);
  node.decide();
  expect(await decided).toMatchObject({ id: queued!.id, height: 1, result: 'done' });
  const [again] = await node.desk.submit([[changeOf('a')]]);
  expect(again).toMatchObject({ sequence: 1, receipt: { height: 1 } });
  expect(node.desk.pendingCount).toBe(0);
  expect(node.desk.recent()).toHaveLength(1);
});

test('all of a request are queued or none', async () => {
  const { desk, chain } = await makeNode(2);
  chain.isQuick = false;
  const three = ['a', 'b', 'c'].map((path) => [changeOf(path)]);
  await expect(desk.submit(three)).rejects.toMatchObject({ code: 'BUSY' });
  expect(chain.pending()).toEqual([]);
  await desk.submit(three.slice(1));
  await expect(desk.submit([[changeOf('a')]])).rejects.toMatchObject({ code: 'BUSY' });
  // What is queued already needs no room.
  await expect(desk.submit(three.slice(1))).resolves.toHaveLength(2);
});

test('one of a request that is too long leaves nothing of the others behind', async () => {
  const { desk } = await makeNode();
  const long = Array.from({ length: 256 }, (_, n) => changeOf(`${n}/${'long'.repeat(100)}`));
  await expect(desk.submit([[changeOf('a')], long])).rejects.toMatchObject({ code: 'TOO_LARGE' });
  expect(desk.pendingCount).toBe(0);
  expect(desk.lastPending('a')).toBeUndefined();
  const [queued] = await desk.submit([[changeOf('a')]]);
  expect(queued!.sequence).toBe(1);
});

test('what the chain refuses leaves no gap in the sequence', async () => {
  const { desk, chain } = await makeNode();
  chain.refusal = new AegisError('BUSY', 'no room');
  await expect(desk.submit([[changeOf('a')]])).rejects.toMatchObject({ code: 'BUSY' });
  chain.refusal = undefined;
  const [queued] = await desk.submit([[changeOf('b')]]);
  expect(queued!.sequence).toBe(1);
  expect(await desk.wait(queued!, signal)).toMatchObject({ result: 'done' });
});

test('a cancelled intent gives up its place, and whoever waits for it hears of it', async () => {
  const node = await makeNode();
  const { desk, chain } = node;
  chain.isQuick = false;
  const [queued] = await desk.submit([[changeOf('a')]]);
  const waiting = desk.wait(queued!, signal);
  waiting.catch(() => {});
  const cancelled = desk.cancel(queued!.id, signal);
  await expect.poll(() => chain.pending()[0]?.signed.intent.changes.length).toBe(0);
  node.decide();
  expect((await cancelled).id).not.toBe(queued!.id);
  await expect(waiting).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(chain.ref('a')).toBeUndefined();
  // It was taken back: what was never decided is not asked for again by itself.
  const { version } = changeOf('a');
  expect(await node.finals.get(version.toString())).toMatchObject({ result: 'refused' });
  await expect(desk.cancel(queued!.id, signal)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a wait ends with its signal, and the intent stays queued', async () => {
  const { desk, chain } = await makeNode();
  chain.isQuick = false;
  const [queued] = await desk.submit([[changeOf('a')]]);
  const controller = new AbortController();
  const waiting = desk.wait(queued!, controller.signal);
  controller.abort(new AegisError('TIMEOUT', 'enough'));
  await expect(waiting).rejects.toMatchObject({ code: 'TIMEOUT' });
  expect(desk.pending(queued!.id)).toBeDefined();
});

test('what waits is signed anew when the identity key changes, under the same ids', async () => {
  const node = await makeNode();
  const { desk, chain } = node;
  chain.isQuick = false;
  const queued = await desk.submit([[changeOf('a')], [changeOf('b')]]);
  const epochs = () => chain.pending().map(({ signed }) => signed.intent.keyEpoch);
  expect(epochs()).toEqual([0, 0]);
  node.retire();
  await expect.poll(epochs).toEqual([1, 1]);
  expect(desk.allPending().map(({ id }) => id)).toEqual(queued.map(({ id }) => id));
  const decided = Promise.all(queued.map((one) => desk.wait(one, signal)));
  node.decide();
  expect((await decided).map(({ result }) => result)).toEqual(['done', 'done']);
  expect(desk.pendingCount).toBe(0);
  const [next] = await desk.submit([[changeOf('c')]]);
  expect(next!.sequence).toBe(3);
  expect(epochs()).toEqual([1]);
});

test('what a signer that is away cannot sign anew is signed when it is back', async () => {
  const node = await makeNode();
  const { desk, chain } = node;
  chain.isQuick = false;
  await desk.submit([[changeOf('a')]]);
  node.author.isAway = true;
  node.retire();
  await expect(desk.submit([[changeOf('b')]])).rejects.toMatchObject({
    code: 'SIGNER_UNREACHABLE',
  });
  node.author.isAway = false;
  desk.tell({ type: 'finalised', receipts: [] } as unknown as Parameters<typeof desk.tell>[0]);
  await expect.poll(() => chain.pending()[0]?.signed.intent.keyEpoch).toBe(1);
});
