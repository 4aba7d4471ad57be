import { expect, it } from 'vitest';
import { MergeQueue, rankOf } from '../../../../src/core/kb/merge/queue.ts';
import { instant, MINUTE } from '../../../../src/core/units.ts';
import { authors } from '../authors.ts';
import { History } from './memory-objects.ts';

const history = new History();
const [a, b, c] = [0, 1, 2].map((by) => history.write(`${by}`, [], { by, time: by }));
const heads = [a!, b!];
const merge = history.merge(a!, b!);
const [ana, bea, cid, dan, eva] = authors.map(({ nodeId }) => nodeId);

/** All that is due, each tried. */
function taken(queue: MergeQueue, now: number): string[] {
  const paths: string[] = [];
  for (let path = queue.take(instant(now)); path !== undefined; path = queue.take(instant(now))) {
    paths.push(path);
    queue.tried(path, instant(now));
  }
  return paths;
}

it('authors come first, the shown one before the others, then holders, then custodians', () => {
  const who = { heads: [b!, a!], placed: [cid!, ana!], custodians: [ana!, bea!, cid!, dan!] };
  const ranks = [ana, bea, cid, dan, eva].map((nodeId) => rankOf(nodeId!, who));
  expect(ranks).toEqual([1, 0, 2, 3, undefined]);
  // Nobody is the author of a merge.
  expect(rankOf(cid!, { ...who, heads: [merge, c!] })).toBe(0);
});

it('each rank waits a step longer, and what has other heads waits anew', () => {
  const queue = new MergeQueue({ stepMs: 100 });
  queue.forked('x', heads, 2, instant(1000));
  queue.forked('y', heads, 0, instant(1000));
  expect(taken(queue, 1000)).toEqual(['y']);
  expect(queue.nextAt()).toBe(1200);
  expect(taken(queue, 1199)).toEqual([]);
  queue.forked('x', [...heads, c!], 2, instant(1150));
  expect(taken(queue, 1200)).toEqual([]);
  // The same heads in another order are no news.
  queue.forked('x', [c!, ...heads.toReversed()], 0, instant(1200));
  expect(taken(queue, 1349)).toEqual([]);
  expect(taken(queue, 1350)).toEqual(['x']);
});

it('what was tried waits ever longer, and what is settled is not tried again', () => {
  const queue = new MergeQueue({ stepMs: 100 });
  queue.forked('x', heads, 0, instant(0));
  const tries: number[] = [];
  for (let now = 0; now < 30 * MINUTE; now += 1000) {
    if (taken(queue, now).length > 0) tries.push(now / 1000);
  }
  expect(tries.slice(0, 5)).toEqual([0, 5, 15, 35, 75]);
  expect(tries.at(-1)! - tries.at(-2)!).toBe(300);
  queue.settled('x');
  expect([taken(queue, 90 * MINUTE), queue.size]).toEqual([[], 0]);
});

it('takes those first that have waited longest, and no more paths than it may', () => {
  const queue = new MergeQueue({ stepMs: 100, pathsMax: 3 });
  for (const [n, path] of ['w', 'x', 'y', 'z'].entries()) {
    queue.forked(path, heads, 3 - n, instant(0));
  }
  expect(taken(queue, 1000)).toEqual(['y', 'x', 'w']);
});
