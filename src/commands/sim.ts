/** `aegis sim`: the real machines of consensus on virtual time, under faults, from seeds. */
import { availableParallelism } from 'node:os';
import { Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base.ts';
import { facts, parseDuration } from '../cli/format.ts';
import type { SimResult } from '../core/api/contract/sim.ts';
import { AegisError, EXIT } from '../core/errors.ts';
import type { CampaignOptions, Totals } from '../core/sim/campaign.ts';

const FAILURES_SHOWN = 10;
const COUNTS_A_ROW = 6;

export default class Sim extends BaseCommand<typeof Sim, SimResult> {
  static override readonly summary = 'Run simulated clusters under faults and check what they do.';
  static override readonly description =
    'Runs the machines that a node runs, with simulated networks, disks and clocks, from seeds. ' +
    'Each seed draws a cluster, its work and its faults; checkers watch what is sent, what is on ' +
    'the disks and what the clients see, and all must settle when the faults end. The same seed ' +
    'does the same again. Exit status 1 when a check fails, with the line that replays it. It ' +
    'needs no home and no daemon, and touches neither.';
  static override readonly examples = [
    { description: 'A hundred seeds', command: '<%= config.bin %> sim --seeds 100' },
    {
      description: 'Seven custodians over Tor, with crashes and lost messages only',
      command: '<%= config.bin %> sim --nodes 7 --latency tor --faults crash,loss',
    },
    { description: 'Misbehaving custodians', command: '<%= config.bin %> sim --byzantine all' },
    { description: 'One run again', command: '<%= config.bin %> sim --replay 17:nodes=4' },
  ];
  static override readonly flags = {
    nodes: Flags.string({
      helpValue: '<numbers>',
      description: 'Custodians, by turns: 4, or 4,7. Drawn from the seed unless given.',
    }),
    seed: Flags.integer({
      min: 0,
      default: 1,
      helpValue: '<number>',
      description: 'The first seed.',
    }),
    seeds: Flags.integer({
      min: 1,
      default: 20,
      helpValue: '<number>',
      description: 'How many seeds.',
    }),
    faults: Flags.string({
      helpValue: '<list>',
      description: 'Kinds of faults that may strike: names with commas, all, or none.',
    }),
    byzantine: Flags.string({
      helpValue: '<name>',
      description: 'Let custodians misbehave, at most f of them: a behaviour, or all by turns.',
    }),
    latency: Flags.option({
      options: ['lan', 'wan', 'tor'] as const,
      description: 'How long messages take. Drawn from the seed unless given.',
    })(),
    duration: Flags.custom<number>({
      helpValue: '<time>',
      description: 'Virtual time with work and faults: 90s, 5m. Drawn from the seed unless given.',
      parse: (text) => Promise.resolve(parseDuration(text)),
    })(),
    replay: Flags.string({
      helpValue: '<run>',
      exclusive: ['nodes', 'seed', 'seeds', 'faults', 'byzantine', 'latency', 'duration'],
      description: 'Run this one again, as a failure has named it.',
    }),
    jobs: Flags.integer({
      min: 1,
      max: 64,
      helpValue: '<number>',
      description: 'Threads. As many as there are cores unless given.',
    }),
  };

  protected override async work(): Promise<SimResult> {
    const { Totals } = await import('../core/sim/campaign.ts');
    const began = performance.now();
    const totals = new Totals();
    if (this.flags.replay === undefined) await this.#campaign(totals);
    else {
      const { runReplayText } = await import('../core/sim/campaign.ts');
      totals.add(runReplayText(this.flags.replay));
    }
    if (totals.failures.length > 0) process.exitCode = EXIT.no;
    return resultOf(totals, performance.now() - began);
  }

  async #campaign(totals: Totals): Promise<void> {
    const { runCampaign } = await import('../core/sim/jobs.ts');
    const options = await this.#options();
    const signal = this.interruption();
    const jobs = this.flags.jobs ?? availableParallelism();
    await runCampaign(options, { jobs, signal }, (result) => {
      totals.add(result);
      if ('message' in result) this.note(`aegis: seed ${result.seed}: ${result.message}`);
      if (totals.counts.seeds % 100 === 0) this.detail(`aegis: ${totals.counts.seeds} seeds`);
    });
    if (signal.aborted) throw new AegisError('INTERRUPTED', 'stopped');
  }

  async #options(): Promise<CampaignOptions> {
    const { readBehaviour, readFaults } = await import('../core/sim/replay.ts');
    const { seed, seeds, nodes, faults, byzantine, latency, duration } = this.flags;
    return {
      first: seed,
      count: seeds,
      ...(nodes === undefined ? {} : { nodes: readNodes(nodes) }),
      fixed: {
        ...(faults === undefined ? {} : { faults: readFaults(faults) }),
        ...(byzantine === undefined ? {} : { byzantine: readBehaviour(byzantine) }),
        ...(latency === undefined ? {} : { latency }),
        ...(duration === undefined ? {} : { durationMs: duration }),
      },
    };
  }

  protected override view(result: SimResult): string {
    const { messages, failures } = result;
    const shown = failures.slice(0, FAILURES_SHOWN);
    const lines = facts([
      ['seeds', `${result.seeds}, of which ${failures.length} failed`],
      ['signatures', `real ones in ${result.realSeeds} seeds`],
      ['virtual time', `${result.nodeHours.toFixed(2)} node-hours, ${speedText(result)}`],
      ['heights', `${result.heights}, in the median seed ${result.heightsMedian}`],
      ['clients', `${result.intents} intents decided, ${result.reads} linearizable reads`],
      ['view changes', `${result.viewChanges}; ${result.laterViews} blocks of later leaders`],
      ['doubts', `${result.doubts}`],
      ['successions', `${result.successions}`],
      ['decisions', `${result.decided} proposals, ${result.epochs} epochs of custodians`],
      ['refusals', `${result.refusals} intents without the right, or over quota`],
      ['snapshots', `${result.snapshots}`],
      ['byzantine', `${result.byzantine}, of which ${result.accused} were proved guilty`],
      ...countRows('messages', messages),
      ...countRows('faults', result.faults),
      ['longest', `${result.queuedMax} inputs waited; settled in ${settleText(result)}`],
    ]);
    const replays = shown.map(
      ({ seed, message, replay }) => `seed ${seed}: ${message}\nreplay: ${replay}`,
    );
    return [lines, ...replays].join('\n');
  }
}

/** Names and counts, a few in a row. */
function countRows(title: string, counts: Readonly<Record<string, number>>): [string, string][] {
  const texts = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  const rows = Math.ceil(texts.length / COUNTS_A_ROW);
  return Array.from({ length: rows }, (_, row) => {
    const from = row * COUNTS_A_ROW;
    return [row === 0 ? title : '', texts.slice(from, from + COUNTS_A_ROW).join(', ')];
  });
}

const speedText = ({ speedUp }: SimResult): string => `${Math.round(speedUp)} times as fast`;

const settleText = ({ settledAfterMsMax }: SimResult): string =>
  `${Math.round(settledAfterMsMax / 1000)} s`;

/** @throws {AegisError} `USAGE`. */
function readNodes(text: string): number[] {
  const numbers = text.split(',').map(Number);
  if (numbers.every((number) => Number.isInteger(number) && number >= 1 && number <= 31)) {
    return numbers;
  }
  throw new AegisError('USAGE', `--nodes: expected numbers from 1 to 31, found ${text}`);
}

function resultOf(totals: Totals, elapsedMs: number): SimResult {
  const { counts, failures, faults, heightsMedian } = totals;
  const { sent, delivered, lost, doubled, reordered, blocked, ...rest } = counts;
  return {
    schema: 'aegis.sim/1',
    ok: failures.length === 0,
    ...rest,
    nodeHours: Math.round(counts.nodeHours * 1000) / 1000,
    speedUp: Math.round(counts.nodeHours / (elapsedMs / 3_600_000)),
    elapsedMs: Math.round(elapsedMs),
    heightsMedian,
    messages: { sent, delivered, lost, doubled, reordered, blocked },
    faults,
    failures,
  };
}
