/** `aegis completion bash|zsh|fish`: prints the script that the build made. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Args } from '@oclif/core';
import { BaseCommand } from '../cli/base.ts';
import type { CompletionResult } from '../core/api/contract/cli.ts';

const FILES = { bash: 'aegis.bash', zsh: '_aegis', fish: 'aegis.fish' } as const;

export default class Completion extends BaseCommand<typeof Completion, CompletionResult> {
  static override readonly summary = 'Print the completion script for a shell.';
  static override readonly description =
    'The script completes commands, flags and their values without starting aegis.';
  static override readonly examples = [
    {
      description: 'For this session of bash',
      command: 'source <(<%= config.bin %> completion bash)',
    },
    {
      description: 'For every session of fish',
      command: '<%= config.bin %> completion fish > ~/.config/fish/completions/aegis.fish',
    },
    {
      description: 'For every session of zsh, with ~/.zfunc on its fpath',
      command: '<%= config.bin %> completion zsh > ~/.zfunc/_aegis',
    },
  ];
  static override readonly args = {
    shell: Args.string({
      description: 'The shell that will read the script.',
      options: Object.keys(FILES),
      required: true,
    }),
  };

  protected override async work(): Promise<CompletionResult> {
    const shell = this.args.shell as keyof typeof FILES;
    const script = await readFile(join(this.config.root, 'completions', FILES[shell]), 'utf8');
    return { schema: 'aegis.completion/1', shell, script };
  }

  protected override view({ script }: CompletionResult): string {
    return script;
  }
}
