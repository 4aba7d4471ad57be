/** `aegis kb revert`: an earlier content of a path once more. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { writeFlags, writingOf, writtenView } from '../../cli/kb/put-command.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

const TIMEOUT_MS = 60_000;

export default class KbRevert extends BaseCommand<typeof KbRevert, Reply<'kb.revert'>> {
  static override readonly summary = 'Go back to an earlier version of a path.';
  static override readonly description =
    'Writes a new version with the content of an earlier one: of the one before the shown, or of ' +
    'the one that is named. History is only added to, and no content is sent again. A deleted ' +
    'path comes back by it.';
  static override readonly examples = [
    { description: 'Undo the last change', command: '<%= config.bin %> kb revert plan.md' },
    {
      description: 'Go back to a certain version',
      command: '<%= config.bin %> kb revert plan.md@bafyr4i...',
    },
  ];
  static override readonly args = {
    path: Args.string({ required: true, description: 'PATH, or PATH@VERSION.' }),
  };
  static override readonly flags = writeFlags;

  protected override async work(): Promise<Reply<'kb.revert'>> {
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs });
    const body = { path: this.args.path, ...writingOf(this.flags), timeoutMs };
    return await client.call('kb.revert', { body, signal: this.interruption() });
  }

  protected override view(reply: Reply<'kb.revert'>): string {
    return `${writtenView(reply)}\ncontent of ${reply.from}`;
  }
}
