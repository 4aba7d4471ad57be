/**
 * One run of the simulator: nodes, network, disks and faults on virtual time, all from one seed.
 * The same seed and options give the same run, event by event; its trace has a hash to prove it.
 *
 * It runs the machines of a scenario and knows none of them. It measures nothing and stands for no
 * hardware: delays are there to make orders differ.
 */
import { createHash } from 'node:crypto';
import type { Ready } from '../machine.ts';
import { instant, MINUTE, SECOND } from '../units.ts';
import { SimClock } from './clock.ts';
import { Core, type Prices } from './core.ts';
import { type DiskOptions, SimDisk } from './disk.ts';
import { drawFaults, type Fault, type FaultKind } from './faults.ts';
import { identityAt } from './identity.ts';
import { type NetworkCounts, type NetworkOptions, SimNetwork } from './network.ts';
import { SimNode } from './node.ts';
import { SimRandom } from './random.ts';
import { type Scenario, SimFailure } from './scenario.ts';
import { strike } from './strike.ts';

export interface WorldOptions {
  readonly seed: string;
  /** @default drawn, 3 to 5 */
  readonly nodes?: number;
  /** Virtual time with work and faults. @default 1 min */
  readonly durationMs?: number;
  /** Virtual time within which the world must settle afterwards. @default 20 min */
  readonly settleMs?: number;
  /** Kinds of faults that may strike. @default those of the scenario */
  readonly faults?: readonly FaultKind[];
  /** @default 3 */
  readonly maxFaultsPerKind?: number;
  /** Kinds that are never off, where they may strike. @default none */
  readonly steadyFaults?: readonly FaultKind[];
  /** Share of runs in which a kind is off. @default 0.4 */
  readonly faultOffRate?: number;
  readonly network?: NetworkOptions;
  readonly disk?: DiskOptions;
  /** The clocks of the nodes differ from the true time by up to this. @default 2 min */
  readonly skewMsMax?: number;
  /** Pieces of work. @default drawn, 5 to 20 */
  readonly actions?: number;
  /** A bug for the zoo: effects leave before their entries are durable. @default false */
  readonly isHasty?: boolean;
  /** Each node has one core, on which things cost this much. @default they cost nothing */
  readonly prices?: Prices;
  /** Keeps the lines of the trace. @default false */
  readonly keepTrace?: boolean;
  /** Hashes the trace. @default true */
  readonly hashesTrace?: boolean;
}

export interface WorldReport {
  readonly seed: string;
  readonly nodes: number;
  /** SHA-256 of all that happened, in hex. */
  readonly trace: string;
  readonly lines: readonly string[];
  readonly events: number;
  /** Faults that struck, by kind. */
  readonly faults: Readonly<Record<FaultKind, number>>;
  readonly network: Readonly<NetworkCounts>;
  readonly maxQueued: number;
  /** Virtual time from the last fault until all was well. */
  readonly settledAfterMs: number;
  /** All of the virtual time. */
  readonly elapsedMs: number;
}

/** An arbitrary day, so that no run depends on the real one. */
const START = instant(Date.UTC(2026, 0, 1));
const MAX_QUEUE = 8192;
/** A hundred times what a long run of seven nodes takes. */
const TURNS_MAX = 5_000_000;
const DEFAULT_NETWORK: NetworkOptions = {
  minLatencyMs: 1,
  maxLatencyMs: 300,
  noticeMs: 3000,
  dialTimeoutMs: 5000,
};
const DEFAULT_DISK: DiskOptions = { minMs: 1, maxMs: 30 };

export class World {
  readonly clock = new SimClock(START);
  readonly random: SimRandom;
  readonly network: SimNetwork;
  readonly nodes: readonly SimNode[];
  readonly scenario: Scenario;
  readonly #options: WorldOptions;
  readonly #durationMs: number;
  readonly #hash = createHash('sha256');
  readonly #lines: string[] = [];
  readonly #struck = new Map<FaultKind, number>();
  readonly #restarts: SimRandom;
  #events = 0;
  #turns = 0;

  constructor(options: WorldOptions, deps: { readonly scenario: (world: World) => Scenario }) {
    this.#options = options;
    this.#durationMs = options.durationMs ?? MINUTE;
    this.random = new SimRandom(options.seed);
    const { clock } = this;
    this.#restarts = this.random.child('restarts');
    const random = this.random.child('network');
    this.network = new SimNetwork(options.network ?? DEFAULT_NETWORK, { clock, random });
    const count = options.nodes ?? this.random.child('nodes').between(3, 5);
    this.nodes = Array.from({ length: count }, (_, index) => this.#nodeOf(index));
    this.scenario = deps.scenario(this);
  }

  /** The node with this id. */
  node(nodeId: string): SimNode | undefined {
    return this.nodes.find((node) => node.nodeId === nodeId);
  }

  /** Milliseconds since the run began. */
  get elapsedMs(): number {
    return this.clock.now() - START;
  }

  get #isTraced(): boolean {
    return this.#options.hashesTrace !== false || this.#options.keepTrace === true;
  }

  /** Adds a line to the trace. */
  note(text: string): void {
    if (!this.#isTraced) return;
    const line = `${this.elapsedMs.toFixed(3)} ${text}`;
    this.#events += 1;
    this.#hash.update(line);
    if (this.#options.keepTrace === true) this.#lines.push(line);
  }

  noteReady(node: SimNode, machine: string, ready: Ready): void {
    if (!this.#isTraced) return;
    const { entries, messages, alarms, outcomes } = ready;
    const kinds = outcomes.map(({ type }) => type).join(',');
    const counts = `${entries.length} ${messages.length} ${alarms.length} ${kinds}`;
    this.note(`${node.options.name} ${machine} ${counts}`);
    for (const { key } of entries) this.#hash.update(key);
    for (const { to, body } of messages) this.#hash.update(to).update(body);
  }

  /** @throws {SimFailure} */
  run(): WorldReport {
    this.begin();
    this.clock.runUntil(instant(START + this.#durationMs));
    this.#heal();
    const settledAfterMs = this.#settle();
    for (const checker of this.scenario.checkers) checker.onSettled?.(this);
    return this.#report(settledAfterMs);
  }

  /** Starts the nodes and plans the faults: for runs that have no end to settle in. */
  begin(): void {
    for (const [index, node] of this.nodes.entries()) {
      const atMs = this.scenario.startsAtMs?.(index) ?? 0;
      if (atMs === 0) node.start();
      else this.clock.after(atMs, () => node.isUp || node.start());
    }
    this.#schedule();
  }

  /** SHA-256 of all that has happened, in hex. */
  trace(): string {
    return this.#hash.copy().digest('hex');
  }

  #report(settledAfterMs: number): WorldReport {
    const kinds = this.#options.faults ?? this.scenario.faults;
    const faults = Object.fromEntries(kinds.map((kind) => [kind, this.#struck.get(kind) ?? 0]));
    return {
      seed: this.#options.seed,
      nodes: this.nodes.length,
      trace: this.trace(),
      lines: this.#lines,
      events: this.#events,
      faults: faults as Record<FaultKind, number>,
      network: this.network.counts,
      maxQueued: Math.max(...this.nodes.map(({ maxQueued }) => maxQueued)),
      settledAfterMs,
      elapsedMs: this.elapsedMs,
    };
  }

  #nodeOf(index: number): SimNode {
    const random = this.random.child(`node ${index}`);
    const { clock } = this;
    const { prices } = this.#options;
    const disk = new SimDisk(this.#options.disk ?? DEFAULT_DISK, {
      clock,
      random: random.child('disk'),
    });
    const skewMsMax = this.#options.skewMsMax ?? 2 * MINUTE;
    const options = {
      identity: identityAt(this.#options.seed, index),
      name: `n${index}`,
      skewMs: random.child('skew').between(-skewMsMax, skewMsMax),
      maxQueue: MAX_QUEUE,
      isHasty: this.#options.isHasty ?? false,
      core: prices && new Core(prices, clock),
    };
    return new SimNode(options, {
      world: this,
      disk,
      checkers: () => this.scenario.checkers,
      boot: (node) => this.scenario.boot(node),
      died: (node) => this.#restart(node),
    });
  }

  #schedule(): void {
    const { nodes, scenario } = this;
    const maxPerKind = this.#options.maxFaultsPerKind ?? 3;
    const kinds = this.#options.faults ?? scenario.faults;
    const durationMs = this.#durationMs;
    const offRate = this.#options.faultOffRate ?? 0.4;
    const { steadyFaults: steady } = this.#options;
    const options = { kinds, nodes: nodes.length, durationMs, maxPerKind, offRate, steady };
    for (const fault of drawFaults(options, this.random.child('faults'))) {
      this.clock.after(fault.atMs, () => strike(this, fault));
    }
    const work = this.random.child('work');
    for (let i = this.#options.actions ?? work.between(5, 20); i > 0; i -= 1) {
      const at = work.between(0, this.#durationMs);
      const random = work.child(`${i}`);
      this.clock.after(at, () => this.scenario.act(this, random));
    }
  }

  /** A node has stopped by itself: it is started again, as an operator or systemd would. */
  #restart(node: SimNode): void {
    this.#count('failed-sync');
    this.note(`${node.options.name} died`);
    this.clock.after(this.#restarts.between(100, 5000), () => {
      if (!node.isUp) node.start();
    });
  }

  /** A node takes some of its inputs. Who does so without end does not let time go on. */
  countTurn(): void {
    this.#turns += 1;
    if (this.#turns > TURNS_MAX) throw new SimFailure(`liveness: more than ${TURNS_MAX} turns`);
  }

  /** A fault has struck. */
  struck({ kind, node }: Fault): void {
    this.note(`fault ${kind} n${node}`);
    this.#count(kind);
  }

  #count(kind: FaultKind): void {
    this.#struck.set(kind, (this.#struck.get(kind) ?? 0) + 1);
  }

  #heal(): void {
    const { network } = this;
    network.heal();
    network.lossRate = 0;
    network.doubleRate = 0;
    network.reorderRate = 0;
    network.slowness = 1;
    for (const node of this.nodes) {
      node.disk.slowness = 1;
      node.disk.isFull = false;
      node.disk.failsToSync = false;
      node.jumpMs = 0;
      node.spare();
      if (!node.isUp) node.start();
      else if (node.isPaused) node.resume();
    }
    this.scenario.healed?.(this);
  }

  #settle(): number {
    const end = this.elapsedMs + (this.#options.settleMs ?? 20 * MINUTE);
    for (;;) {
      this.clock.runUntil(instant(this.clock.now() + 2 * SECOND));
      const missing = this.scenario.unsettled(this);
      if (missing === undefined) return this.elapsedMs - this.#durationMs;
      if (this.elapsedMs > end)
        throw new SimFailure(`liveness: the world does not settle: ${missing}`);
    }
  }
}
