/**
 * The clusters of a home: one that needs no name, and others that have one (docs/keys.md, J rules).
 * It looks for directories and says where things are; it opens no genesis and talks to no daemon.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AegisError } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import { clustersDir, type HomePaths, withCluster } from './home.ts';

/** What the cluster without a name is called where a name must be said. */
const DEFAULT_CLUSTER = 'default';
/** Clusters of one home; a signer keeps guards for as many (docs/formats.md). */
export const CLUSTERS_MAX = 16;
const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;

/**
 * The cluster that `--cluster` means; undefined for the one that needs no name.
 * @throws {AegisError} `USAGE` for a name that is none.
 */
export function clusterNamed(text: string | undefined): string | undefined {
  if (text === undefined || text === '' || text === DEFAULT_CLUSTER) return undefined;
  if (NAME.test(text)) return text;
  throw new AegisError('USAGE', 'that is no name for a cluster of a home', {
    hint: 'Up to 32 small letters, digits and hyphens, not a hyphen first.',
  });
}

export const nameOfCluster = ({ cluster }: HomePaths): string => cluster ?? DEFAULT_CLUSTER;

/** There while a cluster is left out of the home (J4). */
export const forgottenPath = ({ data }: HomePaths): string => join(data, 'forgotten');

/** Every cluster that this home has a genesis of, also those that are left out. */
export async function allClustersOf(paths: HomePaths): Promise<readonly HomePaths[]> {
  const dir = clustersDir(paths);
  const names = (await statIfPresent(dir))?.isDirectory() === true ? await readdir(dir) : [];
  const found: HomePaths[] = [];
  const wanted = names.filter((name) => NAME.test(name) && name !== DEFAULT_CLUSTER).toSorted();
  for (const name of [undefined, ...wanted]) {
    const one = withCluster(paths, name);
    if ((await statIfPresent(one.genesis)) !== undefined) found.push(one);
  }
  return found;
}

export const isForgotten = async (paths: HomePaths): Promise<boolean> =>
  (await statIfPresent(forgottenPath(paths))) !== undefined;

/** J3: those whose word counts when keys are retired. */
export async function clustersOf(paths: HomePaths): Promise<readonly HomePaths[]> {
  const counted: HomePaths[] = [];
  for (const one of await allClustersOf(paths)) if (!(await isForgotten(one))) counted.push(one);
  return counted;
}
