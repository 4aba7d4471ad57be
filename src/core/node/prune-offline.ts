/** Z1 for a home whose node is stopped: the same pruner, with nobody to make room for. */
import { META, readTip, TABLES } from '../chain/rows.ts';
import type { HomePaths } from '../config/home.ts';
import { AegisError } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import type { IntentContext } from '../model/intent.ts';
import type { Log, Metrics } from '../ports.ts';
import { ChainStore } from '../storage/chain-store.ts';
import { HomeLock } from '../storage/home-lock.ts';
import { Finals } from './finals.ts';
import { intentIds, type Pruned, Pruner } from './pruner.ts';

export interface OfflinePrune {
  readonly keep: number;
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
  readonly log: Log;
}

const NO_METRICS: Metrics = { count: () => {}, gauge: () => {}, observe: () => {} };

/** @throws {AegisError} `ALREADY_RUNNING`, `NOT_FOUND`, `DISK_FULL`, `STORE_DAMAGED`. */
export async function pruneOffline(
  paths: Pick<HomePaths, 'lock' | 'chainDb'>,
  context: IntentContext,
  { keep, dryRun, signal, log }: OfflinePrune,
): Promise<Pruned> {
  const lock = await HomeLock.acquire(paths.lock);
  try {
    if ((await statIfPresent(paths.chainDb)) === undefined) {
      throw new AegisError('NOT_FOUND', 'no block is final in this home');
    }
    const store = await ChainStore.open(paths.chainDb, { log });
    try {
      const row = await store.get(TABLES.meta, META.tip);
      const tip = row === undefined ? 0 : readTip(row).height;
      const finals = await Finals.open(store);
      const height = Math.min(tip, finals.height);
      const pruner = await Pruner.open(
        { keepBlocks: 0 },
        {
          ...{ store, log, metrics: NO_METRICS, idsOf: intentIds(context) },
          height: () => height,
          base: () => 1,
          pruned: () => {},
        },
      );
      return dryRun ? await pruner.plan(keep) : await pruner.prune(keep, signal);
    } finally {
      await store.close();
    }
  } finally {
    await lock.release();
  }
}
