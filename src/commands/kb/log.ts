/** `aegis kb log`: the versions of a path. */
import { Flags } from '@oclif/core';
import { kbPathArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { bytes, safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import type { KbLogEntry } from '../../core/api/contract/kb.ts';

export default class KbLog extends BaseCommand<typeof KbLog, Reply<'kb.log'>> {
  static override readonly summary = 'Show the versions of a path.';
  static override readonly description =
    'The newest first. A head is a version that no other builds on; when there are several, all ' +
    'are kept and one is shown: the greatest by generation, time and CID. Versions on which the ' +
    "custodians have not agreed yet are marked. A merge is nobody's: nodes compute it.";
  static override readonly examples = [
    { description: 'All versions', command: '<%= config.bin %> kb log notes.md' },
    {
      description: 'The heads, for a script',
      command: "<%= config.bin %> kb log notes.md --json | jq '.versions[] | select(.head)'",
    },
  ];
  static override readonly args = { path: kbPathArg };
  static override readonly flags = {
    limit: Flags.integer({
      char: 'n',
      default: 1000,
      min: 1,
      max: 10_000,
      helpValue: '<number>',
      description: 'Show this many at most.',
    }),
    before: Flags.string({ helpValue: '<cid>', description: 'Go on after this version.' }),
  };

  protected override async work(): Promise<Reply<'kb.log'>> {
    const client = await this.client();
    const { limit, before } = this.flags;
    const query = { path: this.args.path, limit, ...(before !== undefined && { before }) };
    return await client.call('kb.log', { query });
  }

  protected override view({ path, versions, heads, total, next }: Reply<'kb.log'>): string {
    if (next !== null) this.note(`aegis: there is more; go on with --before ${next}`);
    const more = heads > 1 ? `, ${heads} heads` : '';
    const shown = total === null ? `${versions.length} of its` : String(total);
    const count = `${shown} ${total === 1 ? 'version' : 'versions'}`;
    const title = `${this.paint.bold(safeText(path))}: ${count}${more}`;
    return [title, ...versions.map((version) => this.#version(version))].join('\n\n');
  }

  #version(entry: KbLogEntry): string {
    const marks = [
      ...(entry.shown ? [this.paint.green('shown')] : []),
      ...(entry.head ? [this.paint.yellow('head')] : []),
      ...(entry.final ? [] : [this.paint.yellow('not final')]),
      ...(entry.deleted ? [this.paint.red('deleted')] : []),
      ...(entry.conflicts > 0 ? [this.paint.red(`conflicts: ${entry.conflicts}`)] : []),
      ...(entry.mismatch === null ? [] : [this.paint.red('not what its parents come to')]),
    ];
    const tags = marks.length > 0 ? `  (${marks.join(', ')})` : '';
    const author = safeText(entry.authorName ?? entry.author ?? 'merge');
    const height = entry.height === null ? '' : `  height ${entry.height}`;
    return [
      `version ${entry.version}${tags}`,
      `  ${entry.time}  ${author}  generation ${entry.generation}${height}`,
      `  ${bytes(entry.sizeBytes)}  ${entry.cid}`,
      ...(entry.message === null
        ? []
        : entry.message.split('\n').map((line) => `  ${safeText(line)}`)),
    ].join('\n');
  }
}
