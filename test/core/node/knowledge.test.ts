/** What `put` promises: nothing is said before it is durable, and every put comes to an end. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { TABLES } from '../../../src/core/kb/store.ts';
import { ContentStore } from '../../../src/core/storage/content-store.ts';
import { versionOf } from '../kb/authors.ts';
import { ana, bea, log, type NodeOptions, TestNode } from './support/node.ts';

/** A node over a content store of its own. */
async function makeNode(options: Omit<NodeOptions, 'content'> = {}): Promise<TestNode> {
  const dir = mkdtempSync(join(tmpdir(), 'aegis-knowledge-'));
  const content = await ContentStore.open(join(dir, 'content.db'), { log });
  onTestFinished(async () => {
    await content.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return await TestNode.make({ content, ...options });
}

test('the same content again is not acknowledged before its version is durable', async () => {
  const node = await makeNode();
  const bytes = randomBytes(100);
  node.isFull = true;
  await expect(node.put('a', bytes)).rejects.toMatchObject({ code: 'DISK_FULL' });
  // The graph shows the version by now; the disk does not have it.
  expect(node.machine.graph.shown('a')).toBeDefined();
  await expect(node.put('a', bytes)).rejects.toMatchObject({ code: 'DISK_FULL' });
  node.isFull = false;
  const { version, created } = await node.put('a', bytes);
  expect(created).toBe(false);
  const durable = node.written.filter(({ table }) => table === TABLES.versions);
  expect(durable.map(({ key }) => key)).toEqual([version]);
});

test('a put that the graph has no room for fails, and so does not hold up the next', async () => {
  const node = await makeNode({ limits: { maxVersions: 1 } });
  node.machine.graph.add(versionOf(bea, { path: 'b', sequence: 1 }));
  await expect(node.put('a', randomBytes(10))).rejects.toMatchObject({ code: 'BUSY' });
  await expect(node.put('c', randomBytes(10))).rejects.toMatchObject({ code: 'BUSY' });
});

test('a peer that claims versions of this node has to prove them', async () => {
  const forged = versionOf(bea, { path: 'x', sequence: 9_000_000, author: bea.nodeId });
  const node = await makeNode({ ask: () => forged.bytes });
  await expect(node.put('a', randomBytes(10))).resolves.toMatchObject({ created: true });
});

test('a node that lacks a version of its own does not write until it has it back', async () => {
  const own = versionOf(ana, { path: 'x', sequence: 1 });
  const node = await makeNode({ ask: () => own.bytes });
  await expect(node.put('a', randomBytes(10))).rejects.toMatchObject({ code: 'TRY_AGAIN' });
  node.machine.graph.add(own);
  await expect(node.put('a', randomBytes(10))).resolves.toMatchObject({ created: true });
});

test('a wait for copies that can never be is refused at once', async () => {
  const node = await makeNode();
  const two = { wait: 'replicated', replicas: 2 };
  await expect(node.put('a', randomBytes(10), two)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  const one = { wait: 'replicated', replicas: 1 };
  await expect(node.put('a', randomBytes(10), one)).resolves.toMatchObject({ created: true });
});

test('while versions are held nothing is signed, and writes wait their turn', async () => {
  const node = await makeNode();
  await node.put('a', Buffer.from('one'));
  const hold = await node.knowledge.holdVersions();
  expect(hold.versions).toBe(1);
  await expect(node.put('a', Buffer.from('two'), { timeoutMs: 30 })).rejects.toMatchObject({
    code: 'TRY_AGAIN',
    message: expect.stringContaining('changes its identity key'),
  });
  const waiting = node.put('a', Buffer.from('three'));
  expect((await node.get('a', { provisional: true })).text).toBe('one');
  expect(node.machine.graph.nextSequence(ana.nodeId)).toBe(2);
  node.author.keyEpoch = 1;
  hold.release();
  expect(await waiting).toMatchObject({ created: true, generation: 2 });
  const [, last] = [...node.machine.graph.author(ana.nodeId).between(1, 2)];
  expect(last?.version).toMatchObject({ sequence: 2, keyEpoch: 1 });
  // Whoever gave up has written nothing.
  expect(node.machine.graph.nextSequence(ana.nodeId)).toBe(3);
});

test('what is begun is written, also when its caller has no time left', async () => {
  const node = await makeNode();
  const put = node.put('a', Buffer.from('one'), { timeoutMs: 1 });
  await put.catch(() => {});
  await expect.poll(() => node.machine.graph.nextSequence(ana.nodeId)).toBe(2);
});

test('nothing is signed that an entry which is handed in does not seal', async () => {
  const node = await makeNode();
  await node.put('a', Buffer.from('one'));
  node.sealed = 1;
  await expect(node.put('a', Buffer.from('two'))).rejects.toMatchObject({ code: 'TRY_AGAIN' });
  expect(node.machine.graph.nextSequence(ana.nodeId)).toBe(2);
  node.sealed = undefined;
  expect(await node.put('a', Buffer.from('two'))).toMatchObject({ created: true });
});

test('a hold begins when what is being written is written', async () => {
  const node = await makeNode();
  const written = node.put('a', Buffer.from('one'));
  await written;
  const [hold, put] = [node.knowledge.holdVersions(), node.put('b', Buffer.from('two'))];
  const { versions, release } = await hold;
  expect(versions).toBe(node.machine.graph.nextSequence(ana.nodeId) - 1);
  release();
  await put;
  const again = await node.knowledge.holdVersions();
  expect(again.versions).toBe(2);
  again.release();
});
