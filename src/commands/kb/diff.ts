/** `aegis kb diff`: what two contents differ in. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { diffView } from '../../cli/kb/diff-view.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { EXIT } from '../../core/errors.ts';

const TIMEOUT_MS = 60_000;

export default class KbDiff extends BaseCommand<typeof KbDiff, Reply<'kb.diff'>> {
  static override readonly summary = 'Compare two contents.';
  static override readonly description =
    'Each of the two is PATH, PATH@VERSION, or the CID of a content. Text is compared by line, ' +
    'JSON by key, directories by entry and inside, anything else by size and the first byte that ' +
    'differs; the contents decide which it is, unless --as does. The exit status is 0 whether ' +
    'they differ or not; with --exit-code it is 1 when they do.';
  static override readonly examples = [
    {
      description: 'What has changed since a version',
      command: '<%= config.bin %> kb diff plan.md@bafyr4i... plan.md',
    },
    {
      description: 'Two paths, for a script',
      command: '<%= config.bin %> kb diff www/old www/new --exit-code -q',
    },
    {
      description: 'The keys of a configuration that differ',
      command: "<%= config.bin %> kb diff a.json b.json --json | jq '.files[].difference.members'",
    },
  ];
  static override readonly args = {
    a: Args.string({ required: true, description: 'PATH, PATH@VERSION or CID.' }),
    b: Args.string({ required: true, description: 'PATH, PATH@VERSION or CID.' }),
  };
  static override readonly flags = {
    as: Flags.option({
      options: ['auto', 'text', 'json', 'bytes'] as const,
      default: 'auto' as const,
      description: 'How files are compared.',
    })(),
    context: Flags.integer({
      char: 'U',
      default: 3,
      min: 0,
      max: 1000,
      helpValue: '<lines>',
      description: 'Lines shown around a change.',
    }),
    provisional: Flags.boolean({ description: 'Also a version that is not final yet.' }),
    'exit-code': Flags.boolean({ description: 'Exit with 1 when they differ.' }),
  };

  protected override async work(): Promise<Reply<'kb.diff'>> {
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs });
    const { as, context, provisional } = this.flags;
    const query = { ...this.args, as, context, provisional, timeoutMs };
    const reply = await client.call('kb.diff', { query, signal: this.interruption() });
    if (this.flags['exit-code'] && !reply.same) process.exitCode = EXIT.no;
    return reply;
  }

  protected override view(reply: Reply<'kb.diff'>): string {
    return this.flags.quiet ? '' : diffView(reply, this.paint);
  }
}
