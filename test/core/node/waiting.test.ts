/** Promises for later outcomes. */
import { expect, test } from 'vitest';
import { Waiting } from '../../../src/core/node/waiting.ts';

const never = new AbortController().signal;

test('the first value that is accepted ends the wait', async () => {
  const waiting = new Waiting<number>();
  const wait = waiting.wait('a', (value) => value >= 2, never);
  waiting.tell('b', 5);
  waiting.tell('a', 1);
  waiting.tell('a', 2);
  waiting.tell('a', 3);
  expect(await wait).toBe(2);
});

test('several may wait for the same', async () => {
  const waiting = new Waiting<number>();
  const waits = [1, 2].map(() => waiting.wait('a', () => true, never));
  waiting.tell('a', 7);
  expect(await Promise.all(waits)).toEqual([7, 7]);
});

test('an aborted wait rejects with the reason, also when it was aborted before', async () => {
  const waiting = new Waiting<number>();
  const controller = new AbortController();
  const wait = waiting.wait('a', () => true, controller.signal);
  controller.abort(new Error('enough'));
  await expect(wait).rejects.toThrow('enough');
  await expect(waiting.wait('a', () => true, controller.signal)).rejects.toThrow('enough');
});

test('fail ends all waits', async () => {
  const waiting = new Waiting<number>();
  const waits = ['a', 'b'].map((key) => waiting.wait(key, () => true, never));
  waiting.fail(new Error('stopping'));
  const ends = await Promise.allSettled(waits);
  expect(ends.map((end) => end.status)).toEqual(['rejected', 'rejected']);
});
