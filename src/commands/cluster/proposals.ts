/** `aegis cluster proposals`: what is proposed, and who has approved it. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { proposalsTable, proposalText } from '../../cli/governance.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class ClusterProposals extends BaseCommand<
  typeof ClusterProposals,
  Reply<'cluster.proposals'>
> {
  static override readonly summary = 'List proposals, and who has approved them.';
  static override readonly description =
    'As of the last block that is final on this node. FROM is the height from which a proposal ' +
    'holds once it is decided.';
  static override readonly examples = [
    { description: 'Those that are open', command: '<%= config.bin %> cluster proposals' },
    {
      description: 'Also those that are over, for a script',
      command:
        "<%= config.bin %> cluster proposals --all --json | jq -r '.proposals[] | [.id, .status]'",
    },
  ];
  static override readonly flags = {
    all: Flags.boolean({ char: 'a', description: 'Also those that are over.' }),
  };

  protected override async work(): Promise<Reply<'cluster.proposals'>> {
    const client = await this.client();
    return await client.call('cluster.proposals', { query: { all: this.flags.all } });
  }

  protected override view({ proposals }: Reply<'cluster.proposals'>): string {
    const [one] = proposals;
    if (one === undefined) return this.flags.all ? 'none' : 'none is open';
    if (proposals.length === 1) return proposalText(one);
    return proposalsTable(proposals, this.paint.bold);
  }
}
