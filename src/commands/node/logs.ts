/** `aegis node logs`: reads the log files, whether the daemon runs or not. */
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
    'goes on until Ctrl-C, also when the log is rotated. With --json: one object a line. With ' +
    '--security: the security log, about who was turned away and what was seen of keys.';
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
    {
      description: 'Who was turned away in the last day',
      command: '<%= config.bin %> node logs --security --since 24h',
    },
    {
      description: 'What one address did',
      command: '<%= config.bin %> node logs --security --address 192.0.2.7',
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
    security: Flags.boolean({
      description: 'Show the security log. It names addresses by hashes only.',
    }),
    address: Flags.string({
      dependsOn: ['security'],
      helpValue: '<ip>',
      description: 'Only what this address did.',
    }),
  };

  protected override async work(): Promise<undefined> {
    const { follow, lines, level, security } = this.flags;
    const { followLog, lastLines, parseLine, parseSecurityLine } = await import(
      '../../cli/log-file.ts'
    );
    const parse = security ? parseSecurityLine : parseLine;
    const address = await this.#addressName();
    const sinceMs = sinceOf(this.flags.since);
    const least = LEVELS.indexOf(level);
    const wanted = (record: LogRecord): boolean =>
      LEVELS.indexOf(record.level as (typeof LEVELS)[number]) >= least &&
      Date.parse(record.time) >= sinceMs &&
      (address === undefined || record.fields?.['address'] === address);
    const { logFile, securityLog } = this.home();
    const path = security ? securityLog : logFile;
    const { records, position } = await lastLines(path, lines, wanted, parse);
    for (const record of records) await this.#show(record);
    if (!follow) return undefined;
    for await (const record of followLog(path, position, this.interruption(), parse)) {
      if (wanted(record)) await this.#show(record);
    }
    return undefined;
  }

  /** How the security log of this home names the address that is asked about. */
  async #addressName(): Promise<string | undefined> {
    const { address } = this.flags;
    if (address === undefined) return undefined;
    const { addressNameIn } = await import('../../core/telemetry/security-log.ts');
    return (await addressNameIn(this.home().securityKey, address)) ?? 'none';
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
