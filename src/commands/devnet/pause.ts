/** `aegis devnet pause`: freezes one node. */
import { BaseCommand } from '../../cli/base.ts';
import { openDevnet, whichNode } from '../../cli/devnet.ts';
import type { DevnetPauseResult } from '../../core/api/contract/daemons.ts';

export default class DevnetPause extends BaseCommand<typeof DevnetPause, DevnetPauseResult> {
  static override readonly summary = 'Freeze one node of the local cluster.';
  static override readonly description =
    'Sends SIGSTOP: the node keeps its connections and answers nobody until `aegis devnet resume`.';
  static override readonly examples = [
    { description: 'Freeze the second node', command: '<%= config.bin %> devnet pause 2' },
  ];
  static override readonly args = whichNode;

  protected override async work(): Promise<DevnetPauseResult> {
    const devnet = await openDevnet(this.home());
    const node = await devnet.pause(this.args.node);
    return { schema: 'aegis.devnet.pause/1', node };
  }

  protected override view({ node }: DevnetPauseResult): string {
    return `${node.name} is paused`;
  }
}
