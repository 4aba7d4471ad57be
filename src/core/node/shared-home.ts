/**
 * How the daemons of one home share its keystore (docs/keys.md, J rules): which clusters count, and
 * a lock on the keys that they hold for moments. It settles nothing itself.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { clustersOf } from '../config/clusters.ts';
import type { HomePaths } from '../config/home.ts';
import { AegisError, hasCode } from '../errors.ts';
import type { Sharing } from '../keys/sharing.ts';
import { HomeLock } from '../storage/home-lock.ts';
import { SECOND } from '../units.ts';

/** Opening a keystore derives a key with the lock held: a second or two on a small machine. */
const WAIT_MS = 30 * SECOND;
const STEP_MS = 20;

export function sharingOf(paths: HomePaths): Sharing {
  return {
    cluster: paths.cluster,
    clusters: async () => (await clustersOf(paths)).map(({ cluster }) => cluster),
    exclusively: (work) => withKeys(paths, work),
  };
}

/** @throws {AegisError} `BUSY` when another process does not let go of the keys. */
async function withKeys<T>({ keys }: Pick<HomePaths, 'keys'>, work: () => Promise<T>): Promise<T> {
  const lock = await acquire(join(keys, 'keys.lock'));
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

async function acquire(path: string): Promise<HomeLock> {
  for (let waitedMs = 0; ; waitedMs += STEP_MS) {
    try {
      return await HomeLock.acquire(path);
    } catch (error) {
      if (!hasCode(error, 'ALREADY_RUNNING')) throw error;
      if (waitedMs < WAIT_MS) await pause(STEP_MS);
      else throw new AegisError('BUSY', 'another process holds the keys of this home');
    }
  }
}
