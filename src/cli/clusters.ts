/** The clusters of a home, for the commands that list, take in and leave out one (J rules). */
import { rm } from 'node:fs/promises';
import {
  allClustersOf,
  CLUSTERS_MAX,
  clustersOf,
  forgottenPath,
  nameOfCluster,
} from '../core/config/clusters.ts';
import { ensureHome, type HomePaths } from '../core/config/home.ts';
import { AegisError } from '../core/errors.ts';
import { statIfPresent } from '../core/files.ts';
import type { Genesis } from '../core/model/genesis.ts';
import { ownGenesis } from './cluster.ts';

/**
 * Makes the place for a genesis of a cluster that this home comes into.
 * @throws {AegisError} `EXISTS` when the home is in it already under another name: two daemons
 * would vote with one key.
 */
export async function enterCluster(paths: HomePaths, { clusterId }: Genesis): Promise<void> {
  const all = await allClustersOf(paths);
  for (const one of all) {
    if (one.cluster === paths.cluster) continue;
    const { genesis } = await ownGenesis(one);
    if (genesis.clusterId !== clusterId) continue;
    const name = nameOfCluster(one);
    throw new AegisError('EXISTS', `this home is in that cluster already: it is ${name} here`, {
      hint: `Use it: --cluster ${name}`,
    });
  }
  const isNew = all.every(({ cluster }) => cluster !== paths.cluster);
  if (isNew && all.length >= CLUSTERS_MAX) {
    throw new AegisError('TOO_LARGE', `a home has at most ${CLUSTERS_MAX} clusters`);
  }
  if (paths.cluster !== undefined) await ensureHome(paths);
}

/** J4: from now on its word counts again. @returns whether it did not. */
export async function countAgain(paths: HomePaths): Promise<boolean> {
  const path = forgottenPath(paths);
  if ((await statIfPresent(path)) === undefined) return false;
  await rm(path);
  return true;
}

/** Those that a rotation concerns: also the place where the first one is going to be. */
export async function clustersToTell(paths: HomePaths): Promise<readonly HomePaths[]> {
  const all = await clustersOf(paths);
  return all.some(({ cluster }) => cluster === paths.cluster) ? all : [paths, ...all];
}
