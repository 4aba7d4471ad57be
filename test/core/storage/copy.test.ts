import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';
import { describe, expect, test } from 'vitest';
import { ChainStore } from '../../../src/core/storage/chain-store.ts';
import { ContentStore } from '../../../src/core/storage/content-store.ts';
import { copyStores } from '../../../src/core/storage/copy.ts';
import { withDirectory } from '../../helpers/keystores.ts';
import { silentLog } from '../keys/support/signer.ts';

const deps = { log: silentLog };
const bytesOf = (number: number): Uint8Array =>
  new Uint8Array(20_000).map((_, i) => (number * 31 + i) & 0xff);

async function objectOf(number: number) {
  const bytes = bytesOf(number);
  return { cid: CID.createV1(0x55, await sha256.digest(bytes)), bytes };
}

interface Stores {
  readonly chain: ChainStore;
  readonly content: ContentStore;
}

async function openBoth(dir: string): Promise<Stores> {
  const chain = await ChainStore.open(join(dir, 'chain.db'), deps);
  return { chain, content: await ContentStore.open(join(dir, 'content.db'), deps) };
}

const closeBoth = async ({ chain, content }: Stores): Promise<void> => {
  await Promise.all([chain.close(), content.close()]);
};

const keyOf = (number: number): string => String(number).padStart(6, '0');

/** As a node writes: the object, and when it is durable the fact that names it. */
async function write({ chain, content }: Stores, number: number): Promise<void> {
  const object = await objectOf(number);
  await content.put([object], { verify: true });
  const value = object.cid.bytes;
  await chain.commit([{ table: 'facts', key: keyOf(number), value }]);
}

const pathsIn = (dir: string) => ({
  chainDb: join(dir, 'chain.db'),
  contentDb: join(dir, 'content.db'),
});

describe('a copy of the stores while the node writes', () => {
  test('has all up to a moment, and no fact without its content', () =>
    withDirectory(async (dir) => {
      const stores = await openBoth(dir);
      for (let n = 0; n < 40; n += 1) await write(stores, n);
      const load = { goesOn: true };
      let written = 40;
      const writing = (async () => {
        while (load.goesOn) await write(stores, written++);
      })();
      const copy = join(dir, 'copy');
      mkdirSync(copy);
      const copied = await copyStores({
        ...{ ...pathsIn(dir), to: pathsIn(copy) },
        // Slow enough that much is written meanwhile.
        bytesPerSecondMax: 4 * 1024 * 1024,
      });
      load.goesOn = false;
      await writing;
      const identity = await stores.content.identity();
      await closeBoth(stores);
      expect(copied.contentBytes).toBe(statSync(join(copy, 'content.db')).size);
      expect(readdirSync(copy).toSorted()).toEqual(['chain.db', 'content.db']);
      const second = await openBoth(copy);
      expect(await second.content.identity()).not.toBe(identity);
      const rows = await second.chain.scan('facts');
      expect(rows.length).toBeGreaterThanOrEqual(40);
      expect(rows.length).toBeLessThan(written);
      expect(rows.map(({ key }) => key)).toEqual(rows.map((_, n) => keyOf(n)));
      for (const { value } of rows) {
        expect(await second.content.get(CID.decode(value), { verify: true })).toBeDefined();
      }
      await closeBoth(second);
    }));

  test('is in doubt: it does not remember what was voted after it (D3)', () =>
    withDirectory(async (dir) => {
      const stores = await openBoth(dir);
      await write(stores, 1);
      const copy = join(dir, 'copy');
      mkdirSync(copy);
      await copyStores({ ...pathsIn(dir), to: pathsIn(copy) });
      await closeBoth(stores);
      const second = await openBoth(copy);
      expect((await second.chain.standing()).standing).toBe('doubtful');
      await closeBoth(second);
    }));

  test('what is there is not written over, and a failure is told', () =>
    withDirectory(async (dir) => {
      const stores = await openBoth(dir);
      await write(stores, 1);
      const nowhere = pathsIn(join(dir, 'nowhere'));
      await expect(copyStores({ ...pathsIn(dir), to: nowhere })).rejects.toMatchObject({
        name: 'AegisError',
      });
      await expect(copyStores({ ...pathsIn(dir), to: pathsIn(dir) })).rejects.toMatchObject({
        name: 'AegisError',
      });
      await closeBoth(stores);
      const again = await openBoth(dir);
      expect(await again.chain.scan('facts')).toHaveLength(1);
      await closeBoth(again);
    }));

  test('it can be given up', () =>
    withDirectory(async (dir) => {
      const stores = await openBoth(dir);
      for (let n = 0; n < 100; n += 1) await write(stores, n);
      const controller = new AbortController();
      const copy = join(dir, 'copy');
      mkdirSync(copy);
      const copying = copyStores({
        ...{ ...pathsIn(dir), to: pathsIn(copy), bytesPerSecondMax: 1024 },
        signal: controller.signal,
      });
      controller.abort(new Error('enough'));
      await expect(copying).rejects.toThrow('enough');
      rmSync(copy, { recursive: true });
      await write(stores, 100);
      await closeBoth(stores);
    }));
});
