import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { blockKey, heightKey, TABLES } from '../../../src/core/chain/rows.ts';
import { baseFor, Pruner, type PrunerDeps } from '../../../src/core/node/pruner.ts';
import type { ChainStore } from '../../../src/core/storage/chain-store.ts';
import { needs } from '../../helpers/needs.ts';
import { canMount, smallDisk, startScript } from '../storage/support/child.ts';
import { openChain, scratch, silentLog } from '../storage/support/stores.ts';
import {
  baseOf,
  blockBytes,
  blockRows,
  digestOf,
  idOf,
  idsIn,
  idsOf,
  receiptOf,
  silentMetrics,
  tipOf,
} from './support/made-blocks.ts';

const CHILD = join(import.meta.dirname, 'support/prune-child.ts');

async function chainOf(heights: number): Promise<{ path: string; store: ChainStore }> {
  const path = join(await scratch(), 'chain.db');
  const store = await openChain(path);
  const all = Array.from({ length: heights }, (_, n) => blockRows(n + 1));
  for (let at = 0; at < heights; at += 100) await store.commit(all.slice(at, at + 100).flat());
  return { path, store };
}

async function prunerOf(store: ChainStore, deps: Partial<PrunerDeps> = {}, keepBlocks = 0) {
  const tip = await tipOf(store);
  const pruner = await Pruner.open(
    { keepBlocks },
    {
      ...{ store, log: silentLog, metrics: silentMetrics, idsOf },
      height: () => tip,
      base: () => 1,
      pruned: () => {},
      ...deps,
    },
  );
  onTestFinished(() => pruner.close());
  return pruner;
}

/** From its base on nothing is missing, whatever became of what is below. */
async function checkWhole(store: ChainStore): Promise<void> {
  const [base, tip] = [await baseOf(store), await tipOf(store)];
  const heights = Array.from({ length: tip - base + 1 }, (_, n) => base + n);
  const keys = heights.map((height) => blockKey(height, digestOf(height)));
  expect(await store.getMany(TABLES.blocks, keys)).toEqual(heights.map(blockBytes));
  const rows = await store.getMany(TABLES.chain, heights.map(heightKey));
  expect(rows.filter((row) => row === undefined)).toEqual([]);
  const receipts = await store.getMany(TABLES.receipts, heights.flatMap(idsIn));
  expect(receipts.filter((receipt) => receipt === undefined)).toEqual([]);
}

async function checkNothingBelow(store: ChainStore): Promise<void> {
  const [base, tip] = [await baseOf(store), await tipOf(store)];
  const blocks = await store.scan(TABLES.blocks);
  expect(blocks.filter(({ key }) => key < heightKey(base))).toEqual([]);
  const chain = await store.scan(TABLES.chain);
  expect(chain.map(({ key }) => Number(key))).toEqual(
    Array.from({ length: tip - base + 1 }, (_, n) => base + n),
  );
  const receipts = new Set((await store.scan(TABLES.receipts)).map(({ key }) => key));
  const kept = new Set(chain.flatMap(({ key }) => idsIn(Number(key))));
  expect(receipts).toEqual(kept);
}

const sizeOf = (path: string): number =>
  statSync(path).size + (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0);

test('the last blocks stay whole, of the others nothing, and the disk gets its space', async () => {
  const { path, store } = await chainOf(1500);
  const bases: number[] = [];
  const pruner = await prunerOf(store, { pruned: (base) => bases.push(base) });
  const planned = await pruner.plan(200);
  expect(planned).toMatchObject({ from: 1, base: 1301, height: 1500, blocks: 1300 });
  expect(planned.bytesBefore).toBe(sizeOf(path));
  const done = await pruner.prune(200);
  expect(done).toEqual({ ...planned, bytesAfter: sizeOf(path) });
  expect(done.bytesAfter).toBeLessThan(0.2 * done.bytesBefore);
  expect(bases.at(-1)).toBe(1301);
  expect(bases).toEqual(bases.toSorted((a, b) => a - b));
  expect(pruner.base).toBe(1301);
  await checkWhole(store);
  await checkNothingBelow(store);
  expect((await store.scan(TABLES.state)).length).toBe(50);
  // 1301 is not the first of its kind: the receipt of an intent that came again is kept.
  const again = idOf(1310, 0);
  expect(again).toBe(idOf(1300, 0));
  expect(await store.get(TABLES.receipts, again)).toEqual(receiptOf(1310, 0));
});

test('the last 128 stay whatever is asked, and nothing comes back', async () => {
  const { store } = await chainOf(300);
  const pruner = await prunerOf(store);
  expect(await pruner.prune(1)).toMatchObject({ from: 1, base: 173, blocks: 172 });
  expect(await pruner.prune(250)).toMatchObject({ from: 173, base: 173, blocks: 0 });
  expect((await prunerOf(store)).base).toBe(173);
  await checkWhole(store);
  expect(baseFor(100, 128, 1)).toBe(1);
  expect(baseFor(129, 128, 1)).toBe(2);
});

test('what is kept is kept in the background, in steps that are worth it', async () => {
  const { store } = await chainOf(400);
  let height = 190;
  const reached = Promise.withResolvers<void>();
  const pruned = (base: number) => {
    if (base === 265) reached.resolve();
  };
  const pruner = await prunerOf(store, { height: () => height, pruned }, 130);
  pruner.moved();
  await expect(pruner.prune(130)).resolves.toMatchObject({ from: 1, base: 61 });
  height = 394;
  pruner.moved();
  await expect(pruner.prune(130)).rejects.toMatchObject({ code: 'BUSY' });
  await reached.promise;
  await pruner.close();
  await checkWhole(store);
  await expect(pruner.prune(130)).rejects.toMatchObject({ code: 'STOPPING' });
});

test('where a snapshot began later, the base never falls behind it', async () => {
  const { store } = await chainOf(400);
  const bases: number[] = [];
  const pruner = await prunerOf(store, { base: () => 150, pruned: (base) => bases.push(base) });
  expect(pruner.base).toBe(150);
  expect(await pruner.prune(200)).toMatchObject({ from: 150, base: 201, blocks: 51 });
  expect(bases.every((base) => base > 150)).toBe(true);
  await checkNothingBelow(store);
});

test('a prune that is broken off has done what it has done', async () => {
  const { store } = await chainOf(900);
  const stop = new AbortController();
  const pruned = (base: number) => {
    if (base > 300) stop.abort();
  };
  const pruner = await prunerOf(store, { pruned });
  await expect(pruner.prune(128, stop.signal)).rejects.toThrow('aborted');
  expect(await baseOf(store)).toBeGreaterThan(300);
  expect(await baseOf(store)).toBeLessThan(700);
  await checkWhole(store);
  await expect(pruner.prune(128)).resolves.toMatchObject({ base: 773 });
  await checkNothingBelow(store);
});

test('a block that cannot be read goes too', async () => {
  const { store } = await chainOf(200);
  const said: string[] = [];
  const pruner = await prunerOf(store, {
    idsOf: () => {
      throw new Error('torn');
    },
    log: { write: (_, message) => void said.push(message), child: () => silentLog },
  });
  await pruner.prune(128);
  expect(said).toContain('a block that is pruned cannot be read');
  expect(await baseOf(store)).toBe(73);
  await checkWhole(store);
});

test('kill -9 in the middle of a prune loses no block that is kept, and no vote', async () => {
  const dir = await scratch();
  let pruned = 1;
  for (let round = 0; round < 3; round += 1) {
    const child = startScript(CHILD, [dir, 'endless', '400']);
    const isFar = (line: string) => line.startsWith('base ') && Number(line.slice(5)) > pruned;
    await child.until(
      (line) => isFar(line) && child.lines.some((said) => said.startsWith('block')),
    );
    child.child.kill('SIGKILL');
    await child.ended;
    const last = (word: string) =>
      Number(child.lines.findLast((line) => line.startsWith(word))?.slice(word.length));
    const store = await openChain(join(dir, 'chain.db'));
    expect(await tipOf(store)).toBeGreaterThanOrEqual(last('block '));
    expect(await baseOf(store)).toBeGreaterThanOrEqual(last('base '));
    await checkWhole(store);
    expect((await store.standing()).standing).toBe('sound');
    pruned = (await baseOf(store)) + 100;
    await store.close();
  }
  const store = await openChain(join(dir, 'chain.db'));
  await (await prunerOf(store)).prune(128);
  await checkWhole(store);
  await checkNothingBelow(store);
});

test.skipIf(!needs('unshare', 'full disk tests') || !canMount())(
  'on a full disk nothing is lost, and with a little room it shrinks',
  async () => {
    const dir = await scratch();
    const child = startScript(CHILD, [dir, 'full', '100000'], smallDisk(dir, '32m'));
    const refusals = () => child.lines.filter((line) => line === 'refused DISK_FULL').length;
    await child.until(() => refusals() === 2);
    child.child.stdin.write('free\n');
    const line = await child.until((said) => said.startsWith('done '));
    const [before, after] = line.split(' ').slice(1).map(Number);
    expect(after!).toBeLessThan(0.5 * before!);
    await child.until((said) => said.startsWith('block '));
    expect((await child.ended).code).toBe(0);
  },
);

test('a store that refuses is no end: the background tries again later', async () => {
  const { store } = await chainOf(300);
  const said: unknown[] = [];
  const full = Object.assign(Object.create(store) as ChainStore, {
    range: store.range.bind(store),
    get: store.get.bind(store),
    getMany: store.getMany.bind(store),
    commitApart: () => Promise.reject(new Error('no room')),
  });
  const told = Promise.withResolvers<void>();
  const log = {
    write: (_: unknown, message: string) => {
      said.push(message);
      told.resolve();
    },
    child: () => silentLog,
  };
  const pruner = await prunerOf(full, { log }, 128);
  pruner.moved();
  await told.promise;
  expect(said).toEqual(['old blocks could not be pruned']);
  await checkWhole(store);
});
