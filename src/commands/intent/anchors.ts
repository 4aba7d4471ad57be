/** `aegis intent anchors`: what a member has anchored last, by label. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { table } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class IntentAnchors extends BaseCommand<
  typeof IntentAnchors,
  Reply<'intents.anchors'>
> {
  static override readonly summary = 'List the last anchors of a node.';
  static override readonly examples = [
    { description: 'Of this node', command: '<%= config.bin %> intent anchors' },
    { description: 'Of another', command: '<%= config.bin %> intent anchors dave' },
  ];
  static override readonly args = {
    node: Args.string({
      ignoreStdin: true,
      description: 'Node id, the start of one or name. Default: the node of this home.',
    }),
  };

  protected override async work(): Promise<Reply<'intents.anchors'>> {
    const client = await this.client();
    const { node } = this.args;
    return await client.call('intents.anchors', { query: node === undefined ? {} : { node } });
  }

  protected override view({ anchors }: Reply<'intents.anchors'>): string {
    if (anchors.length === 0) return 'none';
    return table(
      anchors,
      [
        { title: 'LABEL', cell: ({ label }) => label },
        { title: 'HEIGHT', cell: ({ height }) => String(height), align: 'right' },
        { title: 'DIGEST', cell: ({ digest }) => digest },
      ],
      { heading: this.paint.bold },
    );
  }
}
