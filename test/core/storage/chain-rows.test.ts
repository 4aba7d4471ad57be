/** W41: `chain.db` read at once, with what is on its way to it. */
import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ChainRows } from '../../../src/core/storage/chain-rows.ts';
import { openChain, scratch } from './support/stores.ts';

const KEYS = ['', 'a', 'ab', 'b', 'é', '\u{fffd}', '\u{1f600}'];
const valueOf = (key: string): Uint8Array => new TextEncoder().encode(`value of ${key}`);

function openRows(path: string): ChainRows {
  const rows = new ChainRows(path);
  onTestFinished(() => rows[Symbol.dispose]());
  return rows;
}

test('rows are read in the order of their bytes, between bounds, and backwards', async () => {
  const path = join(await scratch(), 'chain.db');
  const store = await openChain(path);
  await store.commit(KEYS.toReversed().map((key) => ({ table: 't', key, value: valueOf(key) })));
  await store.commit([{ table: 'u', key: 'other', value: valueOf('other') }]);
  const rows = openRows(path);
  const keys = (query: { from: string; to?: string; limit: number; isReverse?: boolean }) =>
    rows.range({ table: 't', ...query }).map(({ key }) => key);
  expect(keys({ from: '', limit: 100 })).toEqual(KEYS);
  expect(keys({ from: '', limit: 100, isReverse: true })).toEqual(KEYS.toReversed());
  expect(keys({ from: 'a', to: 'b', limit: 100 })).toEqual(['a', 'ab']);
  expect(keys({ from: 'a', to: '\u{1f600}', limit: 2, isReverse: true })).toEqual([
    '\u{fffd}',
    'é',
  ]);
  expect(rows.get('t', 'é')).toEqual(valueOf('é'));
  expect(rows.get('u', 'é')).toBeUndefined();
});

test('what is staged is read at once, and the file shows what became of it', async () => {
  const path = join(await scratch(), 'chain.db');
  const store = await openChain(path);
  await store.commit(['a', 'b'].map((key) => ({ table: 't', key, value: valueOf(key) })));
  const rows = openRows(path);
  const all = () => rows.range({ table: 't', from: '', limit: 100 }).map(({ key }) => key);
  const entries = [
    { table: 't', key: 'a', value: undefined },
    { table: 't', key: '\u{1f600}', value: valueOf('c') },
    { table: 't', key: 'é', value: valueOf('d') },
  ];
  const landed = rows.stage(entries);
  expect(all()).toEqual(['b', 'é', '\u{1f600}']);
  await store.commit(entries);
  expect(all()).toEqual(['b', 'é', '\u{1f600}']);
  landed();
  expect(all()).toEqual(['b', 'é', '\u{1f600}']);
  const lost = rows.stage([{ table: 't', key: 'b', value: undefined }]);
  expect(all()).toEqual(['é', '\u{1f600}']);
  lost();
  expect(all()).toEqual(['b', 'é', '\u{1f600}']);
});

test('a damaged file is called that, and is checked whole when it is opened next', async () => {
  const path = join(await scratch(), 'chain.db');
  const store = await openChain(path);
  const value = new Uint8Array(3000);
  const entries = Array.from({ length: 200 }, (_, n) => ({ table: 't', key: `${n}`, value }));
  await store.commit(entries);
  await store.close();
  const file = openSync(path, 'r+');
  for (let at = 4096; at < statSync(path).size; at += 4096) {
    writeSync(file, Buffer.alloc(4096, 0xaa), 0, 4096, at);
  }
  closeSync(file);
  const read = (): unknown => openRows(path).range({ table: 't', from: '', limit: 1000 });
  expect(read).toThrow(expect.objectContaining({ code: 'STORE_DAMAGED' }));
  expect(statSync(`${path}.suspect`).isFile()).toBe(true);
});
