/**
 * One run of the simulator: nodes, network, disks and faults on virtual time, all from one seed.
 * The same seed and options give the same run, event by event; its trace has a hash to prove it.
 *
 * It runs the machines of a scenario and knows none of them. It measures nothing and stands for no
 * hardware: delays are there to make orders differ.
 */
import { createHash } from 'node:crypto';
import { unreachable } from '../assert.ts';
import type { Ready } from '../machine.ts';
import { instant, MINUTE, SECOND } from '../units.ts';
import { SimClock } from './clock.ts';
import { SimDisk } from './disk.ts';
import { drawFaults, FAULTS, type Fault, type FaultKind } from './faults.ts';
import { identityAt } from './identity.ts';
import { SimNetwork } from './network.ts';
import { SimNode } from './node.ts';
import { SimRandom } from './random.ts';
import { type Scenario, SimFailure } from './scenario.ts';

export interface WorldOptions {
  readonly seed: string;
  /** @default drawn, 3 to 5 */
  readonly nodes?: number;
  /** Virtual time with work and faults. @default 1 min */
  readonly durationMs?: number;
  /** Virtual time within which the world must settle afterwards. @default 20 min */
  readonly settleMs?: number;
  /** @default 3 */
  readonly maxFaultsPerKind?: number;
  /** Pieces of work. @default drawn, 5 to 20 */
  readonly actions?: number;
  /** A bug for the zoo: effects leave before their entries are durable. @default false */
  readonly isHasty?: boolean;
  /** Keeps the lines of the trace. @default false */
  readonly keepTrace?: boolean;
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
  readonly envelopes: number;
  readonly lost: number;
  readonly doubled: number;
  readonly maxQueued: number;
  /** Virtual time from the last fault until all was well. */
  readonly settledAfterMs: number;
}

/** An arbitrary day, so that no run depends on the real one. */
const START = instant(Date.UTC(2026, 0, 1));
const MAX_QUEUE = 4096;

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
  #events = 0;

  constructor(options: WorldOptions, deps: { readonly scenario: (world: World) => Scenario }) {
    this.#options = options;
    this.#durationMs = options.durationMs ?? MINUTE;
    this.random = new SimRandom(options.seed);
    const { clock } = this;
    const latency = { minLatencyMs: 1, maxLatencyMs: 300, noticeMs: 3000, dialTimeoutMs: 5000 };
    this.network = new SimNetwork(latency, { clock, random: this.random.child('network') });
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

  /** Adds a line to the trace. */
  note(text: string): void {
    const line = `${this.elapsedMs.toFixed(3)} ${text}`;
    this.#events += 1;
    this.#hash.update(line);
    if (this.#options.keepTrace === true) this.#lines.push(line);
  }

  noteReady(node: SimNode, machine: string, ready: Ready): void {
    const { entries, messages, alarms, outcomes } = ready;
    const kinds = outcomes.map(({ type }) => type).join(',');
    const counts = `${entries.length} ${messages.length} ${alarms.length} ${kinds}`;
    this.note(`${node.options.name} ${machine} ${counts}`);
    for (const { key } of entries) this.#hash.update(key);
    for (const { to, body } of messages) this.#hash.update(to).update(body);
  }

  /** @throws {SimFailure} */
  run(): WorldReport {
    for (const node of this.nodes) node.start();
    this.#schedule();
    this.clock.runUntil(instant(START + this.#durationMs));
    this.#heal();
    const settledAfterMs = this.#settle();
    for (const checker of this.scenario.checkers) checker.onSettled?.(this);
    const { sent, lost, doubled } = this.network.counts;
    const faults = Object.fromEntries(FAULTS.map((kind) => [kind, this.#struck.get(kind) ?? 0]));
    return {
      seed: this.#options.seed,
      nodes: this.nodes.length,
      trace: this.#hash.digest('hex'),
      lines: this.#lines,
      events: this.#events,
      faults: faults as Record<FaultKind, number>,
      envelopes: sent,
      lost,
      doubled,
      maxQueued: Math.max(...this.nodes.map(({ maxQueued }) => maxQueued)),
      settledAfterMs,
    };
  }

  #nodeOf(index: number): SimNode {
    const random = this.random.child(`node ${index}`);
    const { clock } = this;
    const disk = new SimDisk({ minMs: 1, maxMs: 30 }, { clock, random: random.child('disk') });
    const options = {
      identity: identityAt(this.#options.seed, index),
      name: `n${index}`,
      skewMs: random.child('skew').between(-2 * MINUTE, 2 * MINUTE),
      maxQueue: MAX_QUEUE,
      isHasty: this.#options.isHasty ?? false,
    };
    return new SimNode(options, {
      world: this,
      disk,
      checkers: () => this.scenario.checkers,
      boot: (node) => this.scenario.boot(node),
    });
  }

  #schedule(): void {
    const { nodes } = this;
    const maxPerKind = this.#options.maxFaultsPerKind ?? 3;
    const options = { nodes: nodes.length, durationMs: this.#durationMs, maxPerKind };
    for (const fault of drawFaults(options, this.random.child('faults'))) {
      this.clock.after(fault.atMs, () => this.#strike(fault));
    }
    const work = this.random.child('work');
    for (let i = this.#options.actions ?? work.between(5, 20); i > 0; i -= 1) {
      const at = work.between(0, this.#durationMs);
      const random = work.child(`${i}`);
      this.clock.after(at, () => this.scenario.act(this, random));
    }
  }

  #strike(fault: Fault): void {
    const undo = this.#apply(fault);
    if (undo === undefined) return;
    const { kind, forMs } = fault;
    this.note(`fault ${kind} n${fault.node}`);
    this.#struck.set(kind, (this.#struck.get(kind) ?? 0) + 1);
    this.clock.after(forMs, undo);
  }

  /** @returns how to end the fault; undefined when it cannot strike now. */
  #apply({ kind, node: index, force }: Fault): (() => void) | undefined {
    const node = this.nodes[index]!;
    const { network } = this;
    switch (kind) {
      case 'crash':
        return this.#stop(node);
      case 'disk-loss':
        return this.#loseDisk(node);
      case 'pause':
        if (!node.isUp) return undefined;
        node.isPaused = true;
        return () => node.resume();
      case 'cut':
        network.cut(new Map(this.nodes.map(({ nodeId }, i) => [nodeId, sideOf(i, force)])));
        return () => network.heal();
      case 'loss':
        network.lossRate = force / 2;
        return () => {
          network.lossRate = 0;
        };
      case 'doubling':
        network.doubleRate = force;
        return () => {
          network.doubleRate = 0;
        };
      case 'slow-network':
        network.slowness = 1 + force * 20;
        return () => {
          network.slowness = 1;
        };
      case 'slow-disk':
        node.disk.slowness = 1 + force * 100;
        return () => {
          node.disk.slowness = 1;
        };
      case 'root-damage':
        return this.scenario.damage?.(node, force) === true ? () => {} : undefined;
      default:
        return unreachable(kind);
    }
  }

  #stop(node: SimNode): (() => void) | undefined {
    if (!node.isUp) return undefined;
    node.crash();
    return () => {
      if (!node.isUp) node.start();
    };
  }

  #loseDisk(node: SimNode): (() => void) | undefined {
    const isAllowed = this.scenario.checkers.every(
      (checker) => checker.allowsDiskLoss?.(node) ?? true,
    );
    if (!isAllowed || !node.isUp) return undefined;
    const undo = this.#stop(node);
    for (const checker of this.scenario.checkers) checker.onDiskLoss?.(node);
    node.disk.lose();
    return undo;
  }

  #heal(): void {
    this.network.heal();
    this.network.lossRate = 0;
    this.network.doubleRate = 0;
    this.network.slowness = 1;
    for (const node of this.nodes) {
      node.disk.slowness = 1;
      if (!node.isUp) node.start();
      else if (node.isPaused) node.resume();
    }
  }

  #settle(): number {
    const end = this.elapsedMs + (this.#options.settleMs ?? 20 * MINUTE);
    for (;;) {
      this.clock.runUntil(instant(this.clock.now() + 2 * SECOND));
      const missing = this.scenario.unsettled(this);
      if (missing === undefined) return this.elapsedMs - this.#durationMs;
      if (this.elapsedMs > end) throw new SimFailure(`the world does not settle: ${missing}`);
    }
  }
}

/** Which side of a cut a node is on: two sides, drawn from the force. */
const sideOf = (index: number, force: number): number => (Math.floor(force * 64) >> index) & 1;
