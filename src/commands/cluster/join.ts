/** `aegis cluster join`: takes a genesis or an invitation of others into this home. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand, confirmFlags } from '../../cli/base.ts';
import { checkMember, clusterText, describeCluster, hasGenesis } from '../../cli/cluster.ts';
import { countAgain, enterCluster } from '../../cli/clusters.ts';
import {
  checkInvitation,
  invitationFacts,
  keepInvitation,
  readEntry,
} from '../../cli/invitation.ts';
import { inspectOwnKeys } from '../../cli/own-home.ts';
import { describeRecovery, joinRecovery } from '../../cli/recovery.ts';
import type { ClusterJoinResult } from '../../core/api/contract/cluster.ts';
import { withCluster } from '../../core/config/home.ts';
import { AegisError } from '../../core/errors.ts';
import { writeFileAtomic } from '../../core/files.ts';
import { type Genesis, openGenesis } from '../../core/model/genesis.ts';

export default class ClusterJoin extends BaseCommand<typeof ClusterJoin, ClusterJoinResult> {
  static override readonly summary = 'Take a genesis or an invitation into this home.';
  static override readonly description =
    'A genesis that names this node, or an invitation for it. It is checked and written into the ' +
    'home; an invited node asks to be admitted when it starts. Compare the fingerprint of the ' +
    'cluster with the others over another channel: whoever makes the genesis chooses the ' +
    'members. A genesis is never overwritten; for one more cluster, which uses the same keys, ' +
    'give it a name with --cluster: it has data, settings and a daemon of its own. A genesis ' +
    'made by `cluster recover` takes the home over to the cluster that goes on: what belongs to ' +
    'the chain before is renamed and kept, the knowledge base and the peers stay.';
  static override readonly examples = [
    { description: 'Join', command: '<%= config.bin %> cluster join notes.genesis' },
    {
      description: 'By an invitation',
      command: '<%= config.bin %> cluster join carol.invitation',
    },
    {
      description: 'Go on after a lost quorum, on a machine that has not the state',
      command: '<%= config.bin %> cluster join recovery.genesis --state notes.state',
    },
    {
      description: 'One more cluster, with the same keys',
      command: '<%= config.bin %> cluster join work.genesis --cluster work',
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

  static override readonly flags = {
    ...confirmFlags,
    state: Flags.string({
      helpValue: '<file>',
      description: 'For a genesis of a recovery: what `cluster recover --state` wrote.',
    }),
  };

  protected override async work(): Promise<ClusterJoinResult> {
    const paths = this.home();
    const { nodeId } = await inspectOwnKeys(withCluster(paths, undefined));
    const { genesis: bytes, invited, text } = await readEntry(this.args.file);
    const genesis = invited?.genesis ?? openGenesis(bytes);
    if (invited === undefined) checkMember(genesis, nodeId);
    else checkInvitation(invited, nodeId);
    const { origin } = genesis;
    await enterCluster(paths, genesis);
    const isNew = await this.#enter(genesis, bytes);
    const joined = (await countAgain(paths)) || isNew;
    const invitation = invited === undefined ? null : await keepInvitation(paths, invited, text);
    const cluster = describeCluster(genesis, nodeId);
    this.note(`Compare with the others: ${cluster.fingerprint}`);
    const { cluster: own } = paths;
    this.note(`Next: aegis node start${own === undefined ? '' : ` --cluster ${own}`}`);
    const recovery = origin === undefined ? null : describeRecovery(origin);
    return { schema: 'aegis.cluster.join/1', ...cluster, invitation, recovery, joined };
  }

  /** @returns false when this home was in the cluster before. */
  async #enter(genesis: Genesis, bytes: Uint8Array): Promise<boolean> {
    const paths = this.home();
    const { state } = this.flags;
    if (genesis.origin === undefined) {
      if (state !== undefined) {
        throw new AegisError('USAGE', '--state is for a genesis of a recovery, and this is none');
      }
      if (await hasGenesis(paths, bytes)) return false;
      await writeFileAtomic(paths.genesis, bytes, { mode: 0o600 });
      return true;
    }
    return await joinRecovery(paths, { genesis, bytes, origin: genesis.origin }, state, {
      confirm: (question) => this.confirm(question),
    });
  }

  protected override view(result: ClusterJoinResult): string {
    const { invitation } = result;
    const by = invitation === null ? '' : `\n\n${invitationFacts(invitation)}`;
    return `${clusterText(result)}${by}`;
  }
}
