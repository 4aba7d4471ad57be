/** `aegis kb find`: paths by words. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { bytes, safeText, table } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

/** So long a node may take to answer, unless `--timeout` says so. */
const ANSWER_MS = 5000;
const GRACE_MS = 10_000;

/** Why a node that could have more was not heard. */
const REASONS: Readonly<Record<string, string>> = {
  away: 'is not connected',
  silent: 'has not answered',
  indexing: 'is still making its index',
  'no-filter': 'has not said which words it has',
  distrusted: 'has too many words to say which',
};

export default class KbFind extends BaseCommand<typeof KbFind, Reply<'kb.find'>> {
  static override readonly summary = 'Find paths by words.';
  static override readonly description =
    'All terms have to be there, in the path, in the message, or in what is stored: text of up ' +
    'to 1 MiB, and the names and texts in a directory. Case and accents do not matter. A term ' +
    'with spaces is a phrase. `TERM*` finds the beginning of a word, in paths and messages only. ' +
    'What is final is found, in the version that is shown. Other nodes are asked if they may ' +
    'have it; what could not be asked is said on standard error.';
  static override readonly examples = [
    { description: 'Two words', command: '<%= config.bin %> kb find nginx timeout' },
    { description: 'A phrase', command: '<%= config.bin %> kb find "connection refused"' },
    { description: 'The beginning of a word', command: "<%= config.bin %> kb find 'config*'" },
    {
      description: 'Paths only, for a script that wants all or nothing',
      command: "<%= config.bin %> kb find error --json | jq -er 'select(.complete).hits[].path'",
    },
  ];
  static override readonly args = {
    terms: Args.string({
      required: true,
      multiple: true,
      ignoreStdin: true,
      description: 'Words, phrases, and beginnings of words.',
    }),
  };
  static override readonly flags = {
    local: Flags.boolean({ description: 'Only what this node has in its index.' }),
    limit: Flags.integer({
      char: 'n',
      default: 50,
      min: 1,
      max: 500,
      helpValue: '<number>',
      description: 'Show this many at most.',
    }),
  };

  protected override async work(): Promise<Reply<'kb.find'>> {
    const { local, limit } = this.flags;
    const timeoutMs = this.timeoutMs(ANSWER_MS);
    // The node waits a little for its own index, too.
    const client = await this.client({ timeoutMs: timeoutMs + GRACE_MS });
    const query = this.args.terms.map(quoted).join(' ');
    return await client.call('kb.find', { query: { query, local, limit, timeoutMs } });
  }

  protected override view({ hits, more, settled, peers }: Reply<'kb.find'>): string | undefined {
    for (const line of [...(more ? ['there are more: --limit'] : []), ...missing(settled, peers)]) {
      this.note(line);
    }
    if (hits.length === 0) {
      this.note('nothing was found');
      return undefined;
    }
    return table(
      hits,
      [
        { title: 'PATH', cell: ({ path }) => safeText(path) },
        { title: 'SIZE', cell: ({ sizeBytes }) => bytes(sizeBytes), align: 'right' },
        { title: 'TIME', cell: ({ time }) => time },
        { title: 'AUTHOR', cell: ({ author, authorName }) => safeText(authorName ?? author) },
        { title: 'IN', cell: ({ nodes }) => nodes.map(safeText).join(', ') },
      ],
      { heading: this.paint.bold },
    );
  }
}

/** What the shell has taken the quotes of is a phrase all the same. */
const quoted = (term: string): string =>
  /\s/.test(term) && !term.includes('"') ? `"${term}"` : term;

function missing(settled: boolean, peers: Reply<'kb.find'>['peers']): string[] {
  const own = settled ? [] : ['this node is still making its index'];
  const others = peers.flatMap(({ nodeId, name, state }) => {
    const reason = REASONS[state];
    return reason === undefined ? [] : [`${safeText(name ?? nodeId)} ${reason}`];
  });
  return [...own, ...others];
}
