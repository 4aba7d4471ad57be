import type { CID } from 'multiformats/cid';
import { expect, test } from 'vitest';
import { cidOf, RAW } from '../../../src/core/kb/block.ts';
import { Wants } from '../../../src/core/kb/wants.ts';
import { instant, SECOND } from '../../../src/core/units.ts';
import { blake3Hasher } from './helpers.ts';

const NOW = instant(1_000_000);
const make = (maxFetches = 8) =>
  new Wants({ maxFetches, firstMs: SECOND, maxMs: 60 * SECOND, seed: 'test' });
const always = () => true;

function add(wants: Wants, author: string, count: number): CID[] {
  const roots = Array.from({ length: count }, (_, i) =>
    cidOf(RAW, Buffer.from(`${author}/${i}`), blake3Hasher),
  );
  for (const root of roots) wants.add({ root, sizeBytes: 1, author, isRepair: false });
  return roots;
}
const authorsOf = (taken: readonly { readonly author: string }[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { author } of taken) counts[author] = (counts[author] ?? 0) + 1;
  return counts;
};

test('one author never gets all places', () => {
  const wants = make();
  add(wants, 'liar', 100);
  expect(wants.take(NOW, always).length).toBe(6);
  add(wants, 'honest', 1);
  expect(authorsOf(wants.take(NOW, always))).toEqual({ honest: 1 });
});

test('places are shared among the authors that wait', () => {
  const wants = make();
  const ofA = add(wants, 'a', 50);
  add(wants, 'b', 50);
  expect(authorsOf(wants.take(NOW, always))).toEqual({ a: 4, b: 4 });
  add(wants, 'c', 50);
  expect(wants.take(NOW, always)).toEqual([]);
  // Whoever has more than its share gives the next free place to those who have less.
  wants.failed(ofA[0]!, NOW);
  expect(authorsOf(wants.take(NOW, always))).toEqual({ c: 1 });
});

test('a place is free again after an end of any kind, and none is counted twice', () => {
  const wants = make(2);
  add(wants, 'a', 20);
  for (let i = 0; i < 20; i += 1) {
    const taken = wants.take(NOW, always);
    expect(taken.length).toBe(1);
    const { root } = taken[0]!;
    if (i % 2 === 0) wants.delete(root);
    else wants.failed(root, NOW);
    wants.failed(root, NOW);
  }
  expect(wants.size).toBe(10);
  expect(wants.take(NOW, always)).toEqual([]);
  expect(wants.nextAt(NOW)).toBeGreaterThan(NOW);
});

test('even one place goes round', () => {
  const wants = make(1);
  add(wants, 'a', 3);
  add(wants, 'b', 3);
  const seen: string[] = [];
  for (let i = 0; i < 6; i += 1) {
    const [want] = wants.take(NOW, always);
    seen.push(want!.author);
    wants.delete(want!.root);
  }
  expect(seen.toSorted()).toEqual(['a', 'a', 'a', 'b', 'b', 'b']);
  expect(wants.size).toBe(0);
});

test('every root gets its turn, also behind thousands that cannot be reached', () => {
  const wants = make();
  add(wants, 'a', 2500);
  // The latest have their turn first.
  const near = add(wants, 'a', 2501)[10]!;
  const isNear = (root: CID): boolean => root.equals(near);
  const steps = [1, 2, 3].map(() => wants.take(NOW, isNear).length);
  expect(steps.filter((count) => count > 0)).toEqual([1]);
});

test('the greatest size that any version claims is believed', () => {
  const wants = make();
  const [root] = add(wants, 'liar', 1) as [CID];
  wants.add({ root, sizeBytes: 5000, author: 'honest', isRepair: false });
  wants.add({ root, sizeBytes: 0, author: 'liar', isRepair: true });
  expect(wants.take(NOW, always).map(({ sizeBytes }) => sizeBytes)).toEqual([5000]);
});
