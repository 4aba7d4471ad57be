/**
 * A simulated node: the loop that runs its machines by the contract of `Ready`, over a simulated
 * disk. Entries are committed first; the rest of a step leaves only when they are durable.
 */
import type { Alarm, Envelope, Ready } from '../machine.ts';
import { instant } from '../units.ts';
import type { SimDisk } from './disk.ts';
import type { SimIdentity } from './identity.ts';
import type { Checker, Tie } from './scenario.ts';
import { SimFailure } from './scenario.ts';
import type { World } from './world.ts';

export interface NodeOptions {
  readonly identity: SimIdentity;
  /** A name for people. */
  readonly name: string;
  /** What the clock of this node shows beyond the true time. */
  readonly skewMs: number;
  /** Inputs that may wait; more is a failure. */
  readonly maxQueue: number;
  /** A bug for the zoo: lets effects out before the entries are durable. */
  readonly isHasty: boolean;
}

export interface NodeDeps {
  readonly world: World;
  readonly disk: SimDisk;
  /** Asked anew each time, since the scenario is made after the nodes. */
  readonly checkers: () => readonly Checker[];
  readonly boot: (node: SimNode) => Tie[];
}

interface Waiting {
  readonly tie: Tie;
  readonly input: unknown;
}

export class SimNode {
  readonly options: NodeOptions;
  readonly disk: SimDisk;
  readonly world: World;
  readonly #deps: NodeDeps;
  #ties = new Map<string, Tie>();
  #queue: Waiting[] = [];
  #uncommitted: { tie: Tie; ready: Ready }[] = [];
  #isCommitting = false;
  #isTurnDue = false;
  #alarms = new Map<string, () => void>();
  /** Counts the runs; what belongs to an earlier run does nothing. */
  #run = 0;
  isUp = false;
  isPaused = false;
  maxQueued = 0;

  constructor(options: NodeOptions, deps: NodeDeps) {
    this.options = options;
    this.#deps = deps;
    this.disk = deps.disk;
    this.world = deps.world;
  }

  get nodeId(): string {
    return this.options.identity.nodeId;
  }

  get identity(): SimIdentity {
    return this.options.identity;
  }

  /** The machine of this name in the present run. */
  tie(name: string): Tie | undefined {
    return this.#ties.get(name);
  }

  start(): void {
    this.isUp = true;
    this.isPaused = false;
    this.#run += 1;
    this.world.network.attach(this.nodeId, {
      receive: (from, envelope) => this.#receive(from, envelope),
      peer: (nodeId, isUp) => this.#peer(nodeId, isUp),
    });
    this.#ties = new Map(this.#deps.boot(this).map((tie) => [tie.name, tie]));
    for (const tie of this.#ties.values()) {
      for (const input of tie.first) this.submit(tie.name, input);
    }
  }

  /** What is not durable is gone. */
  crash(): void {
    this.isUp = false;
    this.#run += 1;
    this.world.network.detach(this.nodeId);
    this.disk.crash();
    for (const cancel of this.#alarms.values()) cancel();
    this.#alarms = new Map();
    this.#ties = new Map();
    this.#queue = [];
    this.#uncommitted = [];
    this.#isCommitting = false;
    this.#isTurnDue = false;
  }

  resume(): void {
    this.isPaused = false;
    this.#wake();
  }

  submit(name: string, input: unknown): void {
    const tie = this.#ties.get(name);
    if (tie === undefined) return;
    this.#queue.push({ tie, input });
    this.maxQueued = Math.max(this.maxQueued, this.#queue.length);
    if (this.#queue.length > this.options.maxQueue) {
      throw new SimFailure(`${this.options.name} has ${this.#queue.length} inputs waiting`);
    }
    this.#wake();
  }

  /** Runs `work` after a delay, unless the node has stopped meanwhile. */
  later(delayMs: number, work: () => void): void {
    this.world.clock.after(delayMs, this.guard(work));
  }

  /** Calls back only within the present run. */
  guard<A extends unknown[]>(work: (...args: A) => void): (...args: A) => void {
    const run = this.#run;
    return (...args) => {
      if (run === this.#run) work(...args);
    };
  }

  #receive(from: string, envelope: Envelope): void {
    for (const tie of this.#ties.values()) {
      const input = tie.envelopeInput?.(from, envelope);
      if (input !== undefined) this.submit(tie.name, input);
    }
  }

  #peer(nodeId: string, isUp: boolean): void {
    this.world.note(`${this.options.name} ${isUp ? 'up' : 'down'} ${nodeId.slice(0, 12)}`);
    for (const tie of this.#ties.values()) {
      const input = tie.peerInput?.(nodeId, isUp);
      if (input !== undefined) this.submit(tie.name, input);
    }
  }

  #wake(): void {
    if (this.#isTurnDue || this.isPaused || this.#queue.length === 0) return;
    this.#isTurnDue = true;
    this.later(0, () => {
      this.#isTurnDue = false;
      if (!this.isPaused) this.#turn();
    });
  }

  #turn(): void {
    const queue = this.#queue;
    this.#queue = [];
    const now = this.world.clock.now();
    for (const { tie, input } of queue) {
      const ready = tie.machine.step(input, now);
      this.world.noteReady(this, tie.name, ready);
      this.#uncommitted.push({ tie, ready });
    }
    this.#commit();
  }

  #commit(): void {
    if (this.#isCommitting || this.#uncommitted.length === 0) return;
    const batch = this.#uncommitted;
    this.#uncommitted = [];
    const entries = batch.flatMap(({ ready }) => ready.entries);
    if (this.options.isHasty) this.#release(batch);
    if (entries.length === 0) {
      if (!this.options.isHasty) this.#release(batch);
      return;
    }
    this.#isCommitting = true;
    const done = this.guard(() => {
      this.#isCommitting = false;
      if (!this.options.isHasty) this.#release(batch);
      this.#commit();
    });
    this.disk.commit(entries, done);
  }

  #release(batch: readonly { tie: Tie; ready: Ready }[]): void {
    for (const { ready } of batch) {
      for (const envelope of ready.messages) {
        for (const checker of this.#deps.checkers()) checker.onSend?.(this, envelope);
        this.world.network.send(this.nodeId, envelope);
      }
    }
    for (const { tie, ready } of batch) for (const alarm of ready.alarms) this.#arm(tie, alarm);
    for (const { tie, ready } of batch) {
      for (const outcome of ready.outcomes) {
        for (const checker of this.#deps.checkers()) checker.onOutcome?.(this, tie.name, outcome);
        tie.tell(outcome);
      }
    }
  }

  #arm(tie: Tie, { key, at }: Alarm): void {
    const name = `${tie.name} ${key}`;
    this.#alarms.get(name)?.();
    this.#alarms.delete(name);
    if (at === undefined) return;
    const cancel = this.world.clock.wakeAt(instant(at), () => {
      this.#alarms.delete(name);
      this.submit(tie.name, tie.alarmInput(key));
    });
    this.#alarms.set(name, cancel);
  }
}
