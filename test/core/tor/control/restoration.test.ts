import { expect, test } from 'vitest';
import { Restoration } from '../../../../src/core/tor/control/restoration.ts';
import { memoryLog } from './support.ts';

/** A job that says when it begins, and ends when the test wants. */
function job(begun: string[], name: string) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const work = () => {
    begun.push(name);
    return promise;
  };
  return { work, end: resolve };
}

test('one job after the other, in the order of registration, on each connection', async () => {
  const restoration = new Restoration(memoryLog().log);
  const begun: string[] = [];
  const [one, two, three] = ['one', 'two', 'three'].map((name) => job(begun, name));
  restoration.add('one', one!.work);
  restoration.add('two', two!.work);
  const all = restoration.begin();
  // While the first one is at work: it has its turn after those before.
  restoration.add('three', three!.work);
  await expect.poll(() => begun).toEqual(['one']);
  one!.end();
  await expect.poll(() => begun).toEqual(['one', 'two']);
  two!.end();
  await all;
  three!.end();
  await expect.poll(() => begun).toEqual(['one', 'two', 'three']);
  restoration.end();
  await restoration.begin();
  expect(begun).toEqual(['one', 'two', 'three', 'one', 'two', 'three']);
});

test('a job that never ends gives way to the next one, and is told', async () => {
  const { log, lines } = memoryLog();
  const restoration = new Restoration(log, 10);
  const begun: string[] = [];
  restoration.add('stuck', job(begun, 'stuck').work);
  restoration.add('next', () => Promise.resolve(void begun.push('next')));
  await restoration.begin();
  expect(begun).toEqual(['stuck', 'next']);
  expect(lines).toEqual([expect.stringContaining('it takes longer than 10 ms')]);
});

test('what waits when the connection ends is not begun, and then begun once', async () => {
  const restoration = new Restoration(memoryLog().log);
  const begun: string[] = [];
  const slow = job(begun, 'slow');
  restoration.add('slow', slow.work);
  restoration.add('later', () => Promise.resolve(void begun.push('later')));
  const first = restoration.begin();
  await expect.poll(() => begun).toEqual(['slow']);
  restoration.end();
  slow.end();
  await first;
  expect(begun).toEqual(['slow']);
  await restoration.begin();
  expect(begun).toEqual(['slow', 'slow', 'later']);
});
