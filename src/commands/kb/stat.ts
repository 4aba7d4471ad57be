/** `aegis kb stat`: facts of the shown version of a path, or of all content on this node. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { finalText } from '../../cli/chain.ts';
import { ago, bytes, facts, safeText } from '../../cli/format.ts';
import { spaceText } from '../../cli/kb/space-view.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

type Result = Reply<'kb.stat'> | Reply<'kb.space'>;

export default class KbStat extends BaseCommand<typeof KbStat, Result> {
  static override readonly summary = 'Show facts of a path, or of all content on this node.';
  static override readonly description =
    'Of a path: its content, version and copies. Without one: how many paths, versions and ' +
    'objects there are, what they take, and how much room is left (kb.quota, kb.reserve).';
  static override readonly examples = [
    { description: 'Facts of a path', command: '<%= config.bin %> kb stat notes.md' },
    {
      description: 'The CID of its content, for a script',
      command: '<%= config.bin %> kb stat notes.md --json | jq -r .cid',
    },
    { description: 'What content takes on this node', command: '<%= config.bin %> kb stat' },
  ];
  static override readonly args = {
    path: Args.string({ ignoreStdin: true, description: 'A path of the knowledge base.' }),
  };

  protected override async work(): Promise<Result> {
    const { path } = this.args;
    const client = await this.client();
    return path === undefined
      ? await client.call('kb.space')
      : await client.call('kb.stat', { query: { path } });
  }

  protected override view(result: Result): string {
    return result.schema === 'aegis.kb.space/1'
      ? spaceText(result, this.paint.yellow)
      : this.#path(result);
  }

  #path(stat: Reply<'kb.stat'>): string {
    const author = stat.authorName === null ? '' : `${safeText(stat.authorName)} `;
    return facts([
      ['path', safeText(stat.path)],
      ['kind', stat.kind],
      ['size', `${bytes(stat.sizeBytes)} (${stat.sizeBytes} bytes)`],
      ['cid', stat.cid],
      ['hash', stat.hash],
      ['sealed', sealedText(stat)],
      ['objects', stat.objects === null ? undefined : String(stat.objects)],
      ['version', stat.version],
      ['generation', generationText(stat)],
      ['parents', stat.parents.join(' ') || 'none'],
      ['author', `${author}${stat.author ?? 'none: it is a merge'}`],
      [
        'conflicts',
        stat.conflicts === 0
          ? undefined
          : this.paint.red(`${stat.conflicts} (see aegis kb conflicts)`),
      ],
      ['time', `${stat.time} (${ago(stat.time)})`],
      ['message', stat.message === null ? undefined : safeText(stat.message)],
      ['heads', stat.heads === 1 ? '1' : this.paint.yellow(`${stat.heads} (see aegis kb log)`)],
      ['final', stat.final ? finalText(stat.height) : this.paint.yellow('not yet')],
      ['copies', copiesText(stat.replicas)],
      ['held here', stat.local ? 'yes' : 'no'],
    ]);
  }
}

const sealedText = ({ sealed, readers }: Reply<'kb.stat'>): string => {
  if (!sealed) return 'no';
  if (readers === null) return 'yes; to whom stands in its root, which is not here';
  return `to ${readers.map(({ name }) => safeText(name)).join(', ')}`;
};

const copiesText = ({ wanted, confirmed }: Reply<'kb.stat'>['replicas']): string =>
  confirmed === null
    ? `${wanted} wanted; the holders do not report to this node: aegis kb where`
    : `${confirmed} durable, ${wanted} wanted`;

const generationText = ({ generation, sequence, author }: Reply<'kb.stat'>): string =>
  author === null ? `${generation}` : `${generation}, sequence ${sequence} of its author`;
