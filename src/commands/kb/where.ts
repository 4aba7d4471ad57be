/** `aegis kb where`: which nodes hold a path. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { facts, safeText, table } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { AegisError } from '../../core/errors.ts';

const yesNo = (value: boolean): string => (value ? 'yes' : 'no');

export default class KbWhere extends BaseCommand<typeof KbWhere, Reply<'kb.where'>> {
  static override readonly summary = 'Show which nodes hold a path.';
  static override readonly description =
    'PLACED: the rules of placement chose this node. CONFIRMED: it has said that its copy is ' +
    'durable. REACHABLE: it is connected now.';
  static override readonly examples = [
    { description: 'Holders of a path', command: '<%= config.bin %> kb where notes.md' },
    { description: 'Holders of a root', command: '<%= config.bin %> kb where --cid bafybei...' },
  ];
  static override readonly args = {
    path: Args.string({ ignoreStdin: true, description: 'Path in the knowledge base.' }),
  };
  static override readonly flags = {
    cid: Flags.string({
      helpValue: '<cid>',
      description: 'Root of the content, instead of a path.',
    }),
  };

  protected override async work(): Promise<Reply<'kb.where'>> {
    const { path } = this.args;
    const { cid } = this.flags;
    if ((path === undefined) === (cid === undefined)) {
      throw new AegisError('USAGE', 'give either a path or --cid', {
        hint: 'See: aegis kb where --help',
      });
    }
    const client = await this.client();
    return await client.call('kb.where', { query: path === undefined ? { cid } : { path } });
  }

  protected override view({ path, cid, replicas, holders }: Reply<'kb.where'>): string {
    const head = facts([
      ['path', path === null ? undefined : safeText(path)],
      ['cid', cid],
      ['copies', `${replicas.confirmed} durable, ${replicas.wanted} wanted`],
    ]);
    const rows = table(
      holders,
      [
        { title: 'NAME', cell: (holder) => `${holder.name ?? '-'}${holder.self ? ' (self)' : ''}` },
        { title: 'NODE', cell: (holder) => holder.nodeId.slice(0, 14) },
        { title: 'ZONE', cell: (holder) => holder.zone },
        { title: 'PLACED', cell: (holder) => yesNo(holder.placed) },
        { title: 'CONFIRMED', cell: (holder) => yesNo(holder.confirmed) },
        { title: 'REACHABLE', cell: (holder) => yesNo(holder.reachable) },
      ],
      { heading: this.paint.bold },
    );
    return `${head}\n\n${rows}`;
  }
}
