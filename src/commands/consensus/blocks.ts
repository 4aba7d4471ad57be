/** `aegis consensus blocks`: the last final blocks. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { shortDigest, whoText } from '../../cli/chain.ts';
import { ago, bytes, table } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

type Blocks = Reply<'consensus.blocks'>;

export default class ConsensusBlocks extends BaseCommand<typeof ConsensusBlocks, Blocks> {
  static override readonly summary = 'List the final blocks.';
  static override readonly description =
    'The highest first. VIEW above 0 says that so many leaders before failed; SIGNED counts the ' +
    'custodians in the certificate.';
  static override readonly examples = [
    { description: 'The last ones', command: '<%= config.bin %> consensus blocks' },
    {
      description: 'A hundred from height 500 down',
      command: '<%= config.bin %> consensus blocks --from 500 -n 100',
    },
  ];
  static override readonly flags = {
    limit: Flags.integer({
      char: 'n',
      default: 20,
      min: 1,
      max: 200,
      helpValue: '<number>',
      description: 'List this many at most.',
    }),
    from: Flags.integer({ min: 1, helpValue: '<height>', description: 'Begin at this height.' }),
  };

  protected override async work(): Promise<Blocks> {
    const { from, limit } = this.flags;
    const client = await this.client();
    const query = { limit, ...(from !== undefined && { from }) };
    return await client.call('consensus.blocks', { query });
  }

  protected override view({ blocks, height, next }: Blocks): string {
    if (height === 0) return 'no block yet';
    if (blocks.length === 0) return `nothing here: the last final block is ${height}`;
    if (next !== null) this.note(`aegis: ${height} in all; go on with --from ${next}`);
    return table(
      blocks,
      [
        { title: 'HEIGHT', cell: (block) => block.height, align: 'right' },
        { title: 'AGE', cell: (block) => ago(block.time) },
        { title: 'PROPOSER', cell: (block) => whoText(block.proposer) },
        { title: 'VIEW', cell: (block) => block.view, align: 'right' },
        { title: 'INTENTS', cell: (block) => block.intents, align: 'right' },
        { title: 'SIZE', cell: (block) => bytes(block.sizeBytes), align: 'right' },
        { title: 'SIGNED', cell: (block) => block.signers, align: 'right' },
        { title: 'DIGEST', cell: (block) => shortDigest(block.digest) },
      ],
      { heading: this.paint.bold },
    );
  }
}
