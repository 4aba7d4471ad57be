/** `aegis node wait`: returns once the node is ready, has enough peers, or is far enough. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { span } from '../../cli/format.ts';
import { untilAnswered } from '../../cli/until-answered.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { WAIT_FOR } from '../../core/api/contract/routes.ts';
import { AegisError } from '../../core/errors.ts';

const TIMEOUT_MS = 30_000;

export default class NodeWait extends BaseCommand<typeof NodeWait, Reply<'node.wait'>> {
  static override readonly summary =
    'Wait until the node is ready, has enough peers or is at a height.';
  static override readonly description =
    'Also waits for a daemon that is only just starting. Gives up after --timeout (30 s by ' +
    'default): exit status 75, or 69 when no daemon has answered at all.';
  static override readonly examples = [
    { description: 'Wait until it answers', command: '<%= config.bin %> node wait' },
    {
      description: 'Wait until it holds the block at height 12 final',
      command: '<%= config.bin %> node wait --for height=12',
    },
    {
      description: 'Wait until three peers are connected, for a minute at most',
      command: '<%= config.bin %> node wait --for peers=3 --timeout 1m',
    },
  ];
  static override readonly flags = {
    for: Flags.string({
      default: 'ready',
      helpValue: 'ready|peers=<number>|height=<number>',
      description: 'What to wait for.',
    }),
  };

  protected override async work(): Promise<Reply<'node.wait'>> {
    const wanted = this.flags.for;
    if (!WAIT_FOR.test(wanted)) {
      throw new AegisError('USAGE', `cannot wait for ${JSON.stringify(wanted)}`, {
        hint: 'Wait for ready, for peers=N with N up to 9999, or for height=H.',
      });
    }
    const deadline = Date.now() + this.timeoutMs(TIMEOUT_MS);
    return await untilAnswered({ deadline, signal: this.interruption() }, async (timeoutMs) => {
      const client = await this.client({ timeoutMs });
      return await client.call('node.wait', {
        query: { for: wanted, timeoutMs },
        signal: this.interruption(),
      });
    });
  }

  protected override view({ for: what, waitedMs }: Reply<'node.wait'>): string {
    return `${what} after ${span(waitedMs)}`;
  }
}
