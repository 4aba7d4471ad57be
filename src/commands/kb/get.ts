/** `aegis kb get`: the content of a path. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { bytes, safeText } from '../../cli/format.ts';
import { mayDraw } from '../../cli/terminal.ts';
import type { ContentReply } from '../../core/api/client/stream.ts';
import type { KbGetOutput } from '../../core/api/contract/outputs.ts';
import { AegisError } from '../../core/errors.ts';

const TIMEOUT_MS = 60_000;

export default class KbGet extends BaseCommand<typeof KbGet, KbGetOutput | undefined> {
  static override readonly summary = 'Get a file or a directory.';
  static override readonly description =
    'Prints a file on standard output, or writes a file or a directory to -o. What this node ' +
    'does not hold comes from the others, and every object is checked against its hash. The ' +
    'target appears when it is complete, or not at all. A directory on -o - comes as a tar. ' +
    'Gives the version that is final on this node; --linearizable first asks a quorum how far ' +
    'the chain is, so that nothing is missed that was final before (exit status 75 ' +
    'without a quorum).';
  static override readonly examples = [
    { description: 'Print a file', command: '<%= config.bin %> kb get notes.md' },
    { description: 'Write a directory', command: '<%= config.bin %> kb get www/site -o ./site' },
    {
      description: 'Not older than anything that was final when it was asked for',
      command: '<%= config.bin %> kb get notes.md --linearizable',
    },
    {
      description: 'An older version',
      command: '<%= config.bin %> kb get notes.md@bafyr4i... -o old.md',
    },
  ];
  static override readonly args = {
    path: Args.string({ required: true, description: 'PATH, or PATH@VERSION.' }),
  };
  static override readonly flags = {
    output: Flags.string({
      char: 'o',
      helpValue: '<file>|-',
      description: 'Write here; - is standard output.',
    }),
    linearizable: Flags.boolean({
      description: 'Ask a quorum first, and wait until this node is as far.',
      exclusive: ['provisional'],
    }),
    provisional: Flags.boolean({ description: 'Also a version that is not final yet.' }),
    force: Flags.boolean({ char: 'f', description: 'Replace what is there.' }),
  };

  protected override async work(): Promise<KbGetOutput | undefined> {
    const { output, force } = this.flags;
    if (this.json && (output === undefined || output === '-')) {
      throw new AegisError('USAGE', 'with --json the content needs a place of its own', {
        hint: 'Give one: -o FILE',
      });
    }
    const target = await import('../../cli/kb/target.ts');
    if (output !== undefined && output !== '-') await target.checkTarget({ path: output, force });
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs });
    const signal = this.interruption();
    const { linearizable, provisional } = this.flags;
    const query = { path: this.args.path, timeoutMs, linearizable, provisional };
    const content = await client.content(query, { signal });
    if (!content.final) this.note('aegis: this version is not final yet');
    try {
      return await this.#take(content);
    } finally {
      content.cancel();
    }
  }

  async #take(content: ContentReply): Promise<KbGetOutput | undefined> {
    const { output, force } = this.flags;
    const target = await import('../../cli/kb/target.ts');
    const stream = await this.#watched(content);
    if (output === undefined || output === '-') {
      await this.#print(content, stream, output);
      return undefined;
    }
    if (content.kind === 'file') await target.writeFileTarget({ path: output, force }, stream);
    else {
      const { unpackTar } = await import('../../core/api/tar.ts');
      await target.writeTreeTarget({ path: output, force }, unpackTar(stream));
    }
    const { path, cid, version, kind, sizeBytes, final, height } = content;
    const facts = { path, cid, version, kind, sizeBytes, final, height };
    return { schema: 'aegis.kb.get/1', ...facts, output };
  }

  async #print(
    content: ContentReply,
    stream: AsyncIterable<Uint8Array>,
    output: string | undefined,
  ): Promise<void> {
    if (content.kind === 'directory' && output === undefined) {
      throw new AegisError('USAGE', `${safeText(content.path)} is a directory`, {
        hint: 'Write it with -o DIR, or get a tar archive with -o -.',
      });
    }
    const { writeStdout } = await import('../../cli/kb/stdout.ts');
    const guard = output === undefined && process.stdout.isTTY;
    await writeStdout(stream, { guard, signal: this.interruption() });
  }

  async #watched(content: ContentReply): Promise<AsyncIterable<Uint8Array>> {
    const { withProgress } = await import('../../cli/kb/progress.ts');
    const { quiet, json, output } = this.flags;
    const shown = output === undefined || output === '-';
    const draw = mayDraw({ quiet, json }) && !(shown && process.stdout.isTTY);
    const { path, sizeBytes: totalBytes } = content;
    return withProgress(content.bytes, { label: safeText(path), totalBytes, draw });
  }

  protected override view({ kind, output, sizeBytes, version }: KbGetOutput): string {
    return `${kind} ${safeText(output)}  ${bytes(sizeBytes)}  ${version}`;
  }
}
