/** `aegis node stop`: stops the node gracefully. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import type { NodeStopOutput } from '../../core/api/contract/outputs.ts';
import { AegisError } from '../../core/errors.ts';

const TIMEOUT_MS = 30_000;
const PAUSE_MS = 50;

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
    const reply = await client.call('node.stop');
    if (this.flags.wait) await this.#gone(reply.pid, this.timeoutMs(TIMEOUT_MS));
    return { ...reply, stopped: this.flags.wait };
  }

  async #gone(pid: number, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (alive(pid)) {
      if (Date.now() > deadline) {
        throw new AegisError('TIMEOUT', `process ${pid} has not ended within ${timeoutMs} ms`, {
          hint: 'It was told to stop; look again: aegis node status',
        });
      }
      await sleep(PAUSE_MS);
    }
  }

  protected override view({ pid, stopped }: NodeStopOutput): string {
    return stopped ? `stopped process ${pid}` : `stopping process ${pid}`;
  }
}

/** Signal 0 only asks. EPERM: it lives and belongs to somebody else. */
function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
