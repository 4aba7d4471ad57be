/** `aegis cluster quota`: what members may still ask for in this hour. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { bytes, table } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

type Quota = Reply<'cluster.quotas'>['quotas'][number];

export default class ClusterQuota extends BaseCommand<
  typeof ClusterQuota,
  Reply<'cluster.quotas'>
> {
  static override readonly summary = 'Show what members have used of their quotas.';
  static override readonly description =
    'Changes and bytes are those of this hour, by the time of blocks; paths are those that a ' +
    'node has made. Custodians have no quotas. What holds for all agents, the parameters of the ' +
    'cluster say; for one, `aegis cluster propose --quota`.';
  static override readonly examples = [
    { description: 'All members', command: '<%= config.bin %> cluster quota' },
    { description: 'One', command: '<%= config.bin %> cluster quota dave' },
  ];
  static override readonly args = {
    member: Args.string({ ignoreStdin: true, description: 'Node id, the start of one or name.' }),
  };

  protected override async work(): Promise<Reply<'cluster.quotas'>> {
    const client = await this.client();
    const { member } = this.args;
    return await client.call('cluster.quotas', { query: member === undefined ? {} : { member } });
  }

  protected override view({ quotas }: Reply<'cluster.quotas'>): string {
    const of = (unit: (amount: number) => string, { used, limit }: Quota['paths']): string =>
      limit === null ? unit(used) : `${unit(used)} of ${unit(limit)}`;
    return table(
      quotas,
      [
        { title: 'NAME', cell: ({ name, nodeId }) => name ?? nodeId },
        { title: 'ROLE', cell: ({ role }) => role },
        { title: 'CHANGES', cell: ({ changesPerHour }) => of(String, changesPerHour) },
        { title: 'BYTES', cell: ({ bytesPerHour }) => of(bytes, bytesPerHour) },
        { title: 'PATHS', cell: ({ paths }) => of(String, paths) },
      ],
      { heading: this.paint.bold },
    );
  }
}
