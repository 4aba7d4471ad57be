/** `aegis node logs`: reads the log file, whether the daemon runs or not. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { parseDuration } from '../../cli/format.ts';
import type { LogRecord } from '../../cli/log-file.ts';
import { AegisError } from '../../core/errors.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

export default class NodeLogs extends BaseCommand<typeof NodeLogs, undefined> {
  static override readonly summary = "Show the node's log.";
  static override readonly description =
    'Reads the log files of this home, so it works while the daemon is down. With --follow it ' +
    'goes on until Ctrl-C, also when the log is rotated. With --json: one object a line.';
  static override readonly examples = [
    { description: 'The last 100 lines', command: '<%= config.bin %> node logs' },
    {
      description: 'Follow warnings and errors',
      command: '<%= config.bin %> node logs -f --level warn',
    },
    {
      description: 'The last ten minutes',
      command: '<%= config.bin %> node logs --since 10m -n 10000',
    },
  ];
  static override readonly flags = {
    follow: Flags.boolean({ char: 'f', description: 'Go on with new lines as they come.' }),
    lines: Flags.integer({
      char: 'n',
      default: 100,
      min: 0,
      max: 1_000_000,
      helpValue: '<number>',
      description: 'Show this many lines at most.',
    }),
    level: Flags.option({
      options: LEVELS,
      default: 'debug' as const,
      description: 'Least level.',
    })(),
    since: Flags.string({
      helpValue: '<time>',
      description: 'Only lines younger than 10m, 2h, ..., or after an RFC 3339 time.',
    }),
  };

  protected override async work(): Promise<undefined> {
    const { follow, lines, level } = this.flags;
    const { followLog, lastLines } = await import('../../cli/log-file.ts');
    const sinceMs = sinceOf(this.flags.since);
    const least = LEVELS.indexOf(level);
    const wanted = (record: LogRecord): boolean =>
      LEVELS.indexOf(record.level as (typeof LEVELS)[number]) >= least &&
      Date.parse(record.time) >= sinceMs;
    const path = this.home().logFile;
    const { records, position } = await lastLines(path, lines, wanted);
    for (const record of records) await this.#show(record);
    if (!follow) return undefined;
    for await (const record of followLog(path, position, this.interruption())) {
      if (wanted(record)) await this.#show(record);
    }
    return undefined;
  }

  async #show(record: LogRecord): Promise<void> {
    const { lineText } = await import('../../cli/log-file.ts');
    await this.emit({ type: 'log', ...record }, lineText(record, this.paint));
  }

  /** Everything has been written already. */
  protected override view(): undefined {
    return undefined;
  }
}

function sinceOf(text: string | undefined): number {
  if (text === undefined) return Number.NEGATIVE_INFINITY;
  if (!/^\d{4}-/.test(text)) return Date.now() - parseDuration(text);
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new AegisError('USAGE', `not a time: ${JSON.stringify(text)}`);
  return at;
}
