/** `aegis cluster join`: takes a genesis or an invitation of others into this home. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { checkMember, clusterText, describeCluster, hasGenesis } from '../../cli/cluster.ts';
import { invitationFacts, readEntry, takeInvitation } from '../../cli/invitation.ts';
import { inspectOwnKeys } from '../../cli/own-home.ts';
import type { ClusterJoinResult } from '../../core/api/contract/cluster.ts';
import { writeFileAtomic } from '../../core/files.ts';
import { openGenesis } from '../../core/model/genesis.ts';

export default class ClusterJoin extends BaseCommand<typeof ClusterJoin, ClusterJoinResult> {
  static override readonly summary = 'Take a genesis or an invitation into this home.';
  static override readonly description =
    'A genesis that names this node, or an invitation for it. It is checked and written into the ' +
    'home; an invited node asks to be admitted when it starts. Compare the fingerprint of the ' +
    'cluster with the others over another channel: whoever makes the genesis chooses the ' +
    'members. A home serves one cluster; a genesis is never overwritten.';
  static override readonly examples = [
    { description: 'Join', command: '<%= config.bin %> cluster join notes.genesis' },
    {
      description: 'By an invitation',
      command: '<%= config.bin %> cluster join carol.invitation',
    },
    {
      description: 'From a pipe',
      command: 'ssh alice cat notes.genesis | <%= config.bin %> cluster join -',
    },
  ];
  static override readonly args = {
    file: Args.string({
      required: true,
      description: 'What `cluster create --out` or `cluster invite` wrote; - is standard input.',
    }),
  };

  protected override async work(): Promise<ClusterJoinResult> {
    const paths = this.home();
    const { nodeId } = await inspectOwnKeys(paths);
    const { genesis: bytes, invited, text } = await readEntry(this.args.file);
    const genesis = invited?.genesis ?? openGenesis(bytes);
    if (invited === undefined) checkMember(genesis, nodeId);
    const joined = !(await hasGenesis(paths, bytes));
    const invitation =
      invited === undefined ? null : await takeInvitation(paths, invited, text, nodeId);
    if (joined) await writeFileAtomic(paths.genesis, bytes, { mode: 0o600 });
    const cluster = describeCluster(genesis, nodeId);
    this.note(`Compare with the others: ${cluster.fingerprint}`);
    this.note('Next: aegis node start');
    return { schema: 'aegis.cluster.join/1', ...cluster, invitation, joined };
  }

  protected override view(result: ClusterJoinResult): string {
    const { invitation } = result;
    const by = invitation === null ? '' : `\n\n${invitationFacts(invitation)}`;
    return `${clusterText(result)}${by}`;
  }
}
