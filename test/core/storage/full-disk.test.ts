import { join } from 'node:path';
import { expect, test } from 'vitest';
import { needs } from '../../helpers/needs.ts';
import { acknowledged, canMount, smallDisk, startWriter } from './support/child.ts';
import { openChain, openContent, randomBlock, scratch } from './support/stores.ts';

const refusals = (lines: readonly string[]): string[] =>
  lines.filter((line) => line.startsWith('refused'));

const noDisk = 'full disk tests';
/** A real full file system where we may mount one; SQLite's own limit is tested everywhere. */
test.skipIf(!needs('unshare', noDisk) || !canMount())(
  'a full disk refuses, and recovers',
  async () => {
    const dir = await scratch();
    const writer = startWriter(dir, 'fill', smallDisk(dir, '8m'));
    await writer.until(() => refusals(writer.lines).length === 2);
    expect(refusals(writer.lines)).toEqual(['refused DISK_FULL', 'refused DISK_FULL']);
    expect(acknowledged(writer.lines, 'content').length).toBeGreaterThan(3);
    const before = writer.lines.length;
    writer.child.stdin.write('free\n');
    await writer.until((line) => line === 'closed');
    expect(acknowledged(writer.lines.slice(before), 'chain')).toEqual(['latera', 'laterb']);
    expect(acknowledged(writer.lines.slice(before), 'content').length).toBe(3);
  },
);

test('a full content database refuses whole calls, and takes others later', async () => {
  const store = await openContent(join(await scratch(), 'content.db'), { maxPages: 128 });
  const kept = [];
  for (let refused = false; !refused; ) {
    const blocks = [randomBlock(300_000), randomBlock(300_000)];
    try {
      await store.put(blocks, { verify: true });
      kept.push(...blocks);
    } catch (error) {
      expect(error).toMatchObject({ code: 'DISK_FULL', exit: 75, retryable: true });
      expect(await store.has(blocks.map(({ cid }) => cid))).toEqual([false, false]);
      refused = true;
    }
  }
  const cids = kept.map(({ cid }) => cid);
  expect(kept.length).toBeGreaterThan(2);
  expect(await store.getMany(cids, { verify: true })).toEqual(kept.map(({ bytes }) => bytes));
  expect((await store.stat()).objects).toBe(kept.length);
  await store.delete(cids.slice(0, 4));
  const later = randomBlock(600_000);
  await store.put([later], { verify: true });
  expect(await store.get(later.cid, { verify: true })).toEqual(later.bytes);
});

test('a full chain database refuses whole batches', async () => {
  const store = await openChain(join(await scratch(), 'chain.db'), { maxPages: 64 });
  const value = new Uint8Array(20_000);
  const batch = (n: number) => ['a', 'b'].map((at) => ({ table: 't', key: `${n}${at}`, value }));
  let n = 0;
  const fill = async (): Promise<never> => {
    for (;;) {
      await store.commit(batch(n));
      n += 1;
    }
  };
  await expect(fill()).rejects.toMatchObject({ code: 'DISK_FULL' });
  expect((await store.scan('t')).length).toBe(2 * n);
  await store.commit([{ table: 't', key: '0a', value: undefined }]);
  await store.commit([{ table: 't', key: 'later', value: new Uint8Array(3) }]);
  expect(await store.get('t', 'later')).toEqual(new Uint8Array(3));
  expect(await store.get('t', '0a')).toBeUndefined();
});

test('a write that fails for another reason ends the process: nothing is built on it', async () => {
  const dir = await scratch();
  // Past this size the kernel answers EFBIG, which is neither success nor a full disk.
  const limit = 'ulimit -f 600 && exec "$@"';
  const writer = startWriter(dir, 'endless', ['sh', '-c', limit, 'sh']);
  const { code, signal } = await writer.ended;
  expect({ code, signal }).toEqual({ code: 1, signal: null });
  expect(writer.errors.join('\n')).toContain('the disk failed under');
  // And what it acknowledged before is there.
  const rows = await (await openChain(join(dir, 'chain.db'))).scan('facts');
  const keys = rows.map(({ key }) => key);
  expect(keys).toEqual(expect.arrayContaining(acknowledged(writer.lines, 'chain')));
  const stat = await (await openContent(join(dir, 'content.db'))).stat();
  expect(stat.objects).toBeGreaterThanOrEqual(acknowledged(writer.lines, 'content').length);
});
