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

test('what kept roots reach stays, by shared leaves and other formats; all else goes', async () => {
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

/** A writer of a file that counts on some of its leaves: those that it has stored, or found. */
interface Writing {
  readonly lease: ReturnType<ContentStore['lease']>;
  readonly counted: Set<CID>;
}

/** Writers and collections of five files that share five leaves. */
class Mix {
  readonly #content: ContentStore;
  readonly #files: readonly (readonly Block[])[];
  readonly #kept = new Set<number>();
  readonly #writing = new Map<number, Writing>();
  #collection: Collection | undefined;

  constructor(content: ContentStore, files: readonly (readonly Block[])[]) {
    this.#content = content;
    this.#files = files;
  }

  async step(type: (typeof STEPS)[number], n: number): Promise<void> {
    const file = this.#files[n]!;
    const leaves = file.slice(1);
    if (type === 'put') {
      const { lease, counted } = this.#open(n);
      await lease.put(leaves, { verify: true });
      for (const { cid } of leaves) counted.add(cid);
    } else if (type === 'find') {
      const { lease, counted } = this.#open(n);
      const found = await lease.has(leaves.map(({ cid }) => cid));
      for (const [at, { cid }] of leaves.entries()) if (found[at] === true) counted.add(cid);
    } else if (type === 'name') await this.#name(n, file);
    else if (type === 'drop') this.#kept.delete(n);
    else if (type === 'mark') await this.#mark();
    else if (type === 'forget') await (this.#collection && forgetAll(this.#collection));
    else if (type === 'sweep') await this.#collection?.sweep(false);
    else await this.end();
  }

  async end(): Promise<void> {
    await this.#collection?.end();
    this.#collection = undefined;
  }

  /** All that is kept or counted on is here; lets go of it. */
  async check(): Promise<void> {
    for (const n of this.#kept) {
      const cids = this.#files[n]!.map(({ cid }) => cid);
      expect(await this.#content.has(cids)).toEqual(cids.map(() => true));
      expect(await this.#content.root(cids[0]!)).toMatchObject({ complete: true });
    }
    for (const { lease, counted } of this.#writing.values()) {
      expect(await this.#content.has([...counted])).toEqual([...counted].map(() => true));
      lease.release();
    }
  }

  #open(n: number): Writing {
    const known = this.#writing.get(n);
    const writing = known ?? { lease: this.#content.lease({ isBound: false }), counted: new Set() };
    this.#writing.set(n, writing);
    return writing;
  }

  /** Stores only what it does not count on. */
  async #name(n: number, file: readonly Block[]): Promise<void> {
    const { lease, counted } = this.#open(n);
    await store(
      {
        put: (blocks, options) =>
          lease.put(
            blocks.filter(({ cid }) => !counted.has(cid)),
            options,
          ),
        setRoot: (cid, root) => lease.setRoot(cid, root),
      },
      file,
    );
    this.#kept.add(n);
    lease.release();
    this.#writing.delete(n);
  }

  async #mark(): Promise<void> {
    await this.end();
    this.#collection = await this.#content.collect();
    const roots = [...this.#kept].map((n) => rootOf(this.#files[n]!));
    await this.#collection.keep(roots, true);
    expect(await follow(this.#collection)).toEqual([]);
  }
}

const STEPS = ['put', 'find', 'name', 'drop', 'mark', 'forget', 'sweep', 'sweep', 'end'] as const;

test('no order of writing and collecting takes what is kept or being written', async () => {
  const content = await open();
  const leaves = Array.from({ length: 5 }, (_, n) => randomBlock(50 + n));
  const files = leaves.map((leaf, n) => fileOf([leaf, leaves[(n + 2) % 5]!]));
  const step = fc.record({ type: fc.constantFrom(...STEPS), n: fc.nat(4) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 40 }), async (steps) => {
      // Garbage from before: what is put or found may be here already.
      await content.put(leaves, { verify: true });
      const mix = new Mix(content, files);
      for (const { type, n } of steps) await mix.step(type, n);
      await mix.end();
      await mix.check();
      await collect(content, []);
      expect(await content.stat()).toEqual({ objects: 0, bytes: 0, roots: 0, pins: 0 });
    }),
    { numRuns: 100 },
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

test('above the quota bound writes are refused, above the reserve all are', async () => {
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

test('kill -9 within a collection leaves a sound store with all that is kept', async () => {
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
