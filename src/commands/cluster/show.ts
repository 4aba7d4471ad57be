/** `aegis cluster show`: the cluster of this home, from its genesis. */
import { BaseCommand } from '../../cli/base.ts';
import { clusterText, describeCluster, ownGenesis } from '../../cli/cluster.ts';
import { inspectOwnKeys } from '../../cli/own-home.ts';
import type { ClusterShowResult } from '../../core/api/contract/cluster.ts';

export default class ClusterShow extends BaseCommand<typeof ClusterShow, ClusterShowResult> {
  static override readonly summary = 'Show the cluster that this node belongs to.';
  static override readonly description =
    'Reads the genesis of this home: the cluster id, the first custodians and their ' +
    'fingerprints. No daemon is needed.';
  static override readonly examples = [
    { description: 'Show the cluster', command: '<%= config.bin %> cluster show' },
    {
      description: 'The cluster id, for a script',
      command: '<%= config.bin %> cluster show --json | jq -r .clusterId',
    },
  ];

  protected override async work(): Promise<ClusterShowResult> {
    const paths = this.home();
    const { nodeId } = await inspectOwnKeys(paths);
    const { genesis } = await ownGenesis(paths);
    return { schema: 'aegis.cluster.show/1', ...describeCluster(genesis, nodeId) };
  }

  protected override view(result: ClusterShowResult): string {
    return clusterText(result);
  }
}
