/** `aegis kb watch`: each change as it becomes final. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { safeText } from '../../cli/format.ts';
import type { KbWatchRecord } from '../../core/api/contract/kb-versions.ts';
import { AegisError } from '../../core/errors.ts';

export default class KbWatch extends BaseCommand<typeof KbWatch, undefined> {
  static override readonly summary = 'Watch paths change.';
  static override readonly description =
    'One line for each version that becomes final under a prefix, from now on; the first line ' +
    'says from which height. When this reader or this node was too slow to be told of each, it ' +
    'says so and in which blocks: then read again what matters. Goes on until Ctrl-C, or until ' +
    '--count changes. With --json: one object a line, with type ready, change or gap.';
  static override readonly examples = [
    { description: 'Watch everything', command: '<%= config.bin %> kb watch' },
    {
      description: 'Run a script at each change of a directory of paths',
      command: '<%= config.bin %> kb watch www/ --json | while read -r line; do ./publish; done',
    },
    {
      description: 'Wait for the next change of one path',
      command: '<%= config.bin %> kb watch plan.md -n 1',
    },
  ];
  static override readonly args = {
    prefix: Args.string({
      default: '',
      description: 'Paths that begin so. Default: all.',
      ignoreStdin: true,
    }),
  };
  static override readonly flags = {
    count: Flags.integer({
      char: 'n',
      min: 1,
      helpValue: '<number>',
      description: 'End after so many changes.',
    }),
  };

  protected override async work(): Promise<undefined> {
    const signal = this.interruption();
    const client = await this.client();
    const { prefix } = this.args;
    let left = this.flags.count ?? Number.POSITIVE_INFINITY;
    for await (const record of client.watch({ prefix }, { signal })) {
      if (record.type === 'end') throw ended(record.reason);
      if (record.type === 'heartbeat') continue;
      await this.emit(record, this.#line(record));
      if (record.type === 'change') left -= 1;
      if (left <= 0) return undefined;
    }
    signal.throwIfAborted();
    throw ended('stopping');
  }

  #line(record: Exclude<KbWatchRecord, { type: 'end' | 'heartbeat' }>): string {
    switch (record.type) {
      case 'ready':
        return this.paint.dim(`ready  after height ${record.height}`);
      case 'gap': {
        const { fromHeight, toHeight, prefix } = record;
        const again = `aegis kb ls ${safeText(prefix)} --recursive`;
        const blocks = `not all of blocks ${fromHeight} to ${toHeight}`;
        return this.paint.yellow(`gap    ${blocks}; read again: ${again}`);
      }
      default: {
        const what = record.deleted ? 'deleted' : record.merge ? 'merged' : 'written';
        const { height, version } = record;
        return `${what.padEnd(7)}  ${safeText(record.path)}  height ${height}  ${version}`;
      }
    }
  }

  /** Everything has been written already. */
  protected override view(): undefined {
    return undefined;
  }
}

const ended = (reason: 'slow-reader' | 'stopping'): AegisError =>
  reason === 'stopping'
    ? new AegisError('STOPPING', 'the daemon has stopped')
    : new AegisError('STALLED', 'the reader was too slow for what happens');
