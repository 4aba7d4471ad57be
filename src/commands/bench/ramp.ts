/** `aegis bench ramp`: how much a devnet takes before it falls behind. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { benchDevnet, machineFacts } from '../../cli/bench.ts';
import { facts, parseDuration, table } from '../../cli/format.ts';
import { VERSION } from '../../cli/version.ts';
import type { BenchRampResult } from '../../core/api/contract/bench.ts';

const GIB = 2 ** 30;

const duration = (description: string, byDefault: number) =>
  Flags.custom<number>({
    helpValue: '<time>',
    description,
    default: byDefault,
    parse: (text) => Promise.resolve(parseDuration(text)),
  })();

export default class BenchRamp extends BaseCommand<typeof BenchRamp, BenchRampResult> {
  static override readonly summary = 'Raise the load on a devnet until it is saturated.';
  static override readonly description =
    'Uses the devnet of this home, or makes one of real processes that goes away afterwards. ' +
    'Intents of one change each come in steps, each with more of them a second, at all nodes. It ' +
    'ends at the step whose intents fall behind or take too long, and says the most that became ' +
    'final within the limit. All processes share this machine, and so does what else runs on it.';
  static override readonly examples = [
    { description: 'Four nodes', command: '<%= config.bin %> bench ramp' },
    {
      description: 'Smaller steps, for longer',
      command: '<%= config.bin %> bench ramp --nodes 7 --step 50 --duration 10s --json',
    },
  ];
  static override readonly flags = {
    nodes: Flags.integer({
      char: 'n',
      min: 1,
      max: 16,
      default: 4,
      helpValue: '<number>',
      description: 'How many nodes, when there is no devnet yet.',
    }),
    step: Flags.integer({
      min: 1,
      max: 100_000,
      default: 200,
      helpValue: '<intents>',
      description: 'Intents a second that each step has more than the one before.',
    }),
    steps: Flags.integer({
      min: 1,
      max: 50,
      default: 20,
      helpValue: '<number>',
      description: 'Most steps.',
    }),
    duration: duration('How long each step takes, at most 60s.', 4000),
    limit: duration('Finality, 95th percentile, above which it is saturated.', 2000),
  };

  protected override async work(): Promise<BenchRampResult> {
    const { ramp } = await import('../../core/node/ramp.ts');
    const { nodes, step, steps, limit } = this.flags;
    const stepMs = Math.min(60_000, Math.max(200, this.flags.duration));
    const signal = this.interruption();
    const startedAt = new Date().toISOString();
    return await benchDevnet({ home: this.home(), nodes, signal }, async (devnet) => {
      const measured = await ramp(devnet.clients, {
        ...{ step, stepsMax: steps, stepMs, p95LimitMs: limit, signal },
        told: ({ offered, perSecond, p95Ms }) =>
          this.detail(`aegis: ${offered}/s offered, ${perSecond}/s final, p95 ${p95Ms} ms`),
      });
      return {
        schema: 'aegis.bench.ramp/1',
        startedAt,
        nodes: devnet.clients.length,
        temporary: devnet.isTemporary,
        ...machineFacts(VERSION),
        ...{ stepMs, p95LimitMs: limit },
        ...measured,
      };
    });
  }

  protected override view(result: BenchRampResult): string {
    const { machine, versions, steps, saturation, nodes, stepMs } = result;
    const memory = `${Math.round(machine.memoryBytes / GIB)} GiB`;
    const rows = table(steps, [
      { title: 'OFFERED/S', cell: ({ offered }) => offered, align: 'right' },
      { title: 'FINAL/S', cell: ({ perSecond }) => perSecond.toFixed(1), align: 'right' },
      { title: 'P50 MS', cell: ({ p50Ms }) => p50Ms ?? '-', align: 'right' },
      { title: 'P95 MS', cell: ({ p95Ms }) => p95Ms ?? '-', align: 'right' },
      { title: 'P99 MS', cell: ({ p99Ms }) => p99Ms ?? '-', align: 'right' },
      { title: 'N', cell: ({ samples }) => samples, align: 'right' },
      { title: 'MISSED', cell: ({ missed }) => missed, align: 'right' },
    ]);
    const lines = facts([
      ['machine', `${machine.cores} x ${machine.processor}, ${memory}, ${machine.platform}`],
      [
        'versions',
        `aegis ${versions.aegis}, node ${versions.node}, OpenSSL ${versions.openssl}, ` +
          `SQLite ${versions.sqlite}`,
      ],
      ['load', `${nodes} nodes, steps of ${stepMs / 1000} s, one change an intent`],
      ['saturation', saturationText(saturation)],
    ]);
    return `${rows}\n${lines}`;
  }
}

const REASONS = {
  throughput: 'more than that falls behind',
  latency: 'more than that takes too long',
  none: 'not reached: the last step was not the limit',
} as const;

const saturationText = ({ perSecond, p95Ms, reason }: BenchRampResult['saturation']): string =>
  `${perSecond.toFixed(1)} intents/s with p95 ${p95Ms ?? '-'} ms; ${REASONS[reason]}`;
