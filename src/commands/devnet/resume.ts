/** `aegis devnet resume`: brings one node back. */
import { BaseCommand } from '../../cli/base.ts';
import { openDevnet, whichNode } from '../../cli/devnet.ts';
import type { DevnetStatus } from '../../core/node/devnet.ts';

interface ResumeResult {
  readonly schema: 'aegis.devnet.resume/1';
  readonly node: DevnetStatus;
}

export default class DevnetResume extends BaseCommand<typeof DevnetResume, ResumeResult> {
  static override readonly summary = 'Continue a paused node, or start a stopped one.';
  static override readonly description =
    'After `aegis devnet pause` the node goes on where it was; after `aegis devnet kill` it starts anew from its disk.';
  static override readonly examples = [
    { description: 'Bring the second node back', command: '<%= config.bin %> devnet resume 2' },
  ];
  static override readonly args = whichNode;

  protected override async work(): Promise<ResumeResult> {
    const devnet = await openDevnet(this.home());
    const node = await devnet.resume(this.args.node);
    return { schema: 'aegis.devnet.resume/1', node };
  }

  protected override view({ node }: ResumeResult): string {
    return `${node.name} runs with pid ${node.pid}`;
  }
}
