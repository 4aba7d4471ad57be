/** What goes in comes out: importer and exporter over a real content store. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from '@ipld/dag-pb';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TreeEntry } from '../../../src/core/api/backend.ts';
import { blockOf, DAG_PB } from '../../../src/core/kb/block.ts';
import { MURMUR3, UNIXFS_TYPE } from '../../../src/core/kb/unixfs-data.ts';
import { Exporter } from '../../../src/core/node/export.ts';
import { Importer } from '../../../src/core/node/import.ts';
import type { Log } from '../../../src/core/ports.ts';
import { ContentStore } from '../../../src/core/storage/content-store.ts';
import { createHasher } from '../../../src/core/storage/hasher.ts';

const quiet: Log = { write: () => {}, child: () => quiet };
let dir: string;
let content: ContentStore;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-documents-'));
  content = await ContentStore.open(join(dir, 'content.db'), { log: quiet });
});
afterAll(async () => {
  await content.close();
  rmSync(dir, { recursive: true, force: true });
});

const importer = async (limits = {}) =>
  new Importer(limits, { content, hasher: await createHasher('blake3') });

const exporter = () =>
  new Exporter({ read: async (cids) => (await content.getMany(cids)) as Uint8Array[] });

async function* stream(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

const fileEntry = (path: string, bytes: Uint8Array): TreeEntry => ({
  path,
  kind: 'file',
  sizeBytes: bytes.length,
  bytes: stream(bytes),
});

async function* entries(files: ReadonlyMap<string, Uint8Array>): AsyncGenerator<TreeEntry> {
  for (const [path, bytes] of files) yield fileEntry(path, bytes);
}

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts);
}

async function readTree(root: Parameters<Exporter['open']>[0]): Promise<Map<string, Buffer>> {
  const opened = await exporter().open(root);
  if (opened.kind !== 'directory') throw new Error('not a directory');
  const found = new Map<string, Buffer>();
  for await (const entry of opened.entries) {
    if (entry.kind === 'file') found.set(entry.path, await collect(entry.bytes));
  }
  return found;
}

test.each([0, 1, 2 ** 20, 2 ** 20 + 1, 9 * 2 ** 20 + 7])('a file of %i bytes', async (size) => {
  const bytes = randomBytes(size);
  const { root, sizeBytes } = await (await importer()).file(stream(bytes));
  expect(sizeBytes).toBe(size);
  const opened = await exporter().open(root);
  expect(opened.kind).toBe('file');
  if (opened.kind === 'file') expect((await collect(opened.bytes)).equals(bytes)).toBe(true);
});

test('any tree of files comes back as it was', async () => {
  const name = fc.stringMatching(/^[a-z]{1,3}$/);
  const path = fc
    .array(name, { minLength: 1, maxLength: 4 })
    .map((parts) => `${parts.join('/')}.f`);
  const files = fc.dictionary(path, fc.uint8Array({ maxLength: 50 }), { maxKeys: 12 });
  await fc.assert(
    fc.asyncProperty(files, async (given) => {
      const tree = new Map(Object.entries(given));
      const { root, sizeBytes } = await (await importer()).directory(entries(tree));
      const found = await readTree(root);
      expect([...found.keys()].sort()).toEqual([...tree.keys()].sort());
      for (const [at, bytes] of tree) expect(found.get(at)!.equals(bytes)).toBe(true);
      expect(sizeBytes).toBe([...tree.values()].reduce((sum, bytes) => sum + bytes.length, 0));
    }),
    { numRuns: 30 },
  );
});

test('a directory with more names than one object can hold', async () => {
  const files = new Map<string, Uint8Array>();
  for (let i = 0; i < 6000; i += 1) files.set(`a-rather-long-name-${i}`, Buffer.from(`${i}`));
  const { root } = await (await importer()).directory(entries(files));
  expect((await exporter().describe(root)).kind).toBe('directory');
  const found = await readTree(root);
  expect(found.size).toBe(6000);
  expect(found.get('a-rather-long-name-4711')!.toString()).toBe('4711');
  const inner = await exporter().resolve(root, ['a-rather-long-name-42']);
  const opened = await exporter().open(inner);
  if (opened.kind === 'file') expect((await collect(opened.bytes)).toString()).toBe('42');
});

test('names that are not there are said', async () => {
  const files = new Map([['a/b', Buffer.from('x')]]);
  const { root } = await (await importer()).directory(entries(files));
  await expect(exporter().resolve(root, ['a', 'c'])).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(exporter().resolve(root, ['a', 'b', 'c'])).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

test('equal names, files as directories, too many and too deep are refused', async () => {
  const two = async function* () {
    yield fileEntry('a', Buffer.from('1'));
    yield fileEntry('a', Buffer.from('2'));
  };
  await expect((await importer()).directory(two())).rejects.toMatchObject({ code: 'BAD_DATA' });
  const below = async function* () {
    yield fileEntry('a', Buffer.from('1'));
    yield fileEntry('a/b', Buffer.from('2'));
  };
  await expect((await importer()).directory(below())).rejects.toMatchObject({ code: 'BAD_DATA' });
  const limited = await importer({ entriesMax: 1 });
  await expect(limited.directory(two())).rejects.toMatchObject({ code: 'TOO_LARGE' });
  const deep = new Map([[Array.from({ length: 70 }, () => 'd').join('/'), Buffer.from('x')]]);
  await expect((await importer()).directory(entries(deep))).rejects.toMatchObject({
    code: 'TOO_LARGE',
  });
});

test('equal content is one object, and counts once', async () => {
  const files = new Map([
    ['one', Buffer.from('same')],
    ['two', Buffer.from('same')],
  ]);
  const { root } = await (await importer()).directory(entries(files));
  expect(await exporter().countObjects(root)).toBe(2);
});

test('a few shards that claim endless names are refused, not followed', async () => {
  const hasher = await createHasher('blake3');
  const fanout = Uint8Array.of(0x30, 0x80, 0x02);
  const data = Uint8Array.of(0x08, UNIXFS_TYPE.hamt, 0x28, MURMUR3, ...fanout);
  let below = blockOf(DAG_PB, encode({ Data: data, Links: [] }), hasher);
  await content.put([below], { verify: true });
  for (let level = 0; level < 8; level += 1) {
    const links = Array.from({ length: 256 }, (_, i) => ({
      Hash: below.cid,
      Name: i.toString(16).toUpperCase().padStart(2, '0'),
      Tsize: 1,
    }));
    below = blockOf(DAG_PB, encode({ Data: data, Links: links }), hasher);
    await content.put([below], { verify: true });
  }
  await expect(readTree(below.cid)).rejects.toMatchObject({ code: 'BAD_DATA' });
});
