/** `aegis kb conflicts`: paths that show a merge with conflicts. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import type { KbConflicted } from '../../core/api/contract/kb-merge.ts';

export default class KbConflicts extends BaseCommand<typeof KbConflicts, Reply<'kb.conflicts'>> {
  static override readonly summary = 'List the paths that show a merge with conflicts.';
  static override readonly description =
    'Versions that did not know of each other are merged by themselves. Where that cannot be, ' +
    'the content of the greater version stands whole, nobody is blocked, and no file gets ' +
    'markers: this lists where, with what has lost. Any new version of the path ends them.';
  static override readonly examples = [
    { description: 'All of them', command: '<%= config.bin %> kb conflicts' },
    {
      description: 'The paths below a directory, for a script',
      command: "<%= config.bin %> kb conflicts notes/ --json | jq -r '.paths[].path'",
    },
  ];
  static override readonly args = {
    prefix: Args.string({ description: 'Only paths that begin with this.', ignoreStdin: true }),
  };
  static override readonly flags = {
    limit: Flags.integer({
      char: 'n',
      default: 1000,
      min: 1,
      max: 10_000,
      helpValue: '<number>',
      description: 'Show this many paths at most.',
    }),
    after: Flags.string({ helpValue: '<path>', description: 'Go on after this path.' }),
  };

  protected override async work(): Promise<Reply<'kb.conflicts'>> {
    const client = await this.client();
    const { limit, after } = this.flags;
    const { prefix = '' } = this.args;
    const query = { prefix, limit, ...(after !== undefined && { after }) };
    return await client.call('kb.conflicts', { query });
  }

  protected override view({ paths, unmerged, next }: Reply<'kb.conflicts'>): string {
    if (next !== null) this.note(`aegis: there is more; go on with --after ${safeText(next)}`);
    if (unmerged > 0) this.note(`aegis: ${unmerged} paths are still to be merged here`);
    if (paths.length === 0) return 'no conflicts';
    return paths.map((path) => this.#path(path)).join('\n\n');
  }

  #path({ path, version, conflicts, more }: KbConflicted): string {
    const places = conflicts.map(({ at, pointer, ours, theirs }) => {
      const where = [at === '' ? 'all of it' : safeText(at), pointer === null ? [] : pointer];
      const lost = theirs === null ? 'that it is gone' : theirs;
      const place = where.flat().map(safeText).join(' ');
      return `  ${place}\n    shown ${ours ?? 'nothing'}\n    lost  ${lost}`;
    });
    const rest = more ? ['  and more'] : [];
    return [`${this.paint.bold(safeText(path))}  ${version}`, ...places, ...rest].join('\n');
  }
}
