/** `aegis kb rm`: deletes a path; what it was stays in its history. */
import { kbPathArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { finalText } from '../../cli/chain.ts';
import { safeText } from '../../cli/format.ts';
import { writeFlags, writingOf } from '../../cli/kb/put-command.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

const TIMEOUT_MS = 60_000;
const { replicas: _replicas, ...flags } = writeFlags;

export default class KbRm extends BaseCommand<typeof KbRm, Reply<'kb.rm'>> {
  static override readonly summary = 'Delete a path.';
  static override readonly description =
    'Writes a version that says that the path is deleted. It is listed no more; its history and ' +
    'contents stay, and `aegis kb revert` or a new `aegis kb put` bring it back. Repeating it is ' +
    'harmless. What is to be destroyed: `aegis kb erase` takes the name away for good.';
  static override readonly examples = [
    { description: 'Delete a path', command: '<%= config.bin %> kb rm notes/old.md' },
    {
      description: 'Only if nobody has written it since it was read',
      command: '<%= config.bin %> kb rm plan.md --if-version bafyr4i...',
    },
  ];
  static override readonly args = { path: kbPathArg };
  static override readonly flags = flags;

  protected override async work(): Promise<Reply<'kb.rm'>> {
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs });
    const body = { path: this.args.path, ...writingOf(this.flags), timeoutMs };
    return await client.call('kb.rm', { body, signal: this.interruption() });
  }

  protected override view({ path, height, created }: Reply<'kb.rm'>): string {
    if (!created) return `${safeText(path)}: was deleted before`;
    const when = height === null ? 'not final yet' : `final ${finalText(height)}`;
    return `${safeText(path)}: deleted, ${when}; back with: aegis kb revert ${safeText(path)}`;
  }
}
