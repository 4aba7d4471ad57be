/** `aegis quickstart`: the main job in one command, on this machine. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base.ts';
import { bytes, span } from '../cli/format.ts';
import type { Quickstart, Step } from '../cli/quickstart.ts';
import type { QuickstartResult } from '../core/api/contract/daemons.ts';

export default class QuickstartCommand extends BaseCommand<
  typeof QuickstartCommand,
  QuickstartResult
> {
  static override readonly summary = 'Run a cluster of four nodes and let it agree on documents.';
  static override readonly description =
    'Starts four daemons on this machine in a temporary home, puts a directory on one node, says ' +
    'who signed the block that made it final, reads it on another node and compares every byte, ' +
    'kills a node, goes on deciding with the other three, and brings it back to the same height. ' +
    'Then it stops everything and removes the temporary home, also after Ctrl-C. Nothing leaves ' +
    'this machine. With --route require the nodes are onion services in a private Tor network ' +
    'of their own; the program `tor` has to be installed, and everything takes longer.';
  static override readonly examples = [
    { description: 'See it work', command: '<%= config.bin %> quickstart' },
    {
      description: 'Leave the cluster running, to go on by hand',
      command: '<%= config.bin %> quickstart --keep',
    },
    {
      description: 'The same account behind Tor',
      command: '<%= config.bin %> quickstart --route require',
    },
  ];
  static override readonly flags = {
    keep: Flags.boolean({ description: 'Leave the nodes running and their homes in place.' }),
    route: Flags.option({
      options: ['off', 'require'] as const,
      default: 'off' as const,
      description: 'What carries the packets of the nodes.',
    })(),
  };

  protected override async work(): Promise<QuickstartResult> {
    const { mkdtemp, rm } = await import('node:fs/promises');
    const { tmpdir } = await import('node:os');
    const { join } = await import('node:path');
    const story = await import('../cli/quickstart.ts');
    const signal = this.interruption();
    const home = await mkdtemp(join(tmpdir(), 'aegis-'));
    let quickstart: Quickstart | undefined;
    let kept = false;
    try {
      this.#say('Making keys and a genesis for four nodes...');
      const tell = (step: Step) => this.#say(stepText(step));
      const { route } = this.flags;
      const bin = process.argv[1]!;
      quickstart = await story.Quickstart.create({ home, bin, route, signal, tell });
      const told = await quickstart.run();
      kept = this.flags.keep;
      return { schema: 'aegis.quickstart/1', ...told, kept: kept ? home : null };
    } finally {
      if (!kept) {
        await quickstart?.stop();
        await rm(home, { recursive: true, force: true });
      }
    }
  }

  /** The account is the result for people; with `--json` it goes nowhere. */
  #say(text: string): void {
    if (!this.json) process.stdout.write(`${text}\n`);
  }

  protected override view({ files, sizeBytes, durationMs, kept, nodes }: QuickstartResult): string {
    const what = `${files} files, ${bytes(sizeBytes)}, ${nodes.length} nodes`;
    const done = `\nDone in ${span(durationMs)}: ${what}.`;
    if (kept === null) {
      return [
        `${done} Everything is stopped and removed again.`,
        '',
        'Next: aegis devnet up           four nodes that stay',
        '      aegis monitor --help      watch a node live',
        '      aegis init --help         a node of your own, on a machine of its own',
      ].join('\n');
    }
    return [
      `${done} The nodes run on:`,
      '',
      ...nodes.map(({ name, home }) => `      export AEGIS_HOME=${home}   # ${name}`),
      '',
      'Next: aegis kb ls               what the node knows',
      '      aegis monitor             watch it live',
      `      aegis devnet down --remove --yes --home ${kept}   stop and delete all`,
    ].join('\n');
  }
}

function stepText({ title, command, durationMs, says }: Step): string {
  return `\n${title} (${span(durationMs)})\n  $ ${command}\n  ${says.replaceAll('\n', '\n  ')}`;
}
