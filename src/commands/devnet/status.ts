/** `aegis devnet status`: which nodes of the local cluster run. */
import { BaseCommand } from '../../cli/base.ts';
import { devnetOptions, devnetTable, groupsOf, openDevnet } from '../../cli/devnet.ts';
import type { DevnetStatusResult } from '../../core/api/contract/daemons.ts';

export default class DevnetStatus extends BaseCommand<typeof DevnetStatus, DevnetStatusResult> {
  static override readonly summary = 'Show which nodes of the local cluster run.';
  static override readonly description =
    'A node is running, paused (see `aegis devnet pause`) or stopped. While the nodes are parted ' +
    'into groups (see `aegis devnet partition`) there is a column with the number of the group. ' +
    'A last line says whether the private Tor network runs, if the nodes have one.';
  static override readonly examples = [
    { description: 'See the nodes', command: '<%= config.bin %> devnet status' },
    { description: 'The same for a script', command: '<%= config.bin %> devnet status --json' },
  ];

  protected override async work(): Promise<DevnetStatusResult> {
    const devnet = await openDevnet(this.home());
    const { dir } = devnetOptions(this.home());
    const nodes = await devnet.status();
    const { tor } = devnet;
    return { schema: 'aegis.devnet.status/1', dir, groups: groupsOf(devnet), nodes, tor };
  }

  protected override view({ nodes, groups, tor }: DevnetStatusResult): string {
    return devnetTable(nodes, { groups, tor });
  }
}
