/** `aegis kb revoke`: an owner takes a right back. */
import { Args } from '@oclif/core';
import { kbPathArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { whoText } from '../../cli/chain.ts';
import { safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

const TIMEOUT_MS = 60_000;

export default class KbRevoke extends BaseCommand<typeof KbRevoke, Reply<'kb.revoke'>> {
  static override readonly summary = 'Take from a node what it may do under a path.';
  static override readonly description =
    'The node of this home must be an owner of the namespace, or of one around it. What the ' +
    'other node has written there stays. The last owner can be revoked by an owner of a ' +
    'namespace around it only, or by custodians: `aegis cluster propose --namespace`.';
  static override readonly examples = [
    {
      description: 'Bob may write there no more',
      command: '<%= config.bin %> kb revoke projects/moon bob',
    },
  ];
  static override readonly args = {
    path: kbPathArg,
    node: Args.string({ required: true, description: 'Node id, the start of one or name.' }),
  };

  protected override async work(): Promise<Reply<'kb.revoke'>> {
    const { path, node } = this.args;
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs: timeoutMs + 5000 });
    const body = { path, node, wait: 'final' as const, timeoutMs };
    return await client.call('kb.revoke', { body, signal: this.interruption() });
  }

  protected override view({ path, node, changed, height }: Reply<'kb.revoke'>): string {
    if (changed === false) return `${whoText(node)} had no right in ${safeText(path)}`;
    return `${whoText(node)} has no right in ${safeText(path)} from block ${height}`;
  }
}
