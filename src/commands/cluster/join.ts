/** `aegis cluster join`: takes a genesis that somebody else made into this home. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import {
  checkMember,
  clusterText,
  describeCluster,
  hasGenesis,
  readGenesis,
} from '../../cli/cluster.ts';
import { inspectOwnKeys } from '../../cli/own-home.ts';
import type { ClusterJoinResult } from '../../core/api/contract/cluster.ts';
import { writeFileAtomic } from '../../core/files.ts';
import { openGenesis } from '../../core/model/genesis.ts';

export default class ClusterJoin extends BaseCommand<typeof ClusterJoin, ClusterJoinResult> {
  static override readonly summary = 'Take the genesis of a cluster into this home.';
  static override readonly description =
    'Checks the genesis, and that this node is in it, and writes it into the home. Compare the ' +
    'fingerprint of the cluster with the others over another channel: whoever makes the genesis ' +
    'chooses the members. A home serves one cluster; a genesis is never overwritten.';
  static override readonly examples = [
    { description: 'Join', command: '<%= config.bin %> cluster join notes.genesis' },
    {
      description: 'From a pipe',
      command: 'ssh alice cat notes.genesis | <%= config.bin %> cluster join -',
    },
  ];
  static override readonly args = {
    genesis: Args.string({
      required: true,
      description: 'The file that `cluster create --out` wrote; - is standard input.',
    }),
  };

  protected override async work(): Promise<ClusterJoinResult> {
    const paths = this.home();
    const { nodeId } = await inspectOwnKeys(paths);
    const bytes = await readGenesis(this.args.genesis);
    const genesis = openGenesis(bytes);
    checkMember(genesis, nodeId);
    const joined = !(await hasGenesis(paths, bytes));
    if (joined) await writeFileAtomic(paths.genesis, bytes, { mode: 0o600 });
    const cluster = describeCluster(genesis, nodeId);
    this.note(`Compare with the others: ${cluster.fingerprint}`);
    this.note('Next: aegis node start');
    return { schema: 'aegis.cluster.join/1', ...cluster, joined };
  }

  protected override view(result: ClusterJoinResult): string {
    return clusterText(result);
  }
}
