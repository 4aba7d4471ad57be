/** `aegis kb grant`: an owner lets a node write in a namespace. */
import { Args, Flags } from '@oclif/core';
import { kbPathArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { whoText } from '../../cli/chain.ts';
import { safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

const TIMEOUT_MS = 60_000;

export default class KbGrant extends BaseCommand<typeof KbGrant, Reply<'kb.grant'>> {
  static override readonly summary = 'Let a node write under a path.';
  static override readonly description =
    'The node of this home must be an owner of the namespace, or of one around it. Writers may ' +
    'write there; owners may also grant and revoke. A path within a namespace becomes one of its ' +
    'own by the first grant. The first namespaces are made by custodians: `aegis cluster propose ' +
    '--namespace`.';
  static override readonly examples = [
    {
      description: 'Let bob write',
      command: '<%= config.bin %> kb grant projects/moon bob --as writer',
    },
    {
      description: 'Make carol an owner of a part of it',
      command: '<%= config.bin %> kb grant projects/moon/engine carol --as owner',
    },
  ];
  static override readonly args = {
    path: kbPathArg,
    node: Args.string({ required: true, description: 'Node id, the start of one or name.' }),
  };
  static override readonly flags = {
    as: Flags.option({
      options: ['owner', 'writer'] as const,
      default: 'writer' as const,
      description: 'What the node may be.',
    })(),
  };

  protected override async work(): Promise<Reply<'kb.grant'>> {
    const { path, node } = this.args;
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs: timeoutMs + 5000 });
    const body = { path, node, right: this.flags.as, wait: 'final' as const, timeoutMs };
    return await client.call('kb.grant', { body, signal: this.interruption() });
  }

  protected override view({ path, node, right, changed, height }: Reply<'kb.grant'>): string {
    const was = changed === false ? ', as it was before' : '';
    return `${whoText(node)} is ${right} of ${safeText(path)} from block ${height}${was}`;
  }
}
