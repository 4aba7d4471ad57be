/** W40: what the facts call complete is compared with the content store when that is another. */
import type { CID } from 'multiformats/cid';
import { expect, test } from 'vitest';
import { lostRoots } from '../../../src/core/node/engine-knowledge.ts';
import { contentOf } from '../kb/authors.ts';

const all = Array.from({ length: 2500 }, (_, i) => contentOf(`lost ${i}`)).toSorted((a, b) =>
  a.toString() < b.toString() ? -1 : 1,
);

/** Facts that name all roots, and a store that lacks some of them. */
function made(contentId: string | undefined, lacks: (n: number) => boolean) {
  const asked: number[] = [];
  const lacking = new Set(all.filter((_, n) => lacks(n)).map(String));
  const content = {
    identity: async () => 'now',
    areComplete: async (cids: readonly CID[]) => {
      asked.push(cids.length);
      return cids.map((cid) => !lacking.has(cid.toString()));
    },
  };
  const machine = {
    contentId,
    roots: (after: string | undefined, limit: number) =>
      all.filter((cid) => after === undefined || cid.toString() > after).slice(0, limit),
  };
  const collect = async () => {
    const lost: CID[] = [];
    for await (const root of lostRoots(content, machine)) lost.push(root);
    return lost;
  };
  return { asked, lost: collect() };
}

test('a store that was compared before is not asked again', async () => {
  const { asked, lost } = made('now', () => true);
  expect(await lost).toEqual([]);
  expect(asked).toEqual([]);
});

test.each([undefined, 'before'])('another store is asked in pages (%s)', async (before) => {
  const isLost = (n: number): boolean => n % 1000 === 0 || n === 2499;
  const { asked, lost } = made(before, isLost);
  expect((await lost).map(String)).toEqual(all.filter((_, n) => isLost(n)).map(String));
  expect(asked.every((count) => count <= 1000)).toBe(true);
});
