/** `aegis kb put`: stores a file or a directory as a new version of a path. */
import { Args, Flags } from '@oclif/core';
import { bytes, facts, safeText } from '../../cli/format.ts';
import { PutCommand, putFlags, writtenView } from '../../cli/kb/put-command.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { AegisError } from '../../core/errors.ts';

export default class KbPut extends PutCommand<typeof KbPut, Reply<'kb.put'> | Reply<'kb.each'>> {
  static override readonly summary = 'Store a file or a directory.';
  static override readonly description =
    'Writes a new version of a path, signed by this node. By default returns once enough nodes ' +
    'have said that their copy is durable and the custodians have agreed on the version: then it ' +
    'is final, and every node that asks gets it. When that has not happened within --timeout ' +
    '(60 s), the version is kept, stays queued and goes on being copied, the exit status is 75, ' +
    'and repeating the same command is harmless. Links are followed inside a directory only; ' +
    'fifos, devices and sockets are refused, and then nothing is stored. A directory is one ' +
    'version of one path; with --each every file in it is a path of its own, and what was ' +
    'written when such a command fails stays written.';
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
      description: 'Each file of a directory under a path of its own, www/...',
      command: '<%= config.bin %> kb put ./site --each --path www',
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
    ...putFlags,
    each: Flags.boolean({
      description: 'Each file of the directory is a path of its own.',
      exclusive: ['if-version', 'replicas'],
    }),
  };

  protected override async work(): Promise<Reply<'kb.put'> | Reply<'kb.each'>> {
    const { openSource } = await import('../../cli/kb/source.ts');
    const source = await openSource(this.args.file);
    const path = this.flags.path ?? source.name;
    if (path === undefined) {
      throw new AegisError('USAGE', 'standard input has no name', { hint: 'Give one: --path P' });
    }
    try {
      return this.flags.each
        ? await this.putEach(source, path.endsWith('/') ? path : `${path}/`)
        : await this.put(source, path);
    } finally {
      // An upload that was refused may leave a writer that never ends.
      if (this.args.file === '-') process.stdin.destroy();
    }
  }

  protected override view(put: Reply<'kb.put'> | Reply<'kb.each'>): string {
    if (put.schema === 'aegis.kb.put/1') return writtenView(put);
    const { prefix, paths, created, unchanged, sizeBytes, height } = put;
    return facts([
      ['below', safeText(prefix)],
      ['paths', `${paths}: ${created} written, ${unchanged} unchanged`],
      ['size', bytes(sizeBytes)],
      ['final', height === null ? 'not yet, or nothing to decide' : `as of height ${height}`],
    ]);
  }
}
