/** Many seeds of consensus: runs them, sums up what happened, and finds the failures. */
import { type RunReport, runConsensus } from './consensus-run.ts';
import { CONSENSUS_FAULTS, type FaultKind } from './faults.ts';
import { type Replay, readReplay, replayText } from './replay.ts';
import { SimFailure } from './scenario.ts';

/** What is fixed for all seeds; the rest is drawn from each seed. Plain data: threads get it. */
export interface CampaignOptions {
  readonly first: number;
  readonly count: number;
  /** Options of every run but its seed. */
  readonly fixed?: Omit<Replay, 'seed'>;
  /** Numbers of custodians, by turns. @default drawn from the seed */
  readonly nodes?: readonly number[];
  /** Each so many-th seed runs with the signatures that nodes really make. @default 50 */
  readonly realEvery?: number;
  /** In each so many-th seed custodians misbehave, up to f of them. @default as `fixed` says */
  readonly byzantineEvery?: number;
  /** Each so many-th seed runs twice, and must do the same twice. @default 100 */
  readonly againEvery?: number;
}

export interface CampaignFailure {
  readonly seed: string;
  /** What was broken; begins with the name of the checker. */
  readonly message: string;
  /** One line for a shell. */
  readonly replay: string;
}

/** The outcome of one seed. */
export type SeedResult = RunReport | CampaignFailure;

const isFailure = (result: SeedResult): result is CampaignFailure => 'message' in result;

/** The runs of a campaign; `step` and `offset` share them among threads. */
function* replaysOf(options: CampaignOptions, step = 1, offset = 0): Generator<Replay> {
  const { first, count, nodes, realEvery = 50, byzantineEvery = Infinity } = options;
  for (let i = offset; i < count; i += step) {
    const custodians = nodes?.[i % nodes.length];
    yield {
      ...options.fixed,
      seed: `${first + i}`,
      ...(custodians === undefined ? {} : { custodians }),
      ...(i % realEvery === 0 ? { isReal: true } : {}),
      ...(i % byzantineEvery === byzantineEvery - 1 ? { byzantine: 'all' } : {}),
    };
  }
}

/** Runs one seed; never throws for what the machines do. */
function runReplay(replay: Replay, isAgain = false): SeedResult {
  try {
    const report = runConsensus({ ...replay, hashesTrace: isAgain });
    if (isAgain) {
      const again = runConsensus({ ...replay, hashesTrace: true });
      if (again.trace !== report.trace) throw new SimFailure('determinism: two runs differ');
    }
    return { ...report, lines: [] };
  } catch (error) {
    return { seed: replay.seed, message: textOf(error), replay: replayLine(replay) };
  }
}

/** Runs a share of the seeds of a campaign, one after the other. */
export function* runShare(
  options: CampaignOptions,
  step: number,
  offset: number,
): Generator<SeedResult> {
  const againEvery = options.againEvery ?? 100;
  for (const replay of replaysOf(options, step, offset)) {
    yield runReplay(replay, (Number(replay.seed) - options.first) % againEvery === 1);
  }
}

const replayLine = (replay: Replay): string => `npx aegis sim --replay ${replayText(replay)}`;

/** The run of a replay, as `--replay` gives it. */
export const runReplayText = (text: string): SeedResult => runReplay(readReplay(text));

/** An error that is no `SimFailure` came out of a machine: that is a failure, too. */
function textOf(error: unknown): string {
  if (error instanceof SimFailure) return error.message;
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `machine: ${stack.split('\n').slice(0, 4).join(' ').replaceAll(/\s+/g, ' ')}`;
}

/** What a campaign adds up to. */
export class Totals {
  readonly failures: CampaignFailure[] = [];
  readonly faults: Record<FaultKind, number>;
  readonly #heights: number[] = [];
  readonly counts = {
    seeds: 0,
    realSeeds: 0,
    nodeHours: 0,
    heights: 0,
    intents: 0,
    reads: 0,
    viewChanges: 0,
    laterViews: 0,
    doubts: 0,
    successions: 0,
    decided: 0,
    epochs: 0,
    refusals: 0,
    snapshots: 0,
    byzantine: 0,
    accused: 0,
    sent: 0,
    delivered: 0,
    lost: 0,
    doubled: 0,
    reordered: 0,
    blocked: 0,
    queuedMax: 0,
    settledAfterMsMax: 0,
  };

  constructor(kinds: readonly FaultKind[] = CONSENSUS_FAULTS) {
    this.faults = Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<FaultKind, number>;
  }

  add(result: SeedResult): void {
    const { counts } = this;
    counts.seeds += 1;
    if (isFailure(result)) {
      this.failures.push(result);
      return;
    }
    this.#heights.push(result.heights);
    for (const [kind, count] of Object.entries(result.faults)) {
      this.faults[kind as FaultKind] += count;
    }
    counts.realSeeds += result.isReal ? 1 : 0;
    const same = ['nodeHours', 'heights', 'intents', 'reads', 'viewChanges', 'laterViews'] as const;
    const history = ['decided', 'epochs', 'refusals', 'snapshots'] as const;
    const rest = ['doubts', 'successions', 'byzantine', 'accused'] as const;
    for (const name of [...same, ...rest, ...history] as const) {
      counts[name] += result[name];
    }
    for (const name of ['sent', 'delivered', 'lost', 'doubled', 'reordered', 'blocked'] as const) {
      counts[name] += result.network[name];
    }
    counts.queuedMax = Math.max(counts.queuedMax, result.maxQueued);
    counts.settledAfterMsMax = Math.max(counts.settledAfterMsMax, result.settledAfterMs);
  }

  /** Final blocks of a seed: half of the seeds have at least as many. */
  get heightsMedian(): number {
    const sorted = this.#heights.toSorted((a, b) => a - b);
    return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  }
}
