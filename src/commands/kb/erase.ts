/** `aegis kb erase`: takes the name of a deleted path out of the state. */
import { kbPathArg } from '../../cli/args.ts';
import { BaseCommand, confirmFlags } from '../../cli/base.ts';
import { safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

const TIMEOUT_MS = 60_000;

export default class KbErase extends BaseCommand<typeof KbErase, Reply<'kb.erase'>> {
  static override readonly summary = 'Erase the name of a deleted path from the state.';
  static override readonly description =
    'The path must be deleted, all heads of it. Where there is a namespace, this node must be ' +
    'an owner of it. The name leaves the state of the cluster; blocks hold it encrypted until ' +
    'they are pruned (`aegis chain prune`, on every node). The protocol version must be 2.';
  static override readonly examples = [
    { description: 'Erase one', command: '<%= config.bin %> kb erase notes/old.md --yes' },
  ];
  static override readonly args = { path: kbPathArg };
  static override readonly flags = { ...confirmFlags };

  protected override async work(): Promise<Reply<'kb.erase'>> {
    const { path } = this.args;
    await this.confirm(`erase ${safeText(path)}? Nobody finds what it was any more.`);
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs: timeoutMs + 5000 });
    const body = { path, wait: 'final' as const, timeoutMs };
    return await client.call('kb.erase', { body, signal: this.interruption() });
  }

  protected override view({ path, height, changed }: Reply<'kb.erase'>): string {
    const what = changed === false ? 'was erased before' : `erased as of block ${height}`;
    return `${safeText(path)}: ${what}`;
  }
}
