/** `aegis cluster forget`: leaves a cluster out of this home. */
import { BaseCommand, confirmFlags } from '../../cli/base.ts';
import { ownGenesis } from '../../cli/cluster.ts';
import { requireOwnHome } from '../../cli/own-home.ts';
import { safeText } from '../../cli/text.ts';
import type { ClusterForgetResult } from '../../core/api/contract/cluster.ts';
import { forgottenPath, isForgotten, nameOfCluster } from '../../core/config/clusters.ts';
import { AegisError } from '../../core/errors.ts';
import { writeFileAtomic } from '../../core/files.ts';

export default class ClusterForget extends BaseCommand<typeof ClusterForget, ClusterForgetResult> {
  static override readonly summary = 'Leave a cluster out of this home.';
  static override readonly description =
    'For a home with several clusters: a rotation of the keys waits no longer until it is final ' +
    'in this one, and its node does not start any more. Nothing is deleted, and the cluster is ' +
    'told nothing: an agent leaves it with `cluster leave` first. Its node can come back with ' +
    '`cluster join`; keys that have been replaced in the meantime are gone, and it does not vote ' +
    'until the cluster has decided their successors, too.';
  static override readonly examples = [
    {
      description: 'A cluster that is given up',
      command: '<%= config.bin %> cluster forget --cluster notes',
    },
    {
      description: 'In a script',
      command: '<%= config.bin %> cluster forget --cluster notes --yes',
    },
  ];
  static override readonly flags = { ...confirmFlags };

  protected override async work(): Promise<ClusterForgetResult> {
    const paths = this.home();
    await requireOwnHome(paths);
    const { genesis } = await ownGenesis(paths);
    const cluster = nameOfCluster(paths);
    const { HomeLock } = await import('../../core/storage/home-lock.ts');
    const holder = await HomeLock.holder(paths.lock);
    if (holder !== undefined) {
      throw new AegisError('ALREADY_RUNNING', `its node runs: process ${holder.pid}`, {
        hint: `Stop it first: aegis node stop --cluster ${cluster}`,
      });
    }
    const isNews = !(await isForgotten(paths));
    if (isNews) {
      await this.confirm(`leave the cluster ${cluster} (${safeText(genesis.name)}) out?`);
      // J4: no daemon that starts in this moment may miss it.
      const lock = await HomeLock.acquire(paths.lock);
      try {
        await writeFileAtomic(forgottenPath(paths), `${new Date().toISOString()}\n`);
      } finally {
        await lock.release();
      }
    }
    return {
      schema: 'aegis.cluster.forget/1',
      cluster,
      clusterId: genesis.clusterId,
      directory: paths.data,
      forgotten: isNews,
    };
  }

  protected override view({ cluster, directory, forgotten }: ClusterForgetResult): string {
    const what = forgotten ? 'is left out' : 'was left out before';
    return `${cluster} ${what}; what it has is still in ${safeText(directory)}`;
  }
}
