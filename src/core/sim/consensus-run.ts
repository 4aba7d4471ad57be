/** One seed of consensus: draws from it what is not given, runs it, and says what happened. */
import { MINUTE, SECOND } from '../units.ts';
import { byzantineRun } from './byzantine/run.ts';
import { type ConsensusOptions, ConsensusScenario } from './consensus-scenario.ts';
import { CONSENSUS_FAULTS, type FaultKind, HISTORY_FAULTS } from './faults.ts';
import { LATENCIES, type LatencyName, PROFILES } from './latency.ts';
import { SimRandom } from './random.ts';
import { World, type WorldReport } from './world.ts';

/** What is fixed; the rest is drawn from the seed. */
export interface RunOptions {
  readonly seed: string;
  readonly custodians?: number;
  readonly agents?: number;
  readonly latency?: LatencyName;
  readonly durationMs?: number;
  readonly faults?: readonly FaultKind[];
  /** Signatures that are worth something outside of the run, too. */
  readonly isReal?: boolean;
  readonly fanout?: 'all' | 'leader';
  /** A behaviour of custodians that do not follow the rules, or `all`. */
  readonly byzantine?: string;
  readonly wrap?: ConsensusOptions['wrap'];
  readonly checkers?: ConsensusOptions['checkers'];
  readonly isHasty?: boolean;
  /** @default false */
  readonly hashesTrace?: boolean;
  readonly keepTrace?: boolean;
}

export interface RunReport extends WorldReport {
  readonly custodians: number;
  readonly latency: LatencyName;
  /** Final blocks. */
  readonly heights: number;
  readonly intents: number;
  readonly reads: number;
  /** Views entered beyond the first of a height, by all nodes. */
  readonly viewChanges: number;
  /** Final blocks that were first proposed in a later view than 0. */
  readonly laterViews: number;
  readonly doubts: number;
  /** Entries of successions that are final. */
  readonly successions: number;
  /** Proposals that were carried out. */
  readonly decided: number;
  /** How often others became custodians, or had other keys. */
  readonly epochs: number;
  /** Intents refused for want of a right, and over quota. */
  readonly refusals: number;
  /** States that nodes took over from others. */
  readonly snapshots: number;
  readonly accused: number;
  readonly byzantine: number;
  readonly isReal: boolean;
  /** Virtual time of all nodes together, in hours. */
  readonly nodeHours: number;
}

interface Plan {
  readonly custodians: number;
  readonly agents: number;
  readonly latency: LatencyName;
  readonly durationMs: number;
  readonly actions: number;
  readonly fanout: 'all' | 'leader';
  readonly faults: readonly FaultKind[];
  readonly isUpgraded: boolean;
  /** By place, when agents start for the first time. */
  readonly startsAtMs: ReadonlyMap<number, number>;
}

const DISKS: Readonly<Record<LatencyName, { minMs: number; maxMs: number }>> = {
  lan: { minMs: 0.1, maxMs: 5 },
  wan: { minMs: 1, maxMs: 20 },
  tor: { minMs: 1, maxMs: 20 },
};

/** Custodians and those who may become some. */
const MEMBERS = 7;

/** Work comes this often on average, over all clients. */
const WORK_EVERY_MS = 1300;

function planOf(options: RunOptions): Plan {
  const random = new SimRandom(`${options.seed}/plan`);
  const draw = {
    custodians: random.pick([4, 4, 7])!,
    agents: random.between(0, 1),
    latency: random.pick(LATENCIES)!,
    durationMs: random.between(100, 180) * SECOND,
    fanout: random.pick(['all', 'all', 'leader'] as const)!,
  };
  const durationMs = options.durationMs ?? draw.durationMs;
  const history = new SimRandom(`${options.seed}/history`);
  const faults = options.faults ?? drawKinds(history);
  const isChanging = faults.includes('member-change');
  const isPruning = faults.includes('prune');
  const custodians =
    options.custodians ?? (isChanging ? history.pick([1, 4, 7])! : draw.custodians);
  const spare = isChanging ? Math.max(3, MEMBERS - custodians) : isPruning ? 2 : draw.agents;
  const agents = options.agents ?? spare;
  const late = isPruning ? Array.from({ length: agents }, (_, i) => custodians + i) : [];
  return {
    custodians,
    agents,
    faults,
    isUpgraded: faults.includes('upgrade'),
    startsAtMs: new Map(
      late.filter(() => history.chance(0.5)).map((at) => [at, history.between(1, durationMs)]),
    ),
    latency: options.latency ?? draw.latency,
    durationMs,
    actions: Math.ceil(durationMs / WORK_EVERY_MS),
    fanout: options.fanout ?? draw.fanout,
  };
}

/**
 * The kinds of faults of a run that names none: all that may befall nodes, and in half of the runs
 * some of what changes the cluster itself.
 */
function drawKinds(random: SimRandom): readonly FaultKind[] {
  const isCalm = random.chance(0.5);
  const changes = HISTORY_FAULTS.filter(() => random.chance(0.5));
  const dropped = new Set<FaultKind>(
    HISTORY_FAULTS.filter((kind) => isCalm || !changes.includes(kind)),
  );
  return CONSENSUS_FAULTS.filter((kind) => !dropped.has(kind));
}

/** @throws {SimFailure} when a checker fails. */
export function runConsensus(options: RunOptions): RunReport {
  const plan = planOf(options);
  const { custodians, fanout, latency } = plan;
  const isReal = options.isReal ?? false;
  let scenario: ConsensusScenario | undefined;
  const make = (world: World): ConsensusScenario => {
    const scheme = isReal ? 'real' : 'stub';
    const { byzantine } = options;
    const run = byzantine === undefined ? options : byzantineRun(byzantine, options.seed);
    scenario = new ConsensusScenario(world, {
      custodians,
      fanout,
      scheme,
      isUpgraded: plan.isUpgraded,
      isPruned: plan.faults.includes('prune'),
      startsAtMs: plan.startsAtMs,
      ...(run.wrap === undefined ? {} : { wrap: run.wrap }),
      ...(run.checkers === undefined ? {} : { checkers: run.checkers }),
    });
    return scenario;
  };
  const world = new World(
    {
      seed: options.seed,
      nodes: custodians + plan.agents,
      durationMs: plan.durationMs,
      settleMs: 10 * MINUTE,
      actions: plan.actions,
      network: PROFILES[latency],
      disk: { ...DISKS[latency], keepsHistory: true },
      skewMsMax: 30 * SECOND,
      faultOffRate: 0.6,
      steadyFaults: HISTORY_FAULTS,
      maxFaultsPerKind: 3,
      isHasty: options.isHasty ?? false,
      keepTrace: options.keepTrace ?? false,
      hashesTrace: options.hashesTrace ?? false,
      faults: plan.faults,
    },
    { scenario: make },
  );
  const report = world.run();
  const { checker, clients } = scenario!;
  const { refused: refusals } = checker.ledger.polity.rights;
  return {
    ...report,
    custodians,
    latency,
    heights: checker.ledger.height,
    intents: checker.ledger.intents,
    reads: clients.counts.reads,
    viewChanges: checker.counts.viewChanges,
    laterViews: checker.ledger.laterViews,
    doubts: checker.counts.doubts,
    successions: checker.ledger.successions,
    decided: checker.ledger.polity.done,
    epochs: scenario!.epochs,
    refusals: refusals.rights + refusals.quota,
    snapshots: checker.ledger.snapshots,
    accused: checker.accused,
    byzantine: scenario!.byzantine,
    isReal,
    nodeHours: (report.nodes * report.elapsedMs) / (60 * MINUTE),
  };
}
