import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ContentStore } from '../../../src/core/storage/content-store.ts';
import { KIB } from '../../../src/core/units.ts';
import { openContent, randomBlock, scratch } from './support/stores.ts';

const SIZE = 4 * KIB;

/** Rots behind the back of the store. */
function rot(path: string, key: Uint8Array): void {
  const db = new DatabaseSync(path, { timeout: 5000 });
  db.prepare('UPDATE objects SET bytes = zeroblob(?) WHERE key = ?').run(SIZE, key);
  db.close();
}

/** Looks at everything that is left. @returns the multihashes of what was damaged, in hex. */
async function toTheEnd(content: ContentStore, bytesMax: number): Promise<string[]> {
  const damaged: string[] = [];
  for (let isDone = false; !isDone; ) {
    const scrubbed = await content.scrub(bytesMax);
    isDone = scrubbed.isDone;
    for (const { multihash } of scrubbed.damaged) {
      damaged.push(hexOf(multihash.bytes));
    }
  }
  return damaged.toSorted((a, b) => (a < b ? -1 : 1));
}

const hexOf = (key: Uint8Array): string => Buffer.from(key).toString('hex');

test('W27: finds what is damaged, whatever the slices, and once', async () => {
  const path = join(await scratch(), 'content.db');
  const content = await openContent(path);
  const wish = fc.record({
    rotten: fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }),
    slice: fc.integer({ min: 1, max: 6 * SIZE }),
  });
  await fc.assert(
    fc.asyncProperty(wish, async ({ rotten, slice }) => {
      const blocks = rotten.map(() => randomBlock(SIZE));
      await content.put(blocks, { verify: true });
      const bad = blocks.filter((_, n) => rotten[n]).map(({ cid }) => cid.multihash.bytes);
      for (const key of bad) rot(path, key);
      const found = await toTheEnd(content, slice);
      expect(found).toEqual(bad.map(hexOf).toSorted((a, b) => (a < b ? -1 : 1)));
      const state = await content.scrubState();
      expect(state).toMatchObject({ at: 0, startedAt: undefined, doneDamaged: bad.length });
      // Set aside, so that it counts as missing.
      expect(await content.has(blocks.map(({ cid }) => cid))).toEqual(rotten.map((one) => !one));
      await content.delete(blocks.map(({ cid }) => cid));
    }),
    { numRuns: 10 },
  );
});

test('W27: goes on over a restart where it was', async () => {
  const path = join(await scratch(), 'content.db');
  const before = await openContent(path);
  const blocks = Array.from({ length: 4 }, () => randomBlock(SIZE));
  await before.put(blocks, { verify: true });
  await before.scrub(SIZE);
  await before.close();
  // It rots behind the place that has been looked at, and before it.
  for (const n of [0, 3]) rot(path, blocks[n]!.cid.multihash.bytes);
  const content = await openContent(path);
  expect(await content.scrubState()).toMatchObject({ objects: 1, bytes: SIZE });
  expect(await toTheEnd(content, SIZE)).toEqual([hexOf(blocks[3]!.cid.multihash.bytes)]);
  expect(await toTheEnd(content, SIZE)).toEqual([hexOf(blocks[0]!.cid.multihash.bytes)]);
});

test('W27: begins anew when it is asked to, and remembers what the last one found', async () => {
  const path = join(await scratch(), 'content.db');
  const content = await openContent(path);
  const blocks = Array.from({ length: 4 }, () => randomBlock(SIZE));
  await content.put(blocks, { verify: true });
  rot(path, blocks[0]!.cid.multihash.bytes);
  expect(await toTheEnd(content, SIZE)).toHaveLength(1);
  const begun = await content.scrub(SIZE);
  expect(begun).toEqual({ bytes: SIZE, damaged: [], isDone: false });
  expect(await content.scrubState()).toMatchObject({ objects: 1, doneDamaged: 1 });
  await content.restartScrub();
  const state = await content.scrubState();
  expect(state).toMatchObject({ at: 0, objects: 0, startedAt: undefined, doneDamaged: 1 });
  expect(state.doneAt).toBeDefined();
  await content.close();
});
