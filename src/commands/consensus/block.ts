/** `aegis consensus block`: one final block with its intents and its certificate. */
import { heightArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { changesText, checkHeight, shortDigest, whosText, whoText } from '../../cli/chain.ts';
import { ago, bytes, facts, table } from '../../cli/format.ts';
import type { BlockIntent } from '../../core/api/contract/consensus.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { HEIGHT } from '../../core/api/contract/routes.ts';

type Block = Reply<'consensus.block'>;

export default class ConsensusBlock extends BaseCommand<typeof ConsensusBlock, Block> {
  static override readonly summary = 'Show one final block.';
  static override readonly description =
    'Its intents and what each did, its roots, and who signed it. Exit status 66 when this node ' +
    'holds no final block at the height.';
  static override readonly examples = [
    { description: 'The first block', command: '<%= config.bin %> consensus block 1' },
    {
      description: 'Who signed it, for a script',
      command: "<%= config.bin %> consensus block 1 --json | jq -r '.certificate.signers[].name'",
    },
  ];
  static override readonly args = { height: heightArg };

  protected override async work(): Promise<Block> {
    const id = checkHeight(this.args.height, HEIGHT);
    const client = await this.client();
    return await client.call('consensus.block', { params: { id } });
  }

  protected override view(block: Block): string {
    const { certificate } = block;
    const again = certificate.view === block.view ? '' : `, final in view ${certificate.view}`;
    const told = facts([
      ['height', this.paint.bold(String(block.height))],
      ['digest', block.digest],
      ['previous', block.height === 1 ? 'none' : block.previous],
      ['time', `${block.time} (${ago(block.time)})`],
      ['proposer', `${whoText(block.proposer)}, view ${block.view}${again}`],
      ['signed by', `${whosText(certificate.signers)} (${certificate.signers.length})`],
      ['intents', `${block.intents.length}, root ${block.intentsRoot}`],
      ['state', `root ${block.stateRoot}`],
      ['next seed', block.seedProof === null ? undefined : `proof ${block.seedProof}`],
      ['size', bytes(block.sizeBytes)],
    ]);
    return block.intents.length === 0 ? told : `${told}\n\n${this.#intents(block.intents)}`;
  }

  #intents(intents: readonly BlockIntent[]): string {
    return table(
      intents,
      [
        { title: 'INTENT', cell: ({ id }) => shortDigest(id) },
        { title: 'AUTHOR', cell: ({ author, authorName }) => authorName ?? author.slice(0, 14) },
        { title: 'SEQ', cell: ({ sequence }) => sequence, align: 'right' },
        {
          title: 'RESULT',
          cell: ({ result, reason }) => (reason === null ? result : `${result}: ${reason}`),
        },
        { title: 'CHANGES', cell: changesText },
      ],
      { heading: this.paint.bold },
    );
  }
}
