/** `aegis kb status`: what is not well with copies, and why. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { counted } from '../../cli/chain.ts';
import { ago, facts, safeText, table } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import type { KbUnwell } from '../../core/api/contract/kb-copies.ts';
import { EXIT } from '../../core/errors.ts';

type Result = Reply<'kb.status'>;

export default class KbStatus extends BaseCommand<typeof KbStatus, Result> {
  static override readonly summary = 'Show which versions lack copies, since when, and why.';
  static override readonly description =
    'Lists the versions that concern this node and have fewer copies than the placement asks ' +
    'for. STATE: under-replicated (others have not said that they have it), fetching (this node ' +
    'gets it), error (it could not, and tries again). Also who is absent, after the time of ' +
    '`kb.graceMs` without a connection, and who drains. Exit status 1 when something lacks copies.';
  static override readonly examples = [
    { description: 'See whether all is well', command: '<%= config.bin %> kb status' },
    {
      description: 'Wait in a script until nothing lacks copies',
      command: 'until <%= config.bin %> kb status --quiet; do sleep 5; done',
    },
  ];
  static override readonly flags = {
    limit: Flags.integer({
      char: 'n',
      default: 100,
      min: 1,
      max: 1000,
      helpValue: '<number>',
      description: 'List this many at most.',
    }),
    after: Flags.string({ helpValue: '<key>', description: '`next` of the list before.' }),
  };

  protected override async work(): Promise<Result> {
    const { limit, after } = this.flags;
    const client = await this.client();
    return await client.call('kb.status', {
      query: { limit, ...(after !== undefined && { after }) },
    });
  }

  override async run(): Promise<Result> {
    const reply = await super.run();
    if (reply.underReplicated > 0) process.exitCode = EXIT.no;
    return reply;
  }

  protected override view(result: Result): string {
    const { underReplicated, wanted, items, next, absent, draining, drain } = result;
    const none = this.paint.green('all versions that concern this node have their copies');
    const lack = underReplicated === 1 ? 'lacks' : 'lack';
    const some = `${counted(underReplicated, 'version')} ${lack} copies`;
    const head = facts([
      ['copies', underReplicated === 0 ? none : this.paint.yellow(some)],
      ['to fetch', wanted === 0 ? undefined : counted(wanted, 'root')],
      ...absent.map((one): [string, string] => ['absent', `${nameOf(one)}, ${ago(one.since)}`]),
      ...draining.map((one): [string, string] => ['draining', nameOf(one)]),
      ['drain', drain.draining ? drained(drain.left) : undefined],
    ]);
    if (next !== null) this.note(`aegis: go on with --after ${next}`);
    return items.length === 0 ? head : `${head}\n\n${this.#items(items)}`;
  }

  #items(items: readonly KbUnwell[]): string {
    return table(
      items,
      [
        { title: 'PATH', cell: ({ path }) => safeText(path) },
        { title: 'STATE', cell: ({ state }) => state },
        { title: 'COPIES', cell: ({ copies, wanted }) => `${copies}/${wanted}` },
        { title: 'SINCE', cell: ({ since }) => ago(since) },
        { title: 'MISSING AT', cell: ({ missing }) => missing.map(missingAt).join(', ') },
        { title: 'WHY', cell: ({ why }) => safeText(why) },
      ],
      { heading: this.paint.bold },
    );
  }
}

const nameOf = ({ nodeId, name }: { nodeId: string; name: string | null }): string =>
  name === null ? nodeId.slice(0, 14) : safeText(name);

const missingAt = (one: KbUnwell['missing'][number]): string =>
  `${nameOf(one)} (${one.why.replace('-', ' ')})`;

const drained = (left: number | null): string => {
  if (left === null) return 'under way';
  return left === 0 ? 'done: nothing here is needed any more' : `${counted(left, 'root')} to go`;
};
