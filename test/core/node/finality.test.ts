/** Own versions become final, or are refused, and readers see what is final. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeMessage } from '../../../src/core/kb/messages.ts';
import { createIntent, type Move, type SignedIntent } from '../../../src/core/model/intent.ts';
import type { SignedVersion } from '../../../src/core/model/version.ts';
import { ContentStore } from '../../../src/core/storage/content-store.ts';
import { contextOf } from '../../helpers/names.ts';
import { versionOf } from '../kb/authors.ts';
import { ana, bea, log, TestNode } from './support/node.ts';
import { CLUSTER_ID } from './support/test-chain.ts';

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

const makeNode = (more: { recordMs?: number } = {}) => TestNode.make({ content, ...more });

const final = { wait: 'final' };
const bytesOf = (text: string): Uint8Array => Buffer.from(text);

const changeOf = ({ cid, version }: SignedVersion): Move => {
  const { path, parents, generation } = version;
  return { path, version: cid, parents, generation };
};

const intentWith = (sequence: number, changes: readonly Move[]): SignedIntent =>
  createIntent(
    { author: bea.nodeId, sequence, time: 1, changes },
    contextOf(CLUSTER_ID),
    bea.signer,
  );

/** What bea asked for. */
const intentOf = (sequence: number, ...versions: SignedVersion[]): SignedIntent =>
  intentWith(sequence, versions.map(changeOf));

const headsOf = (node: TestNode, path: string) =>
  node.chain.ref(path)?.heads.map((head) => head.version.toString());

const hear = (node: TestNode, ...versions: SignedVersion[]): void => {
  const bytes = versions.map((version) => version.bytes);
  const body = encodeMessage({ type: 'versions', versions: bytes, isMore: false });
  node.hear({ type: 'message', from: bea.nodeId, body });
};

test('a put resolves when its version is final, and readers see it with its height', async () => {
  const node = await makeNode();
  const put = await node.put('a.md', bytesOf('one'), final);
  expect(put).toMatchObject({ created: true, height: 1, wait: 'final', generation: 1 });
  expect(put.intent).toMatch(/^[0-9a-f]{64}$/);
  const read = await node.get('a.md', { linearizable: true });
  expect(read).toEqual({ text: 'one', final: true, height: 1, version: put.version });
  const again = await node.put('a.md', bytesOf('one'), final);
  expect(again).toMatchObject({ created: false, version: put.version, height: 1, intent: null });
});

test('without a quorum a put is queued, and repeating it waits for the same version', async () => {
  const node = await makeNode();
  node.chain.isQuick = false;
  const slow = { ...final, timeoutMs: 50 };
  await expect(node.put('a.md', bytesOf('one'), slow)).rejects.toMatchObject({
    code: 'NOT_FINAL',
    exit: 75,
    details: { version: expect.any(String), intent: expect.any(String) },
  });
  await expect(node.put('a.md', bytesOf('one'), slow)).rejects.toMatchObject({ code: 'NOT_FINAL' });
  expect(node.machine.graph.size).toBe(1);
  expect(node.chain.pending()).toHaveLength(1);
  const waiting = node.put('a.md', bytesOf('one'), final);
  node.decide();
  expect(await waiting).toMatchObject({ created: false, height: 1 });
});

test('what is not final is shown only to those who ask for it', async () => {
  const node = await makeNode();
  node.chain.isQuick = false;
  const { version } = await node.put('a.md', bytesOf('one'));
  await expect(node.get('a.md')).rejects.toMatchObject({
    code: 'NOT_FOUND',
    hint: expect.stringContaining('--provisional'),
  });
  const provisional = await node.get('a.md', { provisional: true });
  expect(provisional).toEqual({ text: 'one', final: false, height: null, version });
  await expect(node.get('b.md')).rejects.toMatchObject({
    hint: expect.not.stringContaining('--provisional'),
  });
});

test('versions that wait build on each other, and become final in their order', async () => {
  const node = await makeNode();
  node.chain.isQuick = false;
  const first = await node.put('a.md', bytesOf('one'));
  const second = await node.put('a.md', bytesOf('two'));
  expect(second.generation).toBe(2);
  const waiting = node.put('a.md', bytesOf('two'), final);
  node.decide();
  expect(await waiting).toMatchObject({ version: second.version, created: false, height: 1 });
  const heads = node.chain.ref('a.md')?.heads.map((head) => head.version.toString());
  expect(heads).toEqual([second.version]);
  expect(await node.get('a.md')).toMatchObject({ text: 'two', final: true });
  expect(await node.get(`a.md@${first.version}`)).toMatchObject({ text: 'one', final: true });
});

test('a version that another forestalled is refused, and nothing is built on it', async () => {
  const node = await makeNode();
  node.chain.isQuick = false;
  const other = versionOf(bea, { path: 'a.md', sequence: 1 });
  const waiting = node.put('a.md', bytesOf('mine'), { ...final, ifVersion: 'none' });
  waiting.catch(() => {});
  await expect.poll(() => node.chain.pending().length).toBe(1);
  node.decide(intentOf(1, other));
  await expect(waiting).rejects.toMatchObject({ code: 'EXISTS', exit: 73 });

  hear(node, other);
  node.chain.isQuick = true;
  const next = await node.put('a.md', bytesOf('next'), final);
  expect(next).toMatchObject({ generation: 2, height: 2 });
  const parents = node.machine.graph.get(next.version)?.version.parents.map(String);
  expect(parents).toEqual([other.cidText]);
  expect(await node.get('a.md')).toMatchObject({ text: 'next', final: true, height: 2 });
});

test('a caller who expects a version is refused by what is final, not by old news', async () => {
  const node = await makeNode();
  const { version } = await node.put('a.md', bytesOf('one'), final);
  const expecting = (ifVersion: string) =>
    node.put('a.md', bytesOf('two'), { ...final, ifVersion });
  await expect(expecting('none')).rejects.toMatchObject({ code: 'EXISTS' });
  node.chain.answersReads = false;
  // Whether it is old news cannot be known without a quorum.
  await expect(expecting('none')).rejects.toMatchObject({ code: 'TIMEOUT', exit: 75 });
  node.chain.answersReads = true;
  expect(await expecting(version)).toMatchObject({ height: 2, created: true });
  expect(node.machine.graph.size).toBe(2);
});

test('a version that is final and not here is waited for', async () => {
  const node = await makeNode();
  const other = versionOf(bea, { path: 'a.md', sequence: 1 });
  node.decide(intentOf(1, other));
  await expect.poll(() => node.chain.height).toBe(1);
  await expect(node.get('a.md', { timeoutMs: 50 })).rejects.toMatchObject({
    code: 'NOT_REACHABLE',
    exit: 75,
  });
  const waiting = node.put('a.md', bytesOf('next'), final);
  hear(node, other);
  expect(await waiting).toMatchObject({ generation: 2 });
});

test('a path that was moved to a version without a record can be written anew', async () => {
  const node = await makeNode({ recordMs: 20 });
  await node.put('a.md', bytesOf('one'), final);
  const [head] = node.chain.ref('a.md')!.heads;
  const nowhere = versionOf(bea, { path: 'a.md', sequence: 9 });
  const poison = { ...changeOf(nowhere), parents: [head!.version], generation: 2 };
  node.decide(intentWith(1, [poison]));
  await expect.poll(() => node.chain.height).toBe(2);
  await expect(node.get('a.md', { timeoutMs: 60 })).rejects.toMatchObject({
    code: 'NOT_REACHABLE',
    details: { version: nowhere.cidText },
    hint: expect.stringContaining('aegis kb put'),
  });
  const expecting = (ifVersion: string) =>
    node.put('a.md', bytesOf('one'), { ...final, ifVersion });
  await expect(expecting('none')).rejects.toMatchObject({ code: 'EXISTS' });
  const next = await expecting(nowhere.cidText);
  expect(next).toMatchObject({ created: true, height: 3 });
  expect(headsOf(node, 'a.md')).toEqual([next.version]);
  expect(await node.get('a.md')).toMatchObject({ text: 'one', height: 3 });
});

test('a head without a record hides no other, and the next version puts it away', async () => {
  const node = await makeNode({ recordMs: 20 });
  const first = await node.put('a.md', bytesOf('one'), final);
  const nowhere = versionOf(bea, { path: 'a.md', sequence: 9 });
  node.decide(intentWith(1, [{ ...changeOf(nowhere), generation: 2 }]));
  await expect.poll(() => headsOf(node, 'a.md')?.length).toBe(2);
  expect(await node.get('a.md')).toMatchObject({ text: 'one', version: first.version });
  const next = await node.put('a.md', bytesOf('one'), final);
  expect(next).toMatchObject({ created: true, generation: 2 });
  expect(headsOf(node, 'a.md')).toEqual([next.version]);
});

test('a record of something else than the head says is not shown', async () => {
  const node = await makeNode({ recordMs: 20 });
  const other = versionOf(bea, { path: 'other.md', sequence: 1 });
  const own = versionOf(bea, { path: 'b.md', sequence: 2 });
  hear(node, other, own);
  const first = await node.put('c.md', bytesOf('one'), final);
  const parents = node.chain.ref('c.md')!.heads.map((head) => head.version);
  node.decide(
    intentWith(1, [
      { ...changeOf(other), path: 'a.md' },
      { ...changeOf(own), deleted: true },
      { ...changeOf(own), path: 'c.md', parents, generation: 2, deleted: true },
    ]),
  );
  await expect.poll(() => node.chain.height).toBe(2);
  const error = { code: 'NOT_FOUND', exit: 66 };
  await expect(node.get('a.md')).rejects.toMatchObject({
    ...error,
    message: expect.stringContaining(other.cidText),
  });
  await expect(node.get('b.md')).rejects.toMatchObject(error);
  await expect(node.get('c.md')).rejects.toMatchObject(error);
  // Also after a deletion of which there is no record.
  const next = await node.put('c.md', bytesOf('one'), { ...final, ifVersion: 'none' });
  expect(next.version).not.toBe(first.version);
  expect(await node.get('c.md')).toMatchObject({ text: 'one', version: next.version });
});

test('of several heads all nodes show the same one', async () => {
  const node = await makeNode();
  const one = versionOf(bea, { path: 'a.md', sequence: 1, time: 2000 });
  const two = versionOf(bea, { path: 'a.md', sequence: 2, time: 1000 });
  hear(node, one, two);
  node.decide(intentOf(1, one), intentOf(2, two));
  await expect.poll(() => node.chain.height).toBe(1);
  const head = await node.finality.head('a.md', new AbortController().signal);
  expect(head?.cidText).toBe(one.cidText);
});

test('linearizable reads need a quorum, and are never provisional', async () => {
  const node = await makeNode();
  await node.put('a.md', bytesOf('one'), final);
  const both = { linearizable: true, provisional: true };
  await expect(node.get('a.md', both)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  node.chain.answersReads = false;
  await expect(node.get('a.md', { linearizable: true })).rejects.toMatchObject({
    code: 'TIMEOUT',
    exit: 75,
  });
  expect(await node.get('a.md')).toMatchObject({ text: 'one' });
});

test('own versions that never became an intent are queued, others are left alone', async () => {
  const node = await makeNode();
  const own = [1, 2].map((sequence) => versionOf(ana, { path: `p${sequence}`, sequence }));
  for (const version of own) node.machine.graph.add(version);
  const { version } = await node.put('done', bytesOf('done'), final);
  const done = node.machine.graph.get(version)!;
  expect(await node.finality.submitMissing([...own, done])).toBe(2);
  expect(await node.finality.submitMissing([...own, done])).toBe(0);
  await expect.poll(() => node.chain.ref('p2')?.heads.length).toBe(1);
});

test('a forgotten own version becomes final right after its parent, or not at all', async () => {
  const node = await makeNode();
  const first = await node.put('a.md', bytesOf('one'), final);
  const parents = [node.machine.graph.get(first.version)!.cid];
  const facts = { path: 'a.md', parents, generation: 2 };
  const forgotten = versionOf(ana, { ...facts, sequence: 2 });
  node.machine.graph.add(forgotten);
  const other = versionOf(bea, { ...facts, sequence: 1 });
  hear(node, other);
  node.decide(intentOf(1, other));
  await expect.poll(() => node.chain.height).toBe(2);
  expect(await node.finality.submitMissing([forgotten])).toBe(1);
  await expect.poll(() => node.desk.recent().at(-1)?.receipt.result).toBe('refused');
  const heads = node.chain.ref('a.md')?.heads.map((head) => head.version.toString());
  expect(heads).toEqual([other.cidText]);
});
