/** `aegis cluster show`: the cluster of this home, its genesis and by what rules it goes now. */
import { BaseCommand } from '../../cli/base.ts';
import { clusterText, describeCluster, ownGenesis } from '../../cli/cluster.ts';
import { stateText } from '../../cli/governance.ts';
import { inspectOwnKeys } from '../../cli/own-home.ts';
import type { ClusterShowResult } from '../../core/api/contract/cluster.ts';
import { hasCode } from '../../core/errors.ts';

export default class ClusterShow extends BaseCommand<typeof ClusterShow, ClusterShowResult> {
  static override readonly summary = 'Show the cluster that this node belongs to.';
  static override readonly description =
    'Reads the genesis of this home: the cluster id, the first custodians and their ' +
    'fingerprints. If the daemon runs it says more: since which height the present custodians ' +
    'decide, the protocol version and the parameters. Who is a member now: `cluster members`.';
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
    const cluster = describeCluster(genesis, nodeId);
    return { schema: 'aegis.cluster.show/1', ...cluster, state: await this.#state() };
  }

  /** What stands in the home needs no daemon. */
  async #state(): Promise<ClusterShowResult['state']> {
    try {
      const client = await this.client();
      const {
        schema: _,
        clusterId: __,
        clusterName: ___,
        ...state
      } = await client.call('cluster.state');
      return state;
    } catch (error) {
      if (hasCode(error, 'DAEMON_UNREACHABLE')) return null;
      throw error;
    }
  }

  protected override view(result: ClusterShowResult): string {
    const { state } = result;
    const first = clusterText(result);
    return state === null ? first : `${first}\n\n${stateText(state)}`;
  }
}
