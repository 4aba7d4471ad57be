/** `aegis cluster list`: the clusters of this home. */
import { BaseCommand } from '../../cli/base.ts';
import { ownGenesis } from '../../cli/cluster.ts';
import { requireOwnHome } from '../../cli/own-home.ts';
import { table } from '../../cli/table.ts';
import { safeText } from '../../cli/text.ts';
import type { ClusterListResult } from '../../core/api/contract/cluster.ts';
import { allClustersOf, isForgotten, nameOfCluster } from '../../core/config/clusters.ts';
import { type HomePaths, withCluster } from '../../core/config/home.ts';
import type { Genesis } from '../../core/model/genesis.ts';

type Row = ClusterListResult['clusters'][number];

export default class ClusterList extends BaseCommand<typeof ClusterList, ClusterListResult> {
  static override readonly summary = 'List the clusters of this home.';
  static override readonly description =
    'One home can be in several clusters, with the same keys and a daemon for each. `default` is ' +
    'the one without a name; every command takes the name of another one with --cluster. ENTRY ' +
    'says how many rotations of the keys are final there: a key that is replaced is kept until ' +
    'the rotation is final in all of them.';
  static override readonly examples = [
    { description: 'List them', command: '<%= config.bin %> cluster list' },
    {
      description: 'Stop them all',
      command:
        "<%= config.bin %> cluster list --json | jq -r '.clusters[]|select(.running).cluster' | " +
        'xargs -n1 <%= config.bin %> node stop --cluster',
    },
  ];

  protected override async work(): Promise<ClusterListResult> {
    const paths = withCluster(this.home(), undefined);
    await requireOwnHome(paths);
    const clusters: Row[] = [];
    for (const one of await allClustersOf(paths)) clusters.push(await this.#row(one));
    return { schema: 'aegis.cluster.list/1', clusters };
  }

  async #row(paths: HomePaths): Promise<Row> {
    const { HomeLock } = await import('../../core/storage/home-lock.ts');
    const { Keystore } = await import('../../core/keys/keystore.ts');
    const { current } = await Keystore.inspect(paths.keys, { view: paths });
    const holder = await HomeLock.holder(paths.lock);
    const genesis = await this.#genesis(paths);
    return {
      cluster: nameOfCluster(paths),
      clusterId: genesis?.clusterId ?? null,
      name: genesis?.name ?? null,
      running: holder !== undefined,
      pid: holder?.pid ?? null,
      forgotten: await isForgotten(paths),
      number: current.number,
      directory: paths.data,
    };
  }

  /** A damaged one hides no other. */
  async #genesis(paths: HomePaths): Promise<Genesis | undefined> {
    try {
      return (await ownGenesis(paths)).genesis;
    } catch (error) {
      this.note(`aegis: warning: ${(error as Error).message}`);
      return undefined;
    }
  }

  protected override view({ clusters }: ClusterListResult): string {
    if (clusters.length === 0) return 'this home is in no cluster yet';
    return table(clusters, [
      { title: 'CLUSTER', cell: ({ cluster }) => cluster },
      { title: 'NAME', cell: ({ name }) => safeText(name ?? '(damaged)') },
      { title: 'STATE', cell: stateOf },
      { title: 'ENTRY', cell: ({ number }) => String(number) },
      { title: 'CLUSTER ID', cell: ({ clusterId }) => clusterId ?? '' },
    ]);
  }
}

function stateOf({ forgotten, running, pid }: Row): string {
  if (forgotten) return 'left out';
  return running ? `process ${pid}` : 'stopped';
}
