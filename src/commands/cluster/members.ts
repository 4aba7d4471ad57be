/** `aegis cluster members`: who is a member now. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { counted } from '../../cli/chain.ts';
import { membersTable } from '../../cli/members.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class ClusterMembers extends BaseCommand<
  typeof ClusterMembers,
  Reply<'cluster.members'>
> {
  static override readonly summary = 'List the members of the cluster.';
  static override readonly description =
    'As of the last block that is final on this node: those of the genesis, and those that were ' +
    'let in since. SINCE is the height of the block that did it, or genesis; KEYS counts the ' +
    'changes of keys, READY is the protocol version that a custodian has said to be ready for.';
  static override readonly examples = [
    { description: 'List the members', command: '<%= config.bin %> cluster members' },
    {
      description: 'Node ids of agents, for a script',
      command:
        '<%= config.bin %> cluster members --json | jq ' +
        '-r \'.members[] | select(.role == "agent").nodeId\'',
    },
  ];
  static override readonly flags = {
    all: Flags.boolean({ char: 'a', description: 'Also those that have left.' }),
  };

  protected override async work(): Promise<Reply<'cluster.members'>> {
    const client = await this.client();
    return await client.call('cluster.members', { query: { all: this.flags.all } });
  }

  protected override view({ members, custodians, agents }: Reply<'cluster.members'>): string {
    const counts = `${counted(custodians, 'custodian')}, ${counted(agents, 'agent')}`;
    return `${membersTable(members, this.paint.bold)}\n\n${counts}`;
  }
}
