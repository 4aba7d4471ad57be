/** `aegis kb shred`: deletes a path and destroys the keys of all that it was. */
import { kbPathArg } from '../../cli/args.ts';
import { BaseCommand, confirmFlags } from '../../cli/base.ts';
import { finalText } from '../../cli/chain.ts';
import { safeText } from '../../cli/format.ts';
import { writeFlags, writingOf } from '../../cli/kb/put-command.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

const TIMEOUT_MS = 60_000;
const { replicas: _replicas, ...flags } = writeFlags;

export default class KbShred extends BaseCommand<typeof KbShred, Reply<'kb.rm'>> {
  static override readonly summary = 'Delete a path and destroy the keys of its contents.';
  static override readonly description =
    'Writes a version that says so. Every node that follows the chain then destroys the keys of ' +
    'all versions of the path and takes them in no more, so that what remains of their contents ' +
    'anywhere is ciphertext. A node that is away does it when it is back. It does not reach ' +
    'copies outside of the nodes: backups, exports, who has written a key down, and contents ' +
    'that were put with --plain, which are only deleted. A later `aegis kb put` has a new key.';
  static override readonly examples = [
    { description: 'Destroy what a path was', command: '<%= config.bin %> kb shred notes/old.md' },
    {
      description: 'In a script, which is asked nothing',
      command: '<%= config.bin %> kb shred notes/old.md --yes',
    },
  ];
  static override readonly args = { path: kbPathArg };
  static override readonly flags = { ...flags, ...confirmFlags };

  protected override async work(): Promise<Reply<'kb.rm'>> {
    const { path } = this.args;
    await this.confirm(
      `shred ${safeText(path)}? Nobody reads any version of it again. Copies outside of the ` +
        'nodes, as in backups and exports, are not reached.',
    );
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs });
    const body = { path, ...writingOf(this.flags), timeoutMs, shred: true };
    return await client.call('kb.rm', { body, signal: this.interruption() });
  }

  protected override view({ path, height, created }: Reply<'kb.rm'>): string {
    if (!created) return `${safeText(path)}: was shredded before`;
    const when = height === null ? 'once it is final' : `final ${finalText(height)}`;
    return `${safeText(path)}: shredded, ${when}`;
  }
}
