/**
 * A stated load on a simulated cluster, each node on one core: how much becomes final, how late,
 * and what the cores do. Clients submit open-loop, so a cluster that is too slow falls behind and
 * shows it. The prices are measured on a machine; all else follows from the seed. All checkers of
 * consensus watch. What is not in it: the API, the disk of a machine that has other work, and the
 * fair shares of several streams on one line.
 */
import type { ChainInput, ChainOutcome } from '../chain/types.ts';
import { sha256 } from '../crypto/hash.ts';
import type { Outcome } from '../machine.ts';
import { createIntent } from '../model/intent.ts';
import { versionCidOf } from '../model/version.ts';
import { instant, SECOND } from '../units.ts';
import { type ConsensusOptions, ConsensusScenario } from './consensus-scenario.ts';
import { PHASES, type Phase, type Prices } from './core.ts';
import type { DiskOptions } from './disk.ts';
import type { NetworkOptions } from './network.ts';
import type { SimNode } from './node.ts';
import type { Checker } from './scenario.ts';
import { World } from './world.ts';

const MBIT_BYTES_PER_MS = 1_000_000 / 8 / 1000;
const CALM = { noticeMs: SECOND, dialTimeoutMs: SECOND, isOrdered: true } as const;

/** One way, on the line of each node. */
export const SLO_NETWORKS = {
  lan: {
    ...CALM,
    minLatencyMs: 0.25,
    maxLatencyMs: 0.25,
    jitterMs: 0.1,
    bytesPerMs: 1000 * MBIT_BYTES_PER_MS,
  },
  wan: {
    ...CALM,
    minLatencyMs: 45,
    maxLatencyMs: 45,
    jitterMs: 10,
    bytesPerMs: 1000 * MBIT_BYTES_PER_MS,
  },
  /** The line of an office. */
  'wan-100mbit': {
    ...CALM,
    minLatencyMs: 45,
    maxLatencyMs: 45,
    jitterMs: 10,
    bytesPerMs: 100 * MBIT_BYTES_PER_MS,
  },
} as const satisfies Record<string, NetworkOptions>;

export type SloNetwork = keyof typeof SLO_NETWORKS;

export interface SloOptions {
  readonly seed: string;
  readonly custodians: number;
  readonly network: SloNetwork;
  readonly intentsPerSecond: number;
  /** Before anything is counted. */
  readonly warmUpMs: number;
  readonly measuredMs: number;
  /** @default all is free */
  readonly prices?: Prices | undefined;
  readonly disk: DiskOptions;
  readonly watch?: ConsensusOptions['watch'];
}

export interface SloReport {
  /** Became final at their authors, a second, while it was measured. */
  readonly perSecond: number;
  /** From the submission of each measured intent until its author holds it final. */
  readonly finalityMs: readonly number[];
  readonly submitted: number;
  /** Of those, not final within seconds after the end. */
  readonly unfinished: number;
  /** Blocks that became final while it was measured. */
  readonly blocks: number;
  readonly intentBytes: number;
  /** Of the time that was measured, on all cores, by what was done. */
  readonly shares: Readonly<Record<Phase, number>>;
  /** The same of the core that did most. */
  readonly busiest: number;
  /** Of what the line of a node can carry, sent by all on average. */
  readonly line: number;
  readonly viewChanges: number;
  readonly trace: string;
}

/** Moves of new paths, submitted evenly at one node after the other. */
class Load {
  readonly #options: SloOptions;
  readonly #scenario: ConsensusScenario;
  readonly #sequences = new Map<string, number>();
  /** By author and sequence, when it was submitted. */
  readonly #open = new Map<string, number>();
  readonly finalityMs: number[] = [];
  readonly #heights = new Set<number>();
  submitted = 0;
  final = 0;
  intentBytes = 0;
  #bytesBefore = 0;
  #spentBefore = new Map<SimNode, Record<Phase, number>>();
  shares: Readonly<Record<Phase, number>> | undefined;
  busiest = 0;
  line = 0;

  constructor(options: SloOptions, scenario: ConsensusScenario) {
    this.#options = options;
    this.#scenario = scenario;
  }

  /** Measured, and not final yet. */
  get open(): number {
    return this.#open.size;
  }

  get blocks(): number {
    return this.#heights.size;
  }

  start(world: World): void {
    const { intentsPerSecond, warmUpMs, measuredMs } = this.#options;
    const count = Math.round(((warmUpMs + measuredMs) * intentsPerSecond) / SECOND);
    for (let i = 0; i < count; i += 1) {
      const node = world.nodes[i % world.nodes.length]!;
      world.clock.after(START_MS + (i * SECOND) / intentsPerSecond, () => this.#submit(node, i));
    }
    world.clock.after(START_MS + warmUpMs, () => this.#begin(world));
    world.clock.after(START_MS + warmUpMs + measuredMs, () => this.#end(world));
  }

  #submit(node: SimNode, number: number): void {
    const { world, nodeId } = node;
    const { core } = node.options;
    const submittedAt = world.clock.now();
    const isMeasured = world.elapsedMs >= START_MS + this.#options.warmUpMs;
    const submit = (): void => {
      const sequence = (this.#sequences.get(nodeId) ?? 0) + 1;
      this.#sequences.set(nodeId, sequence);
      if (isMeasured) {
        this.submitted += 1;
        this.#open.set(`${nodeId} ${sequence}`, submittedAt);
      }
      node.submit('chain', this.#intentOf(node, sequence, number));
    };
    if (core === undefined) submit();
    else core.run(() => core.charge('signatures of intents', core.prices.ed25519Sign), submit);
  }

  #intentOf(node: SimNode, sequence: number, number: number): ChainInput {
    const { cluster, home } = this.#scenario.toolsOf(node);
    const version = versionCidOf(sha256(Buffer.from(`version ${number}`)));
    const change = { path: `load/${number % 97}/${number}`, version, parents: [], generation: 1 };
    const fields = { author: node.nodeId, sequence, time: node.now(), changes: [change] };
    const signer = home.signer(node.identity.signer.publicKey)!;
    const signed = createIntent({ ...fields, keyEpoch: 0 }, cluster, signer);
    this.intentBytes = signed.bytes.length;
    this.#scenario.clients.submitted.add(signed.digest);
    return { type: 'submit', intents: [signed] };
  }

  onOutcome(node: SimNode, machine: string, outcome: Outcome): void {
    const told = outcome as ChainOutcome;
    if (machine !== 'chain' || told.type !== 'finalised') return;
    const { clock, elapsedMs } = node.world;
    const at = elapsedMs - START_MS - this.#options.warmUpMs;
    const isMeasured = at >= 0 && at < this.#options.measuredMs;
    if (isMeasured) this.#heights.add(told.height);
    for (const { author, sequence } of told.receipts) {
      if (author !== node.nodeId) continue;
      if (isMeasured) this.final += 1;
      const key = `${author} ${sequence}`;
      const since = this.#open.get(key);
      if (since === undefined) continue;
      this.#open.delete(key);
      this.finalityMs.push(clock.now() - since);
    }
  }

  #begin({ nodes, network }: World): void {
    this.#bytesBefore = network.bytes;
    for (const node of nodes)
      this.#spentBefore.set(node, { ...node.options.core?.spentMs } as never);
  }

  #end({ nodes, network }: World): void {
    const { measuredMs } = this.#options;
    const { bytesPerMs } = SLO_NETWORKS[this.#options.network];
    this.line = (network.bytes - this.#bytesBefore) / nodes.length / measuredMs / bytesPerMs;
    const spent = (node: SimNode, phase: Phase): number =>
      ((node.options.core?.spentMs[phase] ?? 0) - (this.#spentBefore.get(node)?.[phase] ?? 0)) /
      measuredMs;
    const all = (phase: Phase): number =>
      nodes.reduce((sum, node) => sum + spent(node, phase), 0) / nodes.length;
    this.shares = Object.fromEntries(PHASES.map((phase) => [phase, all(phase)])) as never;
    const whole = nodes.map((node) => PHASES.reduce((sum, phase) => sum + spent(node, phase), 0));
    this.busiest = Math.max(...whole);
  }
}

/** Until everybody is connected. */
const START_MS = 500;
/** For what was measured to become final: what falls behind would do so for ever. */
const PATIENCE_MS = 3 * SECOND;
const LOOK_MS = 100;

/** @throws {SimFailure} when a checker fails. */
export function runSlo(options: SloOptions): SloReport {
  const { seed, custodians, network, prices, disk, warmUpMs, measuredMs, watch } = options;
  let load: Load | undefined;
  let scenario: ConsensusScenario | undefined;
  const told: Checker = { onOutcome: (...seen) => load!.onOutcome(...seen) };
  const world = new World(
    {
      seed,
      nodes: custodians,
      actions: 0,
      faults: [],
      skewMsMax: 0,
      network: SLO_NETWORKS[network],
      disk,
      ...(prices === undefined ? {} : { prices }),
    },
    {
      scenario: (made) => {
        const rest = watch === undefined ? {} : { watch };
        // Seeds turn over as in a real cluster.
        const checkers = [told];
        scenario = new ConsensusScenario(made, { custodians, checkers, epochHeights: 64, ...rest });
        load = new Load(options, scenario);
        return scenario;
      },
    },
  );
  load!.start(world);
  world.begin();
  const endMs = START_MS + warmUpMs + measuredMs;
  const goOn = (forMs: number): void => world.clock.runUntil(instant(world.clock.now() + forMs));
  goOn(endMs);
  while (load!.open > 0 && world.elapsedMs < endMs + PATIENCE_MS) goOn(LOOK_MS);
  return {
    perSecond: (load!.final * SECOND) / measuredMs,
    finalityMs: load!.finalityMs,
    submitted: load!.submitted,
    blocks: load!.blocks,
    intentBytes: load!.intentBytes,
    shares: load!.shares!,
    busiest: load!.busiest,
    line: load!.line,
    viewChanges: scenario!.checker.counts.viewChanges,
    unfinished: load!.open,
    trace: world.trace(),
  };
}
