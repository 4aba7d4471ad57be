/**
 * A process of its own that prunes a chain of made-up blocks while it goes on writing others, and
 * says what is durable, a line each: `filled`, `block HEIGHT`, `base HEIGHT`, `refused CODE`,
 * `done BYTES BYTES`. Run as `node prune-child.ts DIR MODE HEIGHTS`.
 *
 * - `endless` prunes to the last 128 blocks again and again, and makes blocks, until it is killed.
 * - `full` makes blocks until the disk refuses, prunes, is told `free`, and prunes again.
 */
import { once } from 'node:events';
import { rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { Pruner } from '../../../../src/core/node/pruner.ts';
import type { Log } from '../../../../src/core/ports.ts';
import { ChainStore } from '../../../../src/core/storage/chain-store.ts';
import { blockRows, idsOf, silentMetrics, tipOf } from './made-blocks.ts';

const [dir = '', mode = '', heights = '0'] = process.argv.slice(2);
const log: Log = { write: () => undefined, child: () => log };
// Synchronously: what was said before a kill has been said.
const say = (line: string): void => void writeSync(1, `${line}\n`);

const ballast = join(dir, 'ballast');
if (mode === 'full') writeFileSync(ballast, new Uint8Array(8 * 2 ** 20));
const store = await ChainStore.open(join(dir, 'chain.db'), { log });
let height = await tipOf(store);

async function grow(): Promise<void> {
  await store.commit(blockRows(height + 1));
  height += 1;
}

const isFull = (error: unknown): string => String((error as { code?: string }).code ?? error);

for (let n = 0; n < Number(heights); n += 1) {
  try {
    await grow();
  } catch (error) {
    if (mode !== 'full') throw error;
    say(`refused ${isFull(error)}`);
    break;
  }
}
say('filled');
const pruner = await Pruner.open(
  { keepBlocks: 0 },
  {
    ...{ store, log, metrics: silentMetrics, idsOf },
    height: () => height,
    base: () => 1,
    pruned: (base) => say(`base ${base}`),
  },
);
if (mode === 'endless') {
  const growing = async (): Promise<never> => {
    for (;;) {
      await grow();
      say(`block ${height}`);
      await turn();
    }
  };
  const pruning = async (): Promise<never> => {
    for (;;) {
      await pruner.prune(128);
      await turn();
    }
  };
  await Promise.race([growing(), pruning()]);
} else {
  await pruner.prune(128).catch((error: unknown) => say(`refused ${isFull(error)}`));
  await once(process.stdin, 'data');
  rmSync(ballast);
  const { bytesBefore, bytesAfter } = await pruner.prune(128);
  say(`done ${bytesBefore} ${bytesAfter}`);
  await grow();
  say(`block ${height}`);
  await store.close();
  process.exit();
}
