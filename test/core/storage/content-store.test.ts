import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { blake3 } from '@noble/hashes/blake3.js';
import fc from 'fast-check';
import { CID } from 'multiformats/cid';
import { create } from 'multiformats/hashes/digest';
import { expect, test } from 'vitest';
import { openContentReadOnly } from '../../../src/core/storage/content-readonly.ts';
import { GET_MANY_BYTES_MAX } from '../../../src/core/storage/content-store.ts';
import { KIB, MIB } from '../../../src/core/units.ts';
import { blockOf, openContent, randomBlock, scratch } from './support/stores.ts';

const open = async () => {
  const path = join(await scratch(), 'content.db');
  return { path, store: await openContent(path) };
};

test('what is put can be read, is counted once, and goes when it is deleted', async () => {
  const { store } = await open();
  const blocks = [randomBlock(0), randomBlock(10), randomBlock(200 * KIB), randomBlock(3 * MIB)];
  await store.put(blocks, { verify: true });
  await store.put(blocks, { verify: true });
  const cids = blocks.map(({ cid }) => cid);
  expect(await store.getMany(cids, { verify: true })).toEqual(blocks.map(({ bytes }) => bytes));
  const sizeBytes = blocks.reduce((sum, { bytes }) => sum + bytes.length, 0);
  expect(await store.stat()).toEqual({ objects: 4, bytes: sizeBytes, roots: 0, pins: 0 });
  const stranger = randomBlock(5).cid;
  expect(await store.has([cids[1]!, stranger])).toEqual([true, false]);
  expect(await store.get(stranger)).toBeUndefined();
  await store.delete([...cids.slice(0, 2), stranger]);
  expect(await store.has(cids)).toEqual([false, false, true, true]);
  expect((await store.stat()).objects).toBe(2);
});

test('any blocks come back as they were, in the order of the question', async () => {
  const { store } = await open();
  const contents = fc.array(fc.uint8Array({ maxLength: 5000 }), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(contents, fc.constantFrom('blake3', 'sha2-256'), async (all, hash) => {
      const blocks = all.map((bytes) => blockOf(bytes, hash));
      await store.put(blocks, { verify: true });
      const cids = blocks.map(({ cid }) => cid).toReversed();
      expect(await store.getMany(cids)).toEqual(all.toReversed());
    }),
    { numRuns: 50 },
  );
});

test('leaves are named by their hash, as raw CIDs', async () => {
  const { store } = await open();
  const chunks = [new Uint8Array(3), new Uint8Array(2 * MIB).fill(7), new Uint8Array()];
  const expected = chunks.map((chunk) => CID.createV1(0x55, create(0x1e, blake3(chunk))));
  const cids = await store.addLeaves(chunks, 'blake3');
  expect(cids.map(String)).toEqual(expected.map(String));
  expect((await store.get(cids[1]!))?.length).toBe(2 * MIB);
});

test('one false block keeps the whole call out, and is named', async () => {
  const { store } = await open();
  const [good, bad] = [randomBlock(100), randomBlock(100 * KIB)];
  const lie = { cid: bad.cid, bytes: randomBlock(100 * KIB).bytes };
  const refused = store.put([good, lie], { verify: true });
  await expect(refused).rejects.toMatchObject({
    code: 'BAD_HASH',
    message: expect.stringContaining(bad.cid.toString()),
    details: { cid: bad.cid.toString() },
  });
  expect((await store.stat()).objects).toBe(0);
  // Its neighbours in time are not concerned.
  const calls = [store.put([good], { verify: true }), store.put([lie], { verify: true })];
  expect((await Promise.allSettled(calls)).map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
  ]);
  expect(await store.has([good.cid, bad.cid])).toEqual([true, false]);
});

test('only 32-byte blake3 and sha2-256 name objects', async () => {
  const { store } = await open();
  for (const digest of [create(0x00, new Uint8Array(4)), create(0x12, new Uint8Array(20))]) {
    const cid = CID.createV1(0x55, digest);
    const put = store.put([{ cid, bytes: new Uint8Array(4) }], { verify: true });
    await expect(put).rejects.toMatchObject({ code: 'BAD_DATA' });
    await expect(store.get(cid)).rejects.toMatchObject({ code: 'BAD_DATA' });
  }
});

test('the memory of the caller stays its own unless it is given away', async () => {
  const { store } = await open();
  const kept = randomBlock(MIB);
  const given = randomBlock(MIB);
  await store.put([kept], { verify: true });
  expect(kept.bytes.length).toBe(MIB);
  await store.put([given], { verify: true, transfer: true });
  expect(given.bytes.length).toBe(0);
  // A view into larger memory is copied even then: others may look at the rest of it.
  const shared = new Uint8Array(2 * MIB).fill(9);
  const view = blockOf(shared.subarray(0, MIB));
  await store.put([view], { verify: true, transfer: true });
  expect(shared.length).toBe(2 * MIB);
  expect((await store.get(view.cid))?.length).toBe(MIB);
});

test('a flipped bit is refused by a verified read, set aside, and healed by a put', async () => {
  const { path, store } = await open();
  const blocks = [randomBlock(10), randomBlock(70 * KIB), randomBlock(20)];
  const [first, second] = blocks as [(typeof blocks)[0], (typeof blocks)[0]];
  await store.put(blocks, { verify: true });
  const flipped = second.bytes.slice();
  flipped[1000]! ^= 1;
  const db = new DatabaseSync(path, { timeout: 5000 });
  const key = second.cid.multihash.bytes;
  db.prepare('UPDATE objects SET bytes = ? WHERE key = ?').run(flipped, key);
  const view = await openContentReadOnly(path);
  expect(() => view.get(second.cid)).toThrow(second.cid.toString());
  view.close();

  // A trusted read does not look; a verified one does.
  expect(await store.get(second.cid)).toEqual(flipped);
  const cids = blocks.map(({ cid }) => cid);
  await expect(store.getMany(cids, { verify: true })).rejects.toMatchObject({
    code: 'BAD_HASH',
    details: { cid: second.cid.toString() },
  });
  expect(await store.has(cids)).toEqual([true, false, true]);
  expect(db.prepare('SELECT bytes FROM damaged WHERE key = ?').get(key)).toMatchObject({
    bytes: flipped,
  });
  expect(await store.stat()).toMatchObject({ objects: 2, bytes: 30 });
  await store.put([second], { verify: true });
  expect(await store.get(second.cid, { verify: true })).toEqual(second.bytes);
  expect(await store.get(first.cid, { verify: true })).toEqual(first.bytes);
  db.close();
});

test('a put of what has rotted unseen is true: the sound bytes are stored', async () => {
  const { path, store } = await open();
  const [block, leaf] = [randomBlock(100 * KIB), randomBlock(300)];
  await store.put([block, leaf], { verify: true });
  const before = await store.stat();
  await store.close();
  const db = new DatabaseSync(path);
  db.exec('UPDATE objects SET bytes = zeroblob(length(bytes) - 1)');
  db.close();
  const again = await openContent(path);
  await again.put([block], { verify: true });
  await again.addLeaves([leaf.bytes.slice()], 'blake3');
  const found = await again.getMany([block.cid, leaf.cid], { verify: true });
  expect(found).toEqual([block.bytes, leaf.bytes]);
  expect((await again.stat()).objects).toBe(before.objects);
});

test('a stream keeps order, shows gaps, and may be left early', async () => {
  const { store } = await open();
  const blocks = Array.from({ length: 24 }, () => randomBlock(700 * KIB));
  await store.put(blocks, { verify: true });
  const missing = randomBlock(1).cid;
  const cids = [...blocks.slice(0, 9).map(({ cid }) => cid), missing, blocks[20]!.cid];
  const seen: [string, number | undefined][] = [];
  for await (const { cid, bytes } of store.stream(cids, { verify: true })) {
    seen.push([cid.toString(), bytes?.length]);
  }
  expect(seen).toEqual(
    cids.map((cid) => [cid.toString(), cid === missing ? undefined : 700 * KIB]),
  );
  for await (const { bytes } of store.stream(blocks.map(({ cid }) => cid))) {
    expect(bytes?.length).toBe(700 * KIB);
    break;
  }
  expect(await store.stream([]).next()).toEqual({ done: true, value: undefined });
});

test('one answer is limited; a stream is for more', async () => {
  const { store } = await open();
  const block = randomBlock(4 * MIB);
  await store.put([block], { verify: true });
  const most = Array.from({ length: GET_MANY_BYTES_MAX / (4 * MIB) }, () => block.cid);
  expect((await store.getMany(most)).length).toBe(most.length);
  await expect(store.getMany([...most, block.cid])).rejects.toMatchObject({ code: 'TOO_LARGE' });
});

test('roots are remembered and may change', async () => {
  const { store } = await open();
  const [a, b] = [randomBlock(1).cid, randomBlock(2).cid];
  await store.setRoot(a, { complete: false, sizeBytes: 10 });
  await store.setRoot(b, { complete: true, sizeBytes: 20 });
  await store.setRoot(a, { complete: true, sizeBytes: 11 });
  expect(await store.root(a)).toEqual({ cid: a, complete: true, sizeBytes: 11 });
  expect(await store.root(randomBlock(3).cid)).toBeUndefined();
  await store.setRoot(b, { complete: false, sizeBytes: 20 });
  expect(await store.areComplete([a, b, randomBlock(3).cid])).toEqual([true, false, false]);
  expect((await store.stat()).roots).toBe(2);
});

test('a closed store says so; another reader works with it open and closed', async () => {
  const { path, store } = await open();
  const block = randomBlock(100);
  await store.put([block], { verify: true });
  for (const close of [() => Promise.resolve(), () => store.close()]) {
    await close();
    const view = await openContentReadOnly(path);
    expect(view.get(block.cid)).toEqual(block.bytes);
    expect(view.has(randomBlock(3).cid)).toBe(false);
    expect(view.stat().objects).toBe(1);
    view.close();
  }
  await expect(store.get(block.cid)).rejects.toMatchObject({ code: 'STOPPING' });
  await expect(openContentReadOnly(`${path}.none`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
