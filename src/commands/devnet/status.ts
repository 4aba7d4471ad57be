/** `aegis devnet status`: which nodes of the local cluster run. */
import { BaseCommand } from '../../cli/base.ts';
import { type DevnetView, devnetOptions, devnetTable, openDevnet } from '../../cli/devnet.ts';

interface StatusResult extends DevnetView {
  readonly schema: 'aegis.devnet.status/1';
}

export default class DevnetStatus extends BaseCommand<typeof DevnetStatus, StatusResult> {
  static override readonly summary = 'Show which nodes of the local cluster run.';
  static override readonly description =
    'A node is running, paused (see `aegis devnet pause`) or stopped.';
  static override readonly examples = [
    { description: 'See the nodes', command: '<%= config.bin %> devnet status' },
    { description: 'The same for a script', command: '<%= config.bin %> devnet status --json' },
  ];

  protected override async work(): Promise<StatusResult> {
    const devnet = await openDevnet(this.home());
    const { dir } = devnetOptions(this.home());
    return { schema: 'aegis.devnet.status/1', dir, nodes: await devnet.status() };
  }

  protected override view({ nodes }: StatusResult): string {
    return devnetTable(nodes);
  }
}
