/** `aegis consensus explain`: how a block became final. */
import { heightArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { checkHeight, counted } from '../../cli/chain.ts';
import { safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { HEIGHT } from '../../core/api/contract/routes.ts';

type Explanation = Reply<'consensus.explain'>;

export default class ConsensusExplain extends BaseCommand<typeof ConsensusExplain, Explanation> {
  static override readonly summary = 'Explain how a block became final.';
  static override readonly description =
    'Which leaders failed, who proposed it, who signed, and how long each step took. Times are ' +
    'those of this node, and it remembers them for recent heights that it took part in. Exit ' +
    'status 66 for a height that nobody works on yet.';
  static override readonly examples = [
    { description: 'The first block', command: '<%= config.bin %> consensus explain 1' },
    {
      description: 'The last block',
      command:
        '<%= config.bin %> consensus explain ' +
        '$(<%= config.bin %> consensus status --json | jq .height)',
    },
  ];
  static override readonly args = { height: heightArg };

  protected override async work(): Promise<Explanation> {
    const id = checkHeight(this.args.height, HEIGHT);
    const client = await this.client();
    return await client.call('consensus.explain', { params: { id } });
  }

  protected override view({ height, state, intents, digest, verdict }: Explanation): string {
    const what = intents === null ? '' : `, ${counted(intents, 'intent')}`;
    const mark = state === 'final' ? this.paint.green('final') : this.paint.yellow('not final');
    const title = `${this.paint.bold(`height ${height}`)}: ${mark}${what}  ${digest ?? ''}`;
    return [title.trimEnd(), ...verdict.map((line) => `  ${safeText(line)}`)].join('\n');
  }
}
