import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openChain, scratch } from './support/stores.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

test('facts are kept by table and key, replaced, deleted, and survive a restart', async () => {
  const path = join(await scratch(), 'chain.db');
  const store = await openChain(path);
  await store.commit([
    { table: 'a', key: 'k', value: bytes(1) },
    { table: 'b', key: 'k', value: bytes(2) },
    { table: 'a', key: 'gone', value: bytes(3) },
    { table: 'a', key: 'empty', value: bytes() },
    { table: 'a', key: 'k', value: bytes(4, 5) },
    { table: 'a', key: 'gone', value: undefined },
    { table: 'a', key: 'never was', value: undefined },
  ]);
  await store.commit([]);
  await store.close();
  const again = await openChain(path);
  expect(await again.scan('a')).toEqual([
    { key: 'empty', value: bytes() },
    { key: 'k', value: bytes(4, 5) },
  ]);
  expect(await again.get('b', 'k')).toEqual(bytes(2));
  expect(await again.get('b', 'gone')).toBeUndefined();
  expect(await again.scan('none')).toEqual([]);
});

test('a batch may reuse its memory as soon as commit has been called', async () => {
  const store = await openChain(join(await scratch(), 'chain.db'));
  const memory = new Uint8Array(1000).fill(1);
  const committed = store.commit([{ table: 't', key: 'k', value: memory.subarray(10, 12) }]);
  memory.fill(9);
  await committed;
  expect(await store.get('t', 'k')).toEqual(bytes(1, 1));
});

test('the store is a map, whatever is written at once', async () => {
  const store = await openChain(join(await scratch(), 'chain.db'));
  const model = new Map<string, Uint8Array>();
  const entry = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'ä', ''),
    value: fc.option(fc.uint8Array({ maxLength: 20 }), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(entry, { maxLength: 5 }), { maxLength: 5 }), async (all) => {
      await Promise.all(
        all.map(async (batch) => {
          for (const { key, value } of batch) {
            if (value === undefined) model.delete(key);
            else model.set(key, value);
          }
          await store.commit(batch.map((row) => ({ table: 't', ...row })));
        }),
      );
      const rows = await store.scan('t');
      const byBytes = [...model].toSorted(([a], [b]) =>
        Buffer.compare(Buffer.from(a), Buffer.from(b)),
      );
      expect(rows.map(({ key, value }) => [key, value])).toEqual(byBytes);
    }),
    { numRuns: 40 },
  );
});

test('ranges and many keys are read in one question', async () => {
  const store = await openChain(join(await scratch(), 'chain.db'));
  const keys = ['01', '02', '03', '04', '05'];
  await store.commit(keys.map((key) => ({ table: 't', key, value: bytes(Number(key)) })));
  await store.commit([{ table: 'u', key: '03', value: bytes(9) }]);
  const range = async (from: string, to: string, limit: number) =>
    (await store.range({ table: 't', from, to, limit })).map(({ key }) => key);
  expect(await range('02', '05', 10)).toEqual(['02', '03', '04']);
  expect(await range('02', '05', 2)).toEqual(['02', '03']);
  expect(await range('05', '02', 10)).toEqual([]);
  expect(await range('', '9', 1)).toEqual(['01']);
  expect(await store.getMany('t', ['04', 'none', '01'])).toEqual([bytes(4), undefined, bytes(1)]);
});
