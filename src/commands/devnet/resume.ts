/** `aegis devnet resume`: brings one node back. */
import { BaseCommand } from '../../cli/base.ts';
import { openDevnet, whichNode } from '../../cli/devnet.ts';
import type { DevnetResumeResult } from '../../core/api/contract/daemons.ts';

export default class DevnetResume extends BaseCommand<typeof DevnetResume, DevnetResumeResult> {
  static override readonly summary = 'Continue a paused node, or start a stopped one.';
  static override readonly description =
    'After `aegis devnet pause` the node goes on where it was; after `aegis devnet kill` it ' +
    'starts anew from its disk.';
  static override readonly examples = [
    { description: 'Bring the second node back', command: '<%= config.bin %> devnet resume 2' },
  ];
  static override readonly args = whichNode;

  protected override async work(): Promise<DevnetResumeResult> {
    const devnet = await openDevnet(this.home());
    const node = await devnet.resume(this.args.node);
    return { schema: 'aegis.devnet.resume/1', node };
  }

  protected override view({ node }: DevnetResumeResult): string {
    return `${node.name} runs with pid ${node.pid}`;
  }
}
