/** `aegis node stop`: stops the node gracefully. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import type { NodeStopOutput } from '../../core/api/contract/outputs.ts';

const TIMEOUT_MS = 30_000;

export default class NodeStop extends BaseCommand<typeof NodeStop, NodeStopOutput> {
  static override readonly summary = 'Stop the node of this home.';
  static override readonly description =
    'Lets running requests end, then stops the daemon, and waits until its process has gone. ' +
    'Nothing that was acknowledged is lost.';
  static override readonly examples = [
    { description: 'Stop it', command: '<%= config.bin %> node stop' },
    {
      description: 'Ask it to stop and return at once',
      command: '<%= config.bin %> node stop --no-wait',
    },
  ];
  static override readonly flags = {
    wait: Flags.boolean({
      default: true,
      allowNo: true,
      description: 'Wait until the process has gone.',
    }),
  };

  protected override async work(): Promise<NodeStopOutput> {
    const client = await this.client();
    if (!this.flags.wait) return { ...(await client.call('node.stop')), stopped: false };
    const { stopDaemon } = await import('../../cli/stop.ts');
    const pid = await stopDaemon(client, this.timeoutMs(TIMEOUT_MS));
    return { schema: 'aegis.node.stop/1', stopping: true, pid, stopped: true };
  }

  protected override view({ pid, stopped }: NodeStopOutput): string {
    return stopped ? `stopped process ${pid}` : `stopping process ${pid}`;
  }
}
