import fc from 'fast-check';
import { expect, it } from 'vitest';
import { firstDifference } from '../../../src/core/node/first-difference.ts';

async function* cut(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

it('finds the first byte that differs, however both are cut', async () => {
  const bytes = fc.uint8Array({ max: 2, maxLength: 20 });
  const length = fc.integer({ min: 1, max: 7 });
  await fc.assert(
    fc.asyncProperty(bytes, bytes, length, length, async (a, b, x, y) => {
      let expected = 0;
      while (expected < Math.min(a.length, b.length) && a[expected] === b[expected]) expected += 1;
      expect(await firstDifference(cut(a, x), cut(b, y))).toBe(expected);
    }),
  );
});

it('ends both streams where it stops', async () => {
  let open = 0;
  async function* counted(bytes: readonly number[]): AsyncGenerator<Uint8Array> {
    open += 1;
    try {
      for (const byte of bytes) yield Uint8Array.of(byte);
    } finally {
      open -= 1;
    }
  }
  expect(await firstDifference(counted([1, 2, 3]), counted([1, 9, 9]))).toBe(1);
  expect(open).toBe(0);
});
