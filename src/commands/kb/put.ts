/** `aegis kb put`: stores a file or a directory as a new version of a path. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { finalText } from '../../cli/chain.ts';
import { bytes, facts, safeText } from '../../cli/format.ts';
import type { Source } from '../../cli/kb/source.ts';
import { mayDraw } from '../../cli/terminal.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { AegisError } from '../../core/errors.ts';

const TIMEOUT_MS = 60_000;

export default class KbPut extends BaseCommand<typeof KbPut, Reply<'kb.put'>> {
  static override readonly summary = 'Store a file or a directory.';
  static override readonly description =
    'Writes a new version of a path, signed by this node. By default returns once enough nodes ' +
    'have said that their copy is durable and the custodians have agreed on the version: then it ' +
    'is final, and every node that asks gets it. When that has not happened within --timeout ' +
    '(60 s), the version is kept, stays queued and goes on being copied, the exit status is 75, ' +
    'and repeating the same command is harmless. Links are followed inside a directory only; ' +
    'fifos, devices and sockets are refused, and then nothing is stored.';
  static override readonly examples = [
    {
      description: 'Store a file under its own name',
      command: '<%= config.bin %> kb put notes.md',
    },
    {
      description: 'Store a directory under another path',
      command: '<%= config.bin %> kb put ./site --path www/site',
    },
    {
      description: 'Store what a program prints',
      command: 'date | <%= config.bin %> kb put - --path log/date.txt',
    },
    {
      description: 'Without waiting for others',
      command: '<%= config.bin %> kb put notes.md --wait local',
    },
    {
      description: 'Only replace the version that was read',
      command: '<%= config.bin %> kb put plan.md --if-version bafyr4i...',
    },
  ];
  static override readonly args = {
    file: Args.string({ required: true, description: 'File or directory; - is standard input.' }),
  };
  static override readonly flags = {
    path: Flags.string({
      char: 'p',
      helpValue: '<path>',
      description: 'Path in the knowledge base. Default: the name of the file.',
    }),
    'if-version': Flags.string({
      helpValue: '<cid>|none',
      description:
        'Refuse (exit status 73) unless this is the only version of the path, or it has none.',
    }),
    wait: Flags.option({
      options: ['local', 'replicated', 'final'] as const,
      default: 'final' as const,
      description: 'Return when it is durable here, on enough nodes, or also final.',
    })(),
    replicas: Flags.integer({
      min: 1,
      max: 64,
      helpValue: '<number>',
      description: 'Copies to wait for, this node counted.',
    }),
    message: Flags.string({
      char: 'm',
      helpValue: '<text>',
      description: 'Why, for the log of the path.',
    }),
    hash: Flags.option({
      options: ['blake3', 'sha2-256'] as const,
      default: 'blake3' as const,
      description: 'Hash of the objects; sha2-256 gives the CIDs of other IPFS tools.',
    })(),
  };

  protected override async work(): Promise<Reply<'kb.put'>> {
    const { openSource } = await import('../../cli/kb/source.ts');
    const source = await openSource(this.args.file);
    const path = this.flags.path ?? source.name;
    if (path === undefined) {
      throw new AegisError('USAGE', 'standard input has no name', { hint: 'Give one: --path P' });
    }
    try {
      return await this.#send(source, path);
    } finally {
      // An upload that was refused may leave a writer that never ends.
      if (this.args.file === '-') process.stdin.destroy();
    }
  }

  async #send(source: Source, path: string): Promise<Reply<'kb.put'>> {
    const { flags } = this;
    const { withProgress } = await import('../../cli/kb/progress.ts');
    const draw = mayDraw({ quiet: flags.quiet, json: flags.json });
    const progress = { label: safeText(path), totalBytes: source.sizeBytes, draw };
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs });
    return await client.put(
      {
        path,
        wait: flags.wait,
        hash: flags.hash,
        timeoutMs,
        ...(flags.message !== undefined && { message: flags.message }),
        ...(flags.replicas !== undefined && { replicas: flags.replicas }),
        ...(flags['if-version'] !== undefined && { ifVersion: flags['if-version'] }),
      },
      { ...source, bytes: withProgress(source.bytes, progress) },
      { signal: this.interruption() },
    );
  }

  protected override view(put: Reply<'kb.put'>): string {
    const { height } = put;
    const { confirmed, wanted } = put.replicas;
    return facts([
      ['path', safeText(put.path)],
      ['cid', put.cid],
      ['version', `${put.version}${put.created ? '' : ' (unchanged)'}`],
      ['size', bytes(put.sizeBytes)],
      ['copies', `${confirmed} durable, ${wanted} wanted`],
      ['final', height === null ? 'not yet' : finalText(height)],
    ]);
  }
}
