import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CHAIN_SPEC } from '../../../src/core/storage/chain-service.ts';
import type { ChainStore } from '../../../src/core/storage/chain-store.ts';
import { integer } from '../../../src/core/storage/database.ts';
import { inspectDatabase } from '../../../src/core/storage/inspect.ts';
import { openChain, scratch } from './support/stores.ts';

const SIZES = [40, 900, 9000];

const valueOf = (n: number, version: number): Uint8Array =>
  new Uint8Array(SIZES[n % SIZES.length]! + version).fill(n % 251);

const row = (n: number, version: number) => ({
  table: `t${n % 3}`,
  key: String(n).padStart(5, '0'),
  value: valueOf(n, version),
});

const gone = (n: number) => ({ ...row(n, 0), value: undefined });

const sizeOf = (path: string): number =>
  [path, `${path}-wal`].reduce(
    (sum, one) => sum + (statSync(one, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );

async function shrinkWhole(store: ChainStore): Promise<void> {
  while ((await store.shrink(16)) > 0);
}

async function contentOf(store: ChainStore): Promise<Map<string, Uint8Array>> {
  const all = new Map<string, Uint8Array>();
  for (const table of ['t0', 't1', 't2']) {
    for (const { key, value } of await store.scan(table)) all.set(key, value);
  }
  return all;
}

test('what was deleted goes back to the disk, log and all', async () => {
  const path = join(await scratch(), 'chain.db');
  const store = await openChain(path);
  const numbers = Array.from({ length: 1500 }, (_, n) => n);
  await store.commit(numbers.map((n) => row(n, 0)));
  const before = await store.space();
  expect(before.bytes).toBe(sizeOf(path));
  await store.commitApart(numbers.slice(0, 1400).map(gone));
  const between = await store.space();
  expect(between.bytes).toBeGreaterThanOrEqual(before.bytes);
  expect(between.freeBytes).toBeGreaterThan(0.8 * before.bytes);
  expect(await store.freeBytes()).toBe(between.freeBytes);
  await shrinkWhole(store);
  const after = await store.space();
  expect(after).toEqual({ bytes: sizeOf(path), freeBytes: 0 });
  expect(after.bytes).toBeLessThan(0.15 * before.bytes);
  expect((await contentOf(store)).size).toBe(100);
});

type Step =
  | { readonly type: 'put' | 'delete'; readonly from: number; readonly count: number }
  | { readonly type: 'shrink'; readonly pages: number }
  | { readonly type: 'space' };

const range = { from: fc.nat(200), count: fc.integer({ min: 1, max: 80 }) };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ type: fc.constant('put' as const), ...range }),
  fc.record({ type: fc.constant('delete' as const), ...range }),
  fc.record({ type: fc.constant('shrink' as const), pages: fc.integer({ min: 1, max: 300 }) }),
  fc.record({ type: fc.constant('space' as const) }),
);

test('shrinking between other writes changes nothing of what is stored', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 25 }), async (steps) => {
      const path = join(await scratch(), 'chain.db');
      const store = await openChain(path);
      const model = new Map<string, Uint8Array>();
      const work = steps.map(async (one, version) => {
        if (one.type === 'shrink') return await store.shrink(one.pages);
        if (one.type === 'space') return await store.space();
        const numbers = Array.from({ length: one.count }, (_, n) => one.from + n);
        const entries = numbers.map((n) => (one.type === 'put' ? row(n, version) : gone(n)));
        for (const { key, value } of entries) {
          if (value === undefined) model.delete(key);
          else model.set(key, value);
        }
        // Both ways of writing keep the order in which they were called.
        return await (version % 2 === 0 ? store.commit(entries) : store.commitApart(entries));
      });
      await Promise.all(work);
      expect(await contentOf(store)).toEqual(model);
      await shrinkWhole(store);
      expect((await store.space()).freeBytes).toBe(0);
      expect(await contentOf(store)).toEqual(model);
      expect((await inspectDatabase(path, 'chain')).problem).toBeUndefined();
    }),
    { numRuns: 12 },
  );
});

test('a file that cannot shrink yet is made so when it is opened', async () => {
  const path = join(await scratch(), 'chain.db');
  const old = new DatabaseSync(path);
  old.exec(`
    PRAGMA page_size = 4096; PRAGMA journal_mode = WAL;
    ${CHAIN_SPEC.schema}
    PRAGMA application_id = ${CHAIN_SPEC.applicationId};
    PRAGMA user_version = ${CHAIN_SPEC.schemaVersion};`);
  const insert = old.prepare('INSERT INTO entries VALUES (?, ?, ?)');
  for (let n = 0; n < 300; n += 1) insert.run(row(n, 0).table, row(n, 0).key, row(n, 0).value);
  expect(integer(old, 'auto_vacuum')).toBe(0);
  old.close();
  const store = await openChain(path);
  expect((await contentOf(store)).size).toBe(300);
  const before = await store.space();
  await store.commitApart(Array.from({ length: 290 }, (_, n) => gone(n)));
  await shrinkWhole(store);
  expect((await store.space()).bytes).toBeLessThan(0.2 * before.bytes);
  expect((await store.standing()).standing).toBe('sound');
});

test('where there is no room to write it anew, the file is used as it is', async () => {
  const path = join(await scratch(), 'chain.db');
  const old = new DatabaseSync(path);
  old.exec(`
    PRAGMA page_size = 4096; PRAGMA journal_mode = WAL;
    ${CHAIN_SPEC.schema}
    PRAGMA application_id = ${CHAIN_SPEC.applicationId};
    PRAGMA user_version = ${CHAIN_SPEC.schemaVersion};`);
  old.prepare('INSERT INTO entries VALUES (?, ?, ?)').run('t0', '00000', valueOf(0, 0));
  old.close();
  const store = await openChain(path, { maxPages: 2 });
  expect((await contentOf(store)).size).toBe(1);
  const reader = new DatabaseSync(path, { readOnly: true });
  expect(integer(reader, 'auto_vacuum')).toBe(0);
  reader.close();
});

test('a deletion that a full disk refuses takes no write of others with it', async () => {
  const path = join(await scratch(), 'chain.db');
  const store = await openChain(path, { maxPages: 64 });
  const large = { table: 't', key: 'large', value: new Uint8Array(400_000) };
  const [vote, refused] = await Promise.allSettled([
    store.commit([{ table: 't', key: 'vote', value: new Uint8Array(10) }]),
    store.commitApart([large]),
  ]);
  expect(vote.status).toBe('fulfilled');
  expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'DISK_FULL' } });
  expect(await store.get('t', 'vote')).toHaveLength(10);
});
