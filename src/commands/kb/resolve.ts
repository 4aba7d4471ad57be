/** `aegis kb resolve`: ends the conflicts of a path. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { writeFlags, writingOf, writtenView } from '../../cli/kb/put-command.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { AegisError } from '../../core/errors.ts';

const TIMEOUT_MS = 60_000;

export default class KbResolve extends BaseCommand<typeof KbResolve, Reply<'kb.resolve'>> {
  static override readonly summary = 'End the conflicts of a path.';
  static override readonly description =
    'Writes a version that follows the merge: with what is shown (--ours), with what has lost in ' +
    'its place (--theirs, at the places that --at names, or at all), or with another content ' +
    '(--file). What is not chosen stays in the history. Refused when something else is shown.';
  static override readonly examples = [
    { description: 'Keep what is shown', command: '<%= config.bin %> kb resolve plan.md --ours' },
    {
      description: 'Take what has lost, in one file of a directory',
      command: '<%= config.bin %> kb resolve www/site --theirs --at css/main.css',
    },
    {
      description: 'Put what it should be',
      command: '<%= config.bin %> kb resolve plan.md --file plan.md',
    },
  ];
  static override readonly args = {
    path: Args.string({ required: true, description: 'Path in the knowledge base.' }),
  };
  static override readonly flags = {
    ours: Flags.boolean({
      description: 'What is shown stays.',
      exactlyOne: ['ours', 'theirs', 'file'],
    }),
    theirs: Flags.boolean({ description: 'What has lost takes its place.' }),
    file: Flags.string({ char: 'f', helpValue: '<file>|-', description: 'This takes its place.' }),
    at: Flags.string({
      multiple: true,
      helpValue: '<path>',
      dependsOn: ['theirs'],
      description: 'Only here, inside the directory; may be repeated.',
    }),
    ...writeFlags,
  };

  protected override async work(): Promise<Reply<'kb.resolve'>> {
    const { file } = this.flags;
    return file === undefined ? await this.#take() : await this.#put(file);
  }

  async #take(): Promise<Reply<'kb.resolve'>> {
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs });
    const { theirs, at } = this.flags;
    const take = theirs ? ('theirs' as const) : ('ours' as const);
    const places = at === undefined ? {} : { at };
    const body = { path: this.args.path, take, ...places, ...writingOf(this.flags), timeoutMs };
    return await client.call('kb.resolve', { body, signal: this.interruption() });
  }

  async #put(file: string): Promise<Reply<'kb.resolve'>> {
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs });
    const { path } = this.args;
    const { paths } = await client.call('kb.conflicts', { query: { prefix: path } });
    const merge = paths.find((one) => one.path === path);
    if (merge === undefined) {
      throw new AegisError('NOT_FOUND', `${path} shows no merge with conflicts`, {
        hint: 'See which paths do: aegis kb conflicts',
      });
    }
    const { openSource } = await import('../../cli/kb/source.ts');
    const source = await openSource(file);
    const query = {
      path,
      ...writingOf(this.flags),
      ifVersion: this.flags['if-version'] ?? merge.version,
      timeoutMs,
    };
    const put = await client.put(query, source, { signal: this.interruption() });
    return { ...put, schema: 'aegis.kb.resolve/1', resolves: merge.version, deleted: false };
  }

  protected override view(reply: Reply<'kb.resolve'>): string {
    const gone = reply.deleted ? '\ndeleted, as what had lost' : '';
    return `${writtenView(reply)}\nresolves ${reply.resolves}${gone}`;
  }
}
