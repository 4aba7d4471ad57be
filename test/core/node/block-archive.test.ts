import { expect, test } from 'vitest';
import { blockKey, chainRow, heightKey, TABLES } from '../../../src/core/chain/rows.ts';
import { BlockArchive } from '../../../src/core/node/block-archive.ts';

const digestOf = (height: number): string => height.toString(16).padStart(64, '0');

/** Blocks of 100 bytes at the heights 1 to `count`, and which were read. */
function archiveOf(count: number, certified?: readonly number[]) {
  const read: string[] = [];
  const heights = Array.from({ length: count }, (_, n) => n + 1);
  const rows = heights.map((height) => ({
    key: heightKey(height),
    value: chainRow({
      digest: digestOf(height),
      ...(certified?.includes(height) === false ? {} : { certificate: Uint8Array.of(height) }),
    }),
  }));
  const keys = new Set(heights.map((height) => blockKey(height, digestOf(height))));
  const archive = new BlockArchive({
    range: ({ table, from, to, limit }) => {
      expect(table).toBe(TABLES.chain);
      return Promise.resolve(rows.filter(({ key }) => key >= from && key < to).slice(0, limit));
    },
    getMany: (_table, wanted) => {
      read.push(...wanted);
      return Promise.resolve(
        wanted.map((key) => (keys.has(key) ? new Uint8Array(100) : undefined)),
      );
    },
  });
  return { archive, read, keys };
}

test('what is read for a peer is little more than is sent, however much it asks for', async () => {
  const { archive, read } = archiveOf(32);
  expect((await archive.window(1, 32, 10_000))?.blocks).toHaveLength(32);
  read.length = 0;
  const window = await archive.window(1, 32, 450);
  expect(window?.blocks).toHaveLength(4);
  expect(window?.certificate).toEqual(Uint8Array.of(4));
  expect(read.length).toBeLessThanOrEqual(8);
});

test('Y1: a window ends at a certificate, also beyond what was asked for', async () => {
  const { archive } = archiveOf(12, [3, 4, 9]);
  const windowOf = async (from: number, upTo: number, maxBytes = 10_000) => {
    const window = await archive.window(from, upTo, maxBytes);
    return window && [window.blocks.length, window.certificate[0]];
  };
  expect(await windowOf(1, 12)).toEqual([9, 9]);
  expect(await windowOf(1, 8)).toEqual([4, 4]);
  expect(await windowOf(1, 2)).toEqual([3, 3]);
  expect(await windowOf(1, 12, 50)).toEqual([3, 3]);
  expect(await windowOf(10, 12)).toBeUndefined();
  expect(await windowOf(13, 20)).toBeUndefined();
});

test('blocks end at the first that is not there', async () => {
  const { archive, keys } = archiveOf(12);
  keys.delete(blockKey(7, digestOf(7)));
  expect((await archive.window(2, 12, 10_000))?.blocks).toHaveLength(5);
  expect(await archive.window(7, 12, 10_000)).toBeUndefined();
});
