/** `aegis devnet status`: which nodes of the local cluster run. */
import { BaseCommand } from '../../cli/base.ts';
import { devnetOptions, devnetTable, openDevnet } from '../../cli/devnet.ts';
import type { DevnetStatusResult } from '../../core/api/contract/daemons.ts';

export default class DevnetStatus extends BaseCommand<typeof DevnetStatus, DevnetStatusResult> {
  static override readonly summary = 'Show which nodes of the local cluster run.';
  static override readonly description =
    'A node is running, paused (see `aegis devnet pause`) or stopped.';
  static override readonly examples = [
    { description: 'See the nodes', command: '<%= config.bin %> devnet status' },
    { description: 'The same for a script', command: '<%= config.bin %> devnet status --json' },
  ];

  protected override async work(): Promise<DevnetStatusResult> {
    const devnet = await openDevnet(this.home());
    const { dir } = devnetOptions(this.home());
    return { schema: 'aegis.devnet.status/1', dir, nodes: await devnet.status() };
  }

  protected override view({ nodes }: DevnetStatusResult): string {
    return devnetTable(nodes);
  }
}
