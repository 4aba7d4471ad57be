import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteGate } from '../../../src/core/storage/byte-gate.ts';

test('never more inside than allowed, in order, and everybody gets through', async () => {
  const sizes = fc.array(fc.nat({ max: 15 }), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(sizes, async (all) => {
      const gate = new ByteGate({ insideBytesMax: 10, waitingBytesMax: 1000 });
      let inside = 0;
      const entered: number[] = [];
      await Promise.all(
        all.map((size, index) =>
          gate.pass(size, async () => {
            entered.push(index);
            inside += size;
            // A single load above the limit may be inside alone.
            expect(inside <= 10 || inside === size).toBe(true);
            await Promise.resolve();
            inside -= size;
          }),
        ),
      );
      expect(entered).toEqual(all.map((_, index) => index));
      expect(gate.loadBytes).toBe(0);
    }),
  );
});

test('what waits is bounded, and a failure makes room', async () => {
  const gate = new ByteGate({ insideBytesMax: 10, waitingBytesMax: 20 });
  const { promise, reject } = Promise.withResolvers<never>();
  const first = gate.pass(10, () => promise);
  const second = gate.pass(15, () => Promise.resolve('second'));
  await expect(gate.pass(6, () => Promise.resolve())).rejects.toMatchObject({ code: 'BUSY' });
  expect(gate.loadBytes).toBe(25);
  reject(new Error('no'));
  await expect(first).rejects.toThrow('no');
  expect(await second).toBe('second');
  expect(gate.loadBytes).toBe(0);
});
