/** `aegis kb ls`: paths of the knowledge base. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { ago, bytes, safeText, table } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import type { KbEntry } from '../../core/api/contract/kb.ts';

export default class KbLs extends BaseCommand<typeof KbLs, Reply<'kb.ls'>> {
  static override readonly summary = 'List paths of the knowledge base.';
  static override readonly description =
    'Lists what is directly below a prefix, or everything below it with --recursive. Of a stored ' +
    'directory it lists what is inside. COPIES are durable ones, of those wanted; FINAL is ' +
    'the height at which the custodians have agreed on the version; HEADS above 1 are versions ' +
    'that do not know of each other (see aegis kb log).';
  static override readonly examples = [
    { description: 'The top', command: '<%= config.bin %> kb ls' },
    { description: 'Everything below notes', command: '<%= config.bin %> kb ls notes --recursive' },
    {
      description: 'Paths only, for a script',
      command: "<%= config.bin %> kb ls -r --json | jq -r '.entries[].path'",
    },
  ];
  static override readonly args = {
    prefix: Args.string({ default: '', description: 'Path or first parts of one.' }),
  };
  static override readonly flags = {
    recursive: Flags.boolean({ char: 'r', description: 'Also what is further below.' }),
    limit: Flags.integer({
      char: 'n',
      default: 1000,
      min: 1,
      max: 10_000,
      helpValue: '<number>',
      description: 'List this many at most.',
    }),
    after: Flags.string({ helpValue: '<path>', description: 'Go on after this path.' }),
  };

  protected override async work(): Promise<Reply<'kb.ls'>> {
    const { recursive, limit, after } = this.flags;
    const { prefix } = this.args;
    const client = await this.client();
    return await client.call('kb.ls', {
      query: { prefix, recursive, limit, ...(after !== undefined && { after }) },
    });
  }

  protected override view(list: Reply<'kb.ls'>): string {
    const { prefixes, entries, items, next } = list;
    if (next !== null) {
      this.note(`aegis: ${list.total} in all; go on with --after ${safeText(next)}`);
    }
    const parts = [
      ...prefixes.map(safeText),
      ...(entries.length > 0 ? [this.#entries(entries)] : []),
      ...(items.length > 0 ? [this.#items(items)] : []),
    ];
    return parts.length === 0 ? 'nothing here' : parts.join('\n');
  }

  #entries(entries: readonly KbEntry[]): string {
    return table(
      entries,
      [
        { title: 'PATH', cell: (entry) => `${entry.path}${entry.kind === 'directory' ? '/' : ''}` },
        { title: 'SIZE', cell: (entry) => bytes(entry.sizeBytes), align: 'right' },
        { title: 'AGE', cell: (entry) => ago(entry.time) },
        { title: 'AUTHOR', cell: (entry) => entry.authorName ?? entry.author.slice(0, 14) },
        {
          title: 'COPIES',
          cell: ({ replicas }) => `${replicas.confirmed ?? '?'}/${replicas.wanted}`,
        },
        { title: 'FINAL', cell: (entry) => (entry.final ? (entry.height ?? 'yes') : 'no') },
        { title: 'HEADS', cell: (entry) => entry.heads, align: 'right' },
        { title: 'HERE', cell: (entry) => (entry.local ? 'yes' : 'no') },
      ],
      { heading: this.paint.bold },
    );
  }

  #items(items: Reply<'kb.ls'>['items']): string {
    return table(
      items,
      [
        { title: 'INSIDE', cell: (item) => `${item.path}${item.kind === 'directory' ? '/' : ''}` },
        { title: 'SIZE', cell: (item) => bytes(item.sizeBytes), align: 'right' },
        { title: 'CID', cell: (item) => item.cid },
      ],
      { heading: this.paint.bold },
    );
  }
}
