import { expect, test } from 'vitest';
import { blockKey, chainRow, heightKey, TABLES } from '../../../src/core/chain/rows.ts';
import { BlockArchive } from '../../../src/core/node/block-archive.ts';

const digestOf = (height: number): string => height.toString(16).padStart(64, '0');

/** Blocks of 100 bytes at the heights 1 to `count`, and which were read. */
function archiveOf(count: number) {
  const read: string[] = [];
  const heights = Array.from({ length: count }, (_, n) => n + 1);
  const rows = heights.map((height) => ({
    key: heightKey(height),
    value: chainRow({ digest: digestOf(height), certificate: Uint8Array.of(height) }),
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

test('what is read for a peer is no more than is sent, however much it asks for', async () => {
  const { archive, read } = archiveOf(32);
  expect(await archive.read(1, 32)).toHaveLength(32);
  read.length = 0;
  const blocks = await archive.read(1, 32, 450);
  expect(blocks).toHaveLength(8);
  expect(read).toHaveLength(8);
  expect(blocks.map(({ certificate }) => certificate[0])).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test('blocks end at the first that is not there', async () => {
  const { archive, keys } = archiveOf(12);
  keys.delete(blockKey(7, digestOf(7)));
  expect(await archive.read(2, 40)).toHaveLength(5);
  expect(await archive.read(9, 8)).toEqual([]);
});
