/** `aegis intent list`: the intents of this node. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { changesText, counted, fateText, shortDigest } from '../../cli/chain.ts';
import { ago, table } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

type Listed = Reply<'intents.list'>;

export default class IntentList extends BaseCommand<typeof IntentList, Listed> {
  static override readonly summary = 'List the intents of this node.';
  static override readonly description =
    'Those that are pending, and the last ones that were decided; the newest first. Pending ones ' +
    'are durable and are passed on until they are decided, also after a restart.';
  static override readonly examples = [
    { description: 'The last ones', command: '<%= config.bin %> intent list' },
    { description: 'What waits', command: '<%= config.bin %> intent list --status pending' },
  ];
  static override readonly flags = {
    status: Flags.option({
      options: ['pending', 'final'] as const,
      description: 'Only these.',
    })(),
    limit: Flags.integer({
      char: 'n',
      default: 100,
      min: 1,
      max: 1000,
      helpValue: '<number>',
      description: 'List this many at most.',
    }),
  };

  protected override async work(): Promise<Listed> {
    const { status, limit } = this.flags;
    const client = await this.client();
    const query = { limit, ...(status !== undefined && { status }) };
    return await client.call('intents.list', { query });
  }

  protected override view({ intents, pending }: Listed): string {
    if (intents.length === 0) return 'none';
    const list = table(
      intents,
      [
        { title: 'INTENT', cell: ({ id }) => shortDigest(id) },
        { title: 'SEQ', cell: ({ sequence }) => sequence, align: 'right' },
        { title: 'AGE', cell: ({ time }) => ago(time) },
        { title: 'STATUS', cell: fateText },
        { title: 'CHANGES', cell: changesText },
      ],
      { heading: this.paint.bold },
    );
    return `${list}\n\n${counted(pending, 'intent')} pending`;
  }
}
