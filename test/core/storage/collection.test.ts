import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { encode as encodeCbor } from '@ipld/dag-cbor';
import fc from 'fast-check';
import type { CID } from 'multiformats/cid';
import { expect, test } from 'vitest';
import { type Block, blockOf as blockIn } from '../../../src/core/kb/block.ts';
import { FileDag } from '../../../src/core/kb/unixfs.ts';
import type { Collection } from '../../../src/core/storage/collection.ts';
import type { ContentStore } from '../../../src/core/storage/content-store.ts';
import { createHasher } from '../../../src/core/storage/hasher.ts';
import { KIB, MIB } from '../../../src/core/units.ts';
import { acknowledged, startWriter } from './support/child.ts';
import { blockOf, openContent, randomBlock, scratch } from './support/stores.ts';

const hasher = await createHasher('blake3');
const DAG_CBOR = 0x71;

const open = async (): Promise<ContentStore> =>
  await openContent(join(await scratch(), 'content.db'));

/** A file whose leaves are the given ones: the root, then the leaves. */
function fileOf(leaves: readonly Block[]): Block[] {
  const dag = new FileDag();
  for (const { cid, bytes } of leaves) dag.addLeaf(cid, bytes.length);
  const { blocks } = dag.finish(hasher);
  return [...blocks.toReversed(), ...leaves];
}

const rootOf = (blocks: readonly Block[]): CID => blocks[0]!.cid;

async function store(content: Pick<ContentStore, 'put' | 'setRoot'>, blocks: readonly Block[]) {
  await content.put(blocks, { verify: true });
  await content.setRoot(rootOf(blocks), { complete: true, sizeBytes: 1 });
}

async function follow(collection: Collection): Promise<CID[]> {
  const broken: CID[] = [];
  for (let left = 1; left > 0; ) {
    const followed = await collection.follow();
    broken.push(...followed.broken);
    left = followed.left;
  }
  return broken;
}

async function sweep(collection: Collection, isDry = false) {
  let [objects, bytes] = [0, 0];
  for (let isDone = false; !isDone; ) {
    const swept = await collection.sweep(isDry);
    objects += swept.objects;
    bytes += swept.bytes;
    isDone = swept.isDone;
  }
  return { objects, bytes };
}

async function forgetAll(collection: Collection): Promise<string[]> {
  const names: string[] = [];
  for (let next: number | undefined = 0; next !== undefined; ) {
    const page = await collection.unkept(next);
    await collection.forget(page.roots);
    names.push(...page.roots.map(String));
    next = page.next;
  }
  return names;
}

async function collect(content: ContentStore, kept: readonly CID[]) {
  const collection = await content.collect();
  await collection.keep(kept, true);
  expect(await follow(collection)).toEqual([]);
  await forgetAll(collection);
  const swept = await sweep(collection);
  while ((await collection.giveBack(64)) > 0);
  await collection.end();
  return swept;
}

test('what kept roots reach stays, through shared leaves and other formats; all else goes', async () => {
  const content = await open();
  const leaves = [1, 2, 3, 4].map((n) => randomBlock(n * 100));
  const kept = fileOf(leaves.slice(0, 3));
  const shared = fileOf(leaves.slice(2));
  const lone = randomBlock(7000);
  // The bytes of a node may also stand somewhere as a leaf: what hangs below it stays all the same.
  const inside = fileOf([lone, randomBlock(8000)]);
  const nodeAsLeaf = blockOf(inside[0]!.bytes);
  const sealed = blockIn(
    DAG_CBOR,
    encodeCbor({ a: { b: [nodeAsLeaf.cid] }, c: rootOf(inside) }),
    hasher,
  );
  await store(content, kept);
  await store(content, shared);
  await store(content, [sealed, ...inside]);
  const before = await content.stat();
  expect(await collect(content, [rootOf(kept), sealed.cid])).toEqual({
    objects: 2,
    bytes: shared[0]!.bytes.length + 400,
  });
  const all = [...kept, sealed, ...inside].map(({ cid }) => cid);
  expect(new Set(await content.has(all))).toEqual(new Set([true]));
  expect(await content.root(rootOf(shared))).toBeUndefined();
  expect(await content.root(rootOf(kept))).toMatchObject({ complete: true });
  const after = await content.stat();
  expect(after).toMatchObject({ objects: before.objects - 2, roots: 2 });
});

test('a count is not a collection', async () => {
  const content = await open();
  await store(content, fileOf([randomBlock(10), randomBlock(20)]));
  const collection = await content.collect();
  const counted = await sweep(collection, true);
  await collection.end();
  expect(counted).toMatchObject({ objects: 3 });
  expect(await content.stat()).toMatchObject({ objects: 3, roots: 1 });
});

test('there is one collection at a time, and none without a beginning', async () => {
  const content = await open();
  const collection = await content.collect();
  await expect(content.collect()).rejects.toMatchObject({ code: 'BUSY' });
  await collection.end();
  await expect(collection.follow()).rejects.toMatchObject({ code: 'BUSY' });
  await (await content.collect()).end();
});

test('a kept root that lacks an object, or has a damaged node, is told', async () => {
  const content = await open();
  const [whole, holed] = [
    fileOf([randomBlock(1), randomBlock(2)]),
    fileOf([randomBlock(3), randomBlock(4)]),
  ];
  await store(content, whole);
  await store(content, holed);
  await content.delete([holed[1]!.cid]);
  const collection = await content.collect();
  // One that is being fetched may lack anything, and must not hide what the other lacks.
  await collection.keep([rootOf(holed)], false);
  await follow(collection);
  await collection.keep([rootOf(whole), rootOf(holed)], true);
  expect((await follow(collection)).map(String)).toEqual([String(rootOf(holed))]);
  await collection.end();
});

test('what a lease covers stays, whenever it began and whatever it found', async () => {
  const content = await open();
  const [old, found, fresh] = [randomBlock(100), randomBlock(200), randomBlock(300)];
  await content.put([old, found], { verify: true });
  const lease = content.lease({ isBound: false });
  expect(await lease.has([found.cid])).toEqual([true]);
  await lease.put([fresh], { verify: true });
  expect(await collect(content, [])).toEqual({ objects: 1, bytes: 100 });
  lease.release();
  expect(await collect(content, [])).toEqual({ objects: 2, bytes: 500 });
});

test('a lease that comes while garbage goes keeps what is still there', async () => {
  const content = await open();
  const file = fileOf(
    Array.from({ length: 1500 }, (_, n) =>
      blockOf(new Uint8Array(9).fill(n, 0, 1 + (n % 8)).fill(n >> 8, 8)),
    ),
  );
  const roots = new Map(file.map((block) => [String(block.cid), block]));
  await content.put([...roots.values()], { verify: true });
  const collection = await content.collect();
  await collection.sweep(false);
  // The fetcher's way: the lease first, then a look at what is here, then the rest comes anew.
  const lease = content.lease({ root: rootOf(file), isBound: false });
  const cids = [...roots.values()].map(({ cid }) => cid);
  const here = await lease.has(cids);
  expect(new Set(here)).toEqual(new Set([true, false]));
  const missing = [...roots.values()].filter((_, n) => here[n] === false);
  await lease.put(missing, { verify: true });
  await sweep(collection);
  await lease.setRoot(rootOf(file), { complete: true, sizeBytes: 1 });
  await collection.end();
  lease.release();
  expect(await content.has(cids)).toEqual(cids.map(() => true));
});

/** Steps of writers and of collections, in any order. */
const STEPS = [
  'begin',
  'put',
  'again',
  'name',
  'drop',
  'follow',
  'forget',
  'sweep',
  'end',
] as const;

test('no order of writing and collecting takes what is kept or being written', async () => {
  const content = await open();
  const leaves = Array.from({ length: 12 }, (_, n) => randomBlock(50 + n));
  const files = leaves.map((_, n) =>
    fileOf([leaves[n]!, leaves[(n * 5 + 1) % 12]!, leaves[(n + 3) % 12]!]),
  );
  const step = fc.record({ type: fc.constantFrom(...STEPS), n: fc.nat(11) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const kept = new Set<number>();
      const leased = new Map<number, ReturnType<ContentStore['lease']>>();
      let collection: Collection | undefined;
      let isMarked = false;
      const end = async () => {
        await collection?.end();
        collection = undefined;
        isMarked = false;
      };
      for (const { type, n } of steps) {
        const file = files[n]!;
        if (type === 'put' && !leased.has(n)) {
          leased.set(n, content.lease({ isBound: false }));
          await leased.get(n)!.put(file.slice(1), { verify: true });
        } else if (type === 'again' && leased.has(n)) {
          await leased.get(n)!.put(file, { verify: true });
          await leased.get(n)!.setRoot(rootOf(file), { complete: true, sizeBytes: 1 });
        } else if (type === 'name' && leased.has(n)) {
          await leased.get(n)!.put(file, { verify: true });
          await leased.get(n)!.setRoot(rootOf(file), { complete: true, sizeBytes: 1 });
          kept.add(n);
          leased.get(n)!.release();
          leased.delete(n);
        } else if (type === 'drop') kept.delete(n);
        else if (type === 'begin' && collection === undefined) collection = await content.collect();
        else if (type === 'follow' && collection !== undefined && !isMarked) {
          await collection.keep(
            [...kept].map((one) => rootOf(files[one]!)),
            true,
          );
          expect(await follow(collection)).toEqual([]);
          isMarked = true;
        } else if (type === 'forget' && isMarked) await forgetAll(collection!);
        else if (type === 'sweep' && isMarked) await collection!.sweep(false);
        else if (type === 'end') await end();
      }
      await end();
      for (const n of kept) {
        const cids = files[n]!.map(({ cid }) => cid);
        expect(await content.has(cids)).toEqual(cids.map(() => true));
        expect(await content.root(cids[0]!)).toMatchObject({ complete: true });
      }
      for (const [n, lease] of leased) {
        const cids = files[n]!.slice(1).map(({ cid }) => cid);
        expect(await content.has(cids)).toEqual(cids.map(() => true));
        lease.release();
      }
      await collect(content, []);
      expect(await content.stat()).toEqual({ objects: 0, bytes: 0, roots: 0, pins: 0 });
    }),
    { numRuns: 60 },
  );
});

test('room goes back to the disk', async () => {
  const path = join(await scratch(), 'content.db');
  const content = await openContent(path);
  const blocks = Array.from({ length: 40 }, () => randomBlock(512 * KIB));
  await content.put(blocks, { verify: true });
  const { bytes: before } = await content.space();
  const kept = blocks.filter((_, n) => n % 2 === 0).map(({ cid }) => cid);
  await collect(content, kept);
  const space = await content.space();
  expect(space.freeBytes).toBe(0);
  expect(space.bytes).toBe(statSync(path).size);
  expect(space.bytes).toBeLessThan(0.55 * before);
  expect(await content.getMany(kept, { verify: true })).toHaveLength(20);
});

test('above the quota bound writes are refused, and others are not; above the reserve all are', async () => {
  const content = await open();
  await content.put([randomBlock(MIB)], { verify: true });
  const { usedBytes } = await content.space();
  await content.limit({ quotaBytes: usedBytes + MIB, reserveBytes: 0 });
  const bound = content.lease({ isBound: true });
  await bound.put([randomBlock(MIB / 2)], { verify: true });
  const chunk = () => new Uint8Array(randomBytes(MIB));
  await expect(bound.addLeaves([chunk()], 'blake3')).rejects.toMatchObject({ code: 'QUOTA' });
  const free = content.lease({ isBound: false });
  await free.addLeaves([chunk()], 'blake3');
  await content.limit({ quotaBytes: 100 * MIB, reserveBytes: Number.MAX_SAFE_INTEGER });
  for (const lease of [bound, free]) {
    const refused = lease.put([randomBlock(1)], { verify: true });
    await expect(refused).rejects.toMatchObject({ code: 'DISK_FULL' });
    lease.release();
  }
  // What is here can be read, forgotten and made room of.
  await collect(content, []);
  expect((await content.stat()).objects).toBe(0);
});

test('pins are kept by name, and are forgotten once', async () => {
  const path = join(await scratch(), 'content.db');
  const content = await openContent(path);
  const cids = [randomBlock(1).cid, randomBlock(2).cid];
  const pin = { path: null, isPublic: true, sizeBytes: 5, addedAt: 7 };
  for (const cid of cids) await content.setPin({ ...pin, cid, name: 'one' });
  await content.setPin({ ...pin, cid: cids[0]!, name: 'two', path: 'a/b' });
  expect(await content.pin(cids[0]!)).toMatchObject({ name: 'two', path: 'a/b', isPublic: true });
  const [first] = await content.pins(undefined, 1);
  const [second, none] = await content.pins(first!.cid, 5);
  expect([first, second].map((one) => String(one!.cid)).toSorted()).toEqual(
    cids.map(String).toSorted(),
  );
  expect(none).toBeUndefined();
  expect(await content.removePin(cids[1]!)).toBe(true);
  expect(await content.removePin(cids[1]!)).toBe(false);
});

test('kill -9 in the middle of a collection leaves a sound store with all that is kept', async () => {
  const dir = await scratch();
  for (let round = 0; round < 2; round += 1) {
    const writer = startWriter(dir, 'collect');
    await writer.until((line) => line.startsWith('swept 3'));
    writer.child.kill('SIGKILL');
    expect((await writer.ended).signal).toBe('SIGKILL');
    const content = await openContent(join(dir, 'content.db'));
    const kept = acknowledged(writer.lines, 'kept').map((text) => blockOf(Buffer.from(text)).cid);
    expect(kept.length).toBe(1200);
    expect((await content.getMany(kept, { verify: true })).includes(undefined)).toBe(false);
    await collect(content, kept);
    expect((await content.stat()).objects).toBe(kept.length);
    await content.close();
  }
});
