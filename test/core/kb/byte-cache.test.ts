import { expect, test } from 'vitest';
import { ByteCache } from '../../../src/core/kb/byte-cache.ts';

test('what is used stays, what is not goes, and it never holds more than it may', () => {
  const cache = new ByteCache<number>(1000);
  cache.set('used', 1, 10);
  for (let i = 0; i < 10_000; i += 1) {
    cache.set(`${i}`, i, 10);
    expect(cache.get('used')).toBe(1);
  }
  const kept = Array.from({ length: 10_000 }, (_, i) => cache.get(`${i}`));
  const left = kept.filter((value) => value !== undefined);
  expect(left.length).toBeLessThanOrEqual(100);
  expect(left.at(-1)).toBe(9999);
});

test('what is deleted or replaced is not found again, and its bytes are free', () => {
  const cache = new ByteCache<string>(1000);
  for (let i = 0; i < 1000; i += 1) {
    cache.set('a', `${i}`, 400);
    cache.set('b', 'b', 50);
    expect([cache.get('a'), cache.get('b')]).toEqual([`${i}`, 'b']);
    cache.delete('a');
    expect(cache.get('a')).toBeUndefined();
  }
});
