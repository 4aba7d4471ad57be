/** `aegis cluster rejoin`: takes another invitation into a home that is in the cluster. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { clusterText, describeCluster, ownGenesis } from '../../cli/cluster.ts';
import {
  checkInvitation,
  invitationFacts,
  keepInvitation,
  readEntry,
} from '../../cli/invitation.ts';
import { inspectOwnKeys } from '../../cli/own-home.ts';
import type { ClusterRejoinResult } from '../../core/api/contract/cluster.ts';
import { AegisError } from '../../core/errors.ts';

export default class ClusterRejoin extends BaseCommand<typeof ClusterRejoin, ClusterRejoinResult> {
  static override readonly summary = 'Return to the cluster by another invitation.';
  static override readonly description =
    'For an agent that has left, and for a member whose peers have changed their keys and ' +
    'addresses while it was away: a fresh invitation tells it where members are now, and which ' +
    'keys they have. The home, its keys and its data stay as they are.';
  static override readonly examples = [
    {
      description: 'Return',
      command: '<%= config.bin %> cluster rejoin carol.invitation',
    },
  ];
  static override readonly args = {
    invitation: Args.string({
      required: true,
      description: 'The file that `cluster invite` wrote; - is standard input.',
    }),
  };

  protected override async work(): Promise<ClusterRejoinResult> {
    const paths = this.home();
    const { nodeId } = await inspectOwnKeys(paths);
    const { genesis } = await ownGenesis(paths);
    const { invited, text } = await readEntry(this.args.invitation);
    if (invited === undefined) {
      throw new AegisError('BAD_REQUEST', 'that is a genesis, and a return takes an invitation', {
        hint: 'Ask a custodian for one: aegis cluster invite',
      });
    }
    if (invited.genesis.clusterId !== genesis.clusterId) {
      throw new AegisError('BAD_REQUEST', 'the invitation is for another cluster', {
        hint: 'See those of this home: aegis cluster list',
      });
    }
    checkInvitation(invited, nodeId);
    const invitation = await keepInvitation(paths, invited, text);
    this.note('Next: aegis node restart');
    const cluster = describeCluster(genesis, nodeId);
    return { schema: 'aegis.cluster.rejoin/1', ...cluster, invitation };
  }

  protected override view(result: ClusterRejoinResult): string {
    return `${clusterText(result)}\n\n${invitationFacts(result.invitation)}`;
  }
}
