/** `aegis devnet partition`: cuts the network of the local cluster in parts. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import {
  devnetOptions,
  devnetTable,
  groupsOf,
  openDevnet,
  partedLater,
  verdictOn,
} from '../../cli/devnet.ts';
import type { DevnetPartitionResult } from '../../core/api/contract/daemons.ts';

export default class DevnetPartition extends BaseCommand<
  typeof DevnetPartition,
  DevnetPartitionResult
> {
  static override readonly summary = 'Cut the network of the local cluster in groups.';
  static override readonly description =
    'Nodes of different groups close their connections and turn each other away until ' +
    '`aegis devnet heal`, as when a cable is cut. Nodes that are not named make one more group. ' +
    'Groups replace those of before. A node that is stopped or paused is parted when it comes ' +
    'back; `aegis devnet down` ends the groups.';
  static override readonly examples = [
    { description: 'Two and two', command: '<%= config.bin %> devnet partition 1,2/3,4' },
    { description: 'The fourth node alone', command: '<%= config.bin %> devnet partition 4' },
    {
      description: 'For a minute',
      command: '<%= config.bin %> devnet partition 4; sleep 60; <%= config.bin %> devnet heal',
    },
  ];
  static override readonly args = {
    groups: Args.string({
      required: true,
      description: 'Numbers or names of nodes with "," between them, "/" between groups.',
    }),
  };

  protected override async work(): Promise<DevnetPartitionResult> {
    const devnet = await openDevnet(this.home());
    const { dir } = devnetOptions(this.home());
    const nodes = await devnet.partition(this.args.groups);
    const groups = groupsOf(devnet);
    for (const line of partedLater(nodes)) this.note(line);
    if (groups !== null) this.note(verdictOn(groups, nodes));
    return { schema: 'aegis.devnet.partition/1', dir, groups, nodes, tor: devnet.tor };
  }

  protected override view({ nodes, groups, tor }: DevnetPartitionResult): string {
    return devnetTable(nodes, { groups, tor });
  }
}
