/** `aegis devnet kill`: ends one node as a power cut would. */
import { BaseCommand } from '../../cli/base.ts';
import { openDevnet, whichNode } from '../../cli/devnet.ts';
import type { DevnetKillResult } from '../../core/api/contract/daemons.ts';

export default class DevnetKill extends BaseCommand<typeof DevnetKill, DevnetKillResult> {
  static override readonly summary = 'End one node of the local cluster at once.';
  static override readonly description =
    'Sends SIGKILL: the node has no chance to tidy up, as in a power cut. Bring it back with ' +
    '`aegis devnet resume`.';
  static override readonly examples = [
    { description: 'Kill the second node', command: '<%= config.bin %> devnet kill 2' },
  ];
  static override readonly args = whichNode;

  protected override async work(): Promise<DevnetKillResult> {
    const devnet = await openDevnet(this.home());
    const node = await devnet.kill(this.args.node);
    return { schema: 'aegis.devnet.kill/1', node };
  }

  protected override view({ node }: DevnetKillResult): string {
    return `${node.name} is dead`;
  }
}
