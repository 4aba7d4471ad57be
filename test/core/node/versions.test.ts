/** What an operator does with versions, on a cluster of one, through the API of a real node. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TreeEntry } from '../../../src/core/api/backend.ts';
import { Client } from '../../../src/core/api/client/client.ts';
import type { Reply } from '../../../src/core/api/contract/endpoints.ts';
import type { KbWatchRecord } from '../../../src/core/api/contract/kb-versions.ts';
import { packTar } from '../../../src/core/api/tar.ts';
import { resolveHome } from '../../../src/core/config/home.ts';
import { type RunningNode, startNode } from '../../../src/core/node/daemon.ts';
import { makeCluster, PASSPHRASE } from './support/homes.ts';

let dir: string;
let node: RunningNode;
let client: Client;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-versions-'));
  await makeCluster(dir, 'alone');
  const paths = resolveHome({ home: join(dir, 'alone'), env: {} });
  node = await startNode({ paths, passphrase: PASSPHRASE, version: '0.0.0', env: {} });
  const token = readFileSync(paths.adminToken, 'utf8').trim();
  client = new Client({ socket: paths.socket, token, timeoutMs: 20_000 });
});
afterAll(async () => {
  await node.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function* bytesOf(content: string | Uint8Array): AsyncGenerator<Uint8Array> {
  yield Buffer.from(content);
}

const put = (path: string, content: string | Uint8Array) =>
  client.put({ path }, { kind: 'file', bytes: bytesOf(content) });

async function* treeOf(files: Readonly<Record<string, string>>): AsyncGenerator<TreeEntry> {
  for (const [path, content] of Object.entries(files)) {
    const sizeBytes = Buffer.byteLength(content);
    yield { path, kind: 'file', sizeBytes, bytes: bytesOf(content) };
  }
}

const putTree = (path: string, files: Readonly<Record<string, string>>) =>
  client.put({ path }, { kind: 'directory', bytes: packTar(treeOf(files)) });

const putEach = (prefix: string, files: Readonly<Record<string, string>>) =>
  client.putEach({ prefix }, { kind: 'directory', bytes: packTar(treeOf(files)) });

async function read(path: string): Promise<string> {
  const { bytes } = await client.content({ path });
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const listed = async (prefix: string): Promise<string[]> =>
  (await client.call('kb.ls', { query: { prefix, recursive: true } })).entries.map(
    ({ path }) => path,
  );

test('a deleted path is listed no more, keeps its history, and comes back', async () => {
  const first = await put('w2/a', 'one');
  const gone = await client.call('kb.rm', { body: { path: 'w2/a' } });
  expect(gone).toMatchObject({ created: true, cid: first.cid, generation: 2 });
  expect(gone.height).toBeGreaterThan(first.height!);
  expect(await listed('w2/')).toEqual([]);
  await expect(read('w2/a')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const { versions } = await client.call('kb.log', { query: { path: 'w2/a' } });
  expect(versions.map(({ deleted }) => deleted)).toEqual([true, false]);
  const again = await client.call('kb.rm', { body: { path: 'w2/a' } });
  expect(again).toMatchObject({ created: false, version: gone.version });
  const back = await client.call('kb.revert', { body: { path: 'w2/a' } });
  expect(back).toMatchObject({ created: true, cid: first.cid, from: first.version, generation: 3 });
  expect(await read('w2/a')).toBe('one');
  await expect(client.call('kb.rm', { body: { path: 'w2/none' } })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

test('a deletion and a reversion hold to the version that was read', async () => {
  const first = await put('w2/cas', 'one');
  await put('w2/cas', 'two');
  const stale = { path: 'w2/cas', ifVersion: first.version };
  await expect(client.call('kb.rm', { body: stale })).rejects.toMatchObject({ code: 'EXISTS' });
  await expect(client.call('kb.revert', { body: stale })).rejects.toMatchObject({ code: 'EXISTS' });
  expect(await read('w2/cas')).toBe('two');
});

test('a reversion has the content of the version before, or of the one that is named', async () => {
  const first = await put('w3', 'one');
  const second = await put('w3', 'two');
  const back = await client.call('kb.revert', { body: { path: 'w3' } });
  expect(back).toMatchObject({ from: first.version, cid: first.cid, created: true });
  const named = `w3@${second.version}`;
  expect(await client.call('kb.revert', { body: { path: named } })).toMatchObject({
    from: second.version,
    generation: 4,
  });
  expect(await read('w3')).toBe('two');
  expect(await read(`w3@${first.version.slice(-12)}`)).toBe('one');
  // It shows that already.
  const same = await client.call('kb.revert', { body: { path: named } });
  expect(same).toMatchObject({ created: false, generation: 4 });
  await put('w3/only', 'one');
  await expect(client.call('kb.revert', { body: { path: 'w3/only' } })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  const gone = await client.call('kb.rm', { body: { path: 'w3/only' } });
  const deletion = { path: `w3/only@${gone.version}` };
  await expect(client.call('kb.revert', { body: deletion })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

const diff = (a: string, b: string, more: object = {}) =>
  client.call('kb.diff', { query: { a, b, ...more } });

test('texts differ by line, JSON by key, other contents by their first byte', async () => {
  await put('w5/a.txt', 'one\ntwo\nthree\n');
  const b = await put('w5/b.txt', 'one\n2\nthree\n');
  const text = await diff('w5/a.txt', 'w5/b.txt', { context: 1 });
  const hunk = { aLine: 1, aLines: 3, bLine: 1, bLines: 3 };
  expect(text).toMatchObject({
    same: false,
    files: [
      {
        at: '',
        status: 'changed',
        difference: { type: 'text', hunks: [{ ...hunk, lines: [' one', '-two', '+2', ' three'] }] },
      },
    ],
  });
  expect(await diff('w5/b.txt', b.cid)).toMatchObject({ same: true, files: [] });
  await put('w5/a.json', '{"port":80,"host":"a"}');
  await put('w5/b.json', '{"port":8080,\n"host":"a"}');
  const [json] = (await diff('w5/a.json', 'w5/b.json')).files;
  expect(json!.difference).toEqual({
    type: 'json',
    members: [{ pointer: '/port', a: '80', b: '8080' }],
  });
  const [forced] = (await diff('w5/a.json', 'w5/b.json', { as: 'text' })).files;
  expect(forced!.difference).toMatchObject({ type: 'text' });
  await expect(diff('w5/a.txt', 'w5/b.txt', { as: 'json' })).rejects.toMatchObject({
    code: 'BAD_REQUEST',
  });
  await put('w5/a.bin', Buffer.from([1, 2, 0, 3]));
  await put('w5/b.bin', Buffer.from([1, 2, 0]));
  const [binary] = (await diff('w5/a.bin', 'w5/b.bin')).files;
  expect(binary).toMatchObject({ difference: { type: 'bytes', offset: 3 } });
});

test('directories differ by entry, and inside', async () => {
  const before = await putTree('w5/tree', { 'a.txt': 'a\n', 'sub/b.txt': 'b\n', 'sub/c': 'c' });
  await putTree('w5/tree', { 'a.txt': 'a\n', 'sub/b.txt': 'B\n', d: 'd' });
  const { files } = await diff(`w5/tree@${before.version}`, 'w5/tree');
  expect(files).toMatchObject([
    { at: 'd', status: 'added', a: null, b: { kind: 'file', sizeBytes: 1 } },
    { at: 'sub/b.txt', status: 'changed', difference: { type: 'text' } },
    { at: 'sub/c', status: 'removed', b: null },
  ]);
  const inside = await diff(`w5/tree@${before.version}/sub`, 'w5/a.txt').catch(() => undefined);
  expect(inside).toBeUndefined();
  expect(await diff('w5/tree/a.txt', 'w5/tree')).toMatchObject({
    files: [{ at: '', a: { kind: 'file' }, b: { kind: 'directory' }, difference: null }],
  });
  await expect(diff('w5/tree', 'w5/nothing')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('who watches is told what becomes final under a prefix, from ready on', async () => {
  await put('w6/before', 'one');
  const records: KbWatchRecord[] = [];
  const done = new AbortController();
  for await (const record of client.watch({ prefix: 'w6/' }, { signal: done.signal })) {
    if (record.type === 'heartbeat') continue;
    records.push(record);
    if (record.type === 'ready') {
      await put('w6-not', 'one');
      await put('w6/a', 'one');
      await client.call('kb.rm', { body: { path: 'w6/a' } });
    }
    if (records.length === 3) break;
  }
  expect(records).toMatchObject([
    { type: 'ready', schema: 'aegis.kb.watch/1', prefix: 'w6/' },
    { type: 'change', path: 'w6/a', deleted: false, merge: false },
    { type: 'change', path: 'w6/a', deleted: true },
  ]);
});

test('each file of a directory is a path of its own, and again changes nothing', async () => {
  const files = Object.fromEntries(
    Array.from({ length: 600 }, (_, n) => [`d${n % 7}/f${n}`, `content ${n % 50}`]),
  );
  const put1 = await putEach('w4/', files);
  expect(put1).toMatchObject({ prefix: 'w4/', paths: 600, created: 600, unchanged: 0 });
  expect(put1.intents.length).toBeLessThan(20);
  expect(put1.height).toBeGreaterThan(0);
  expect(await read('w4/d3/f10')).toBe('content 10');
  const put2 = await putEach('w4/', { ...files, 'd0/f0': 'new' });
  expect(put2).toMatchObject({ paths: 600, created: 1, unchanged: 599 });
  expect(await read('w4/d0/f0')).toBe('new');
  const { versions } = await client.call('kb.log', { query: { path: 'w4/d0/f0' } });
  expect(versions).toMatchObject([{ final: true }, { final: true }]);
});

test('each of many files is sealed under a key of its own, and again is the same', async () => {
  const files = { a: 'the same', b: 'the same' };
  const source = () => ({ kind: 'directory' as const, bytes: packTar(treeOf(files)) });
  const query = { prefix: 'sealed/', encryptTo: 'alone' };
  expect(await client.putEach(query, source())).toMatchObject({ paths: 2, created: 2 });
  expect(await read('sealed/a')).toBe('the same');
  const [a, b] = await Promise.all(
    ['sealed/a', 'sealed/b'].map((path) => client.call('kb.stat', { query: { path } })),
  );
  expect([a!.sealed, b!.sealed]).toEqual([true, true]);
  // One that is shredded takes no other along.
  expect(a!.cid).not.toBe(b!.cid);
  expect(await client.putEach(query, source())).toMatchObject({ created: 0, unchanged: 2 });
});

test('paths and versions come by pages', async () => {
  const all = (await listed('w4/')).toSorted();
  const pages: string[] = [];
  for (let after: string | null = ''; after !== null; ) {
    const query = { prefix: 'w4/', recursive: true, limit: 250, after };
    const page: Reply<'kb.ls'> = await client.call('kb.ls', { query });
    pages.push(...page.entries.map(({ path }) => path));
    after = page.next;
  }
  expect(pages).toEqual(all);
  expect(pages).toHaveLength(600);
  const direct = await client.call('kb.ls', { query: { prefix: 'w4/' } });
  expect(direct.prefixes).toEqual(Array.from({ length: 7 }, (_, n) => `w4/d${n}/`));
  for (const text of ['a', 'b', 'c', 'd', 'e']) await put('w4/log', text);
  const one = await client.call('kb.log', { query: { path: 'w4/log', limit: 3 } });
  expect(one.versions.map(({ generation }) => generation)).toEqual([5, 4, 3]);
  const query = { path: 'w4/log', limit: 3, before: one.next! };
  const two = await client.call('kb.log', { query });
  expect(two.versions.map(({ generation }) => generation)).toEqual([2, 1]);
  expect(two).toMatchObject({ next: null, heads: 1 });
});
