/**
 * A simulated node: the loop that runs its machines by the contract of `Ready`, over a simulated
 * disk. Entries are committed first; the rest of a step leaves only when they are durable. It keeps
 * the limits of the real loop, tries a full disk again as that does, and dies of a failed sync.
 */
import type { Alarm, Envelope, LogEntry, Ready } from '../machine.ts';
import type { Rows } from '../ports.ts';
import { StagedRows } from '../staged-rows.ts';
import { type Instant, instant } from '../units.ts';
import type { Core } from './core.ts';
import type { CommitFault, CrashOutcome, SimDisk } from './disk.ts';
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
  /** What it does takes time there; without one it takes none. */
  readonly core?: Core | undefined;
}

export interface NodeDeps {
  readonly world: World;
  readonly disk: SimDisk;
  /** Asked anew each time, since the scenario is made after the nodes. */
  readonly checkers: () => readonly Checker[];
  readonly boot: (node: SimNode) => Tie[];
  /** The node cannot go on and has stopped. */
  readonly died: (node: SimNode) => void;
}

/** Where, between two effects, a node can be made to crash. */
export type Boundary = 'before-commit' | 'in-commit' | 'after-commit' | 'between-sends';

interface Waiting {
  readonly tie: Tie;
  readonly input: unknown;
  /** Node id of the origin; undefined for inputs of this node itself. */
  readonly from: string | undefined;
}

interface Stepped {
  readonly tie: Tie;
  readonly ready: Ready;
  /** Its entries can be read from the disk. */
  readonly landed: () => void;
}

type Batch = readonly Stepped[];

/** As in the real loop. */
const ORIGIN_QUEUE_MAX = 1024;
const UNCOMMITTED_MAX = 4096;
const TURN_MAX = 256;
const FULL_DISK_RETRY_MS = 1000;

export class SimNode {
  readonly options: NodeOptions;
  readonly disk: SimDisk;
  readonly world: World;
  readonly #deps: NodeDeps;
  #ties = new Map<string, Tie>();
  #queue: Waiting[] = [];
  /** By origin, how many inputs wait. */
  #loads = new Map<string, number>();
  #uncommitted: Stepped[] = [];
  /** W41: of the present run. */
  #rows: StagedRows;
  #isCommitting = false;
  /** A commit has ended while the node was paused; this goes on with it. */
  #committed: (() => void) | undefined;
  #isTurnDue = false;
  #alarms = new Map<string, () => void>();
  /** Counts the runs; what belongs to an earlier run does nothing. */
  #run = 0;
  #crashAt: { boundary: Boundary; crash: () => void } | undefined;
  isUp = false;
  isPaused = false;
  /** What jumps have moved the clock by. */
  jumpMs = 0;
  maxQueued = 0;
  /** Inputs of others that found no room. */
  dropped = 0;

  constructor(options: NodeOptions, deps: NodeDeps) {
    this.options = options;
    this.#deps = deps;
    this.disk = deps.disk;
    this.#rows = new StagedRows(deps.disk);
    this.world = deps.world;
  }

  get nodeId(): string {
    return this.options.identity.nodeId;
  }

  get identity(): SimIdentity {
    return this.options.identity;
  }

  /** The tables of the machines of the present run. */
  get rows(): Rows {
    return this.#rows;
  }

  /** What the clock of this node shows. */
  now(): Instant {
    return instant(
      Math.max(0, Math.floor(this.world.clock.now() + this.options.skewMs + this.jumpMs)),
    );
  }

  /** The machine of this name in the present run. */
  tie(name: string): Tie | undefined {
    return this.#ties.get(name);
  }

  start(): void {
    this.isUp = true;
    this.isPaused = false;
    this.#run += 1;
    this.#rows = new StagedRows(this.disk);
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
  crash(outcome: CrashOutcome = 'lost'): void {
    this.isUp = false;
    this.#run += 1;
    this.#crashAt = undefined;
    this.world.network.detach(this.nodeId);
    this.disk.crash(outcome);
    for (const cancel of this.#alarms.values()) cancel();
    this.#alarms = new Map();
    this.#ties = new Map();
    this.#queue = [];
    this.#loads = new Map();
    this.#uncommitted = [];
    this.#isCommitting = false;
    this.#committed = undefined;
    this.#isTurnDue = false;
  }

  /** Calls `crash`, once, when the node comes to the boundary next. */
  crashAt(boundary: Boundary, crash: () => void): void {
    this.#crashAt = { boundary, crash };
  }

  /** It need not crash any more. */
  spare(): void {
    this.#crashAt = undefined;
  }

  resume(): void {
    this.isPaused = false;
    const committed = this.#committed;
    this.#committed = undefined;
    committed?.();
    this.#wake();
  }

  submit(name: string, input: unknown): void {
    const tie = this.#ties.get(name);
    if (tie !== undefined) this.#push({ tie, input, from: undefined });
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

  #push(waiting: Waiting): void {
    this.#queue.push(waiting);
    this.maxQueued = Math.max(this.maxQueued, this.#queue.length);
    if (this.#queue.length > this.options.maxQueue) {
      throw new SimFailure(`queues: ${this.options.name} has ${this.#queue.length} inputs waiting`);
    }
    this.#wake();
  }

  #receive(from: string, envelope: Envelope): void {
    const { core } = this.options;
    if (core === undefined) return this.#open(from, envelope, (waiting) => this.#push(waiting));
    const read: Waiting[] = [];
    const open = this.guard(() => {
      core.carried(envelope);
      this.#open(from, envelope, (waiting) => read.push(waiting));
    });
    const push = this.guard(() => {
      for (const waiting of read) this.#push(waiting);
    });
    core.run(open, push);
  }

  #open(from: string, envelope: Envelope, push: (waiting: Waiting) => void): void {
    for (const tie of this.#ties.values()) {
      const load = this.#loads.get(from) ?? 0;
      if (load >= ORIGIN_QUEUE_MAX) {
        this.dropped += 1;
        continue;
      }
      const input = tie.envelopeInput?.(from, envelope);
      if (input === undefined) continue;
      this.#loads.set(from, load + 1);
      push({ tie, input, from });
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
    if (this.#uncommitted.length >= UNCOMMITTED_MAX) return;
    this.#isTurnDue = true;
    const { core } = this.options;
    if (core !== undefined) {
      const after = this.guard(() => {
        this.#isTurnDue = false;
        this.#commit();
        this.#wake();
      });
      core.run(
        this.guard(() => this.#step()),
        after,
      );
      return;
    }
    this.later(0, () => {
      this.#isTurnDue = false;
      if (this.isPaused) return;
      this.#step();
      this.#commit();
      this.#wake();
    });
  }

  #step(): void {
    this.world.countTurn();
    const now = this.now();
    for (const { tie, input, from } of this.#queue.splice(0, TURN_MAX)) {
      if (from !== undefined) this.#loads.set(from, this.#loads.get(from)! - 1);
      const ready = tie.machine.step(input, now);
      this.world.noteReady(this, tie.name, ready);
      this.options.core?.stepped(input, ready);
      this.#uncommitted.push({ tie, ready, landed: this.#rows.stage(ready.entries) });
    }
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
    if (this.#reaches('before-commit')) return;
    this.#isCommitting = true;
    this.#write(entries, batch);
    this.#reaches('in-commit');
  }

  #write(entries: readonly LogEntry[], batch: Batch): void {
    const done = this.guard((fault?: CommitFault) => {
      if (this.isPaused) this.#committed = () => this.#written(entries, batch, fault);
      else this.#written(entries, batch, fault);
    });
    const { core } = this.options;
    if (core === undefined) return this.disk.commit(entries, done);
    const write = this.guard(() => this.disk.commit(entries, done));
    core.run(() => core.stored(entries.length), write);
  }

  #written(entries: readonly LogEntry[], batch: Batch, fault: CommitFault | undefined): void {
    if (fault === 'sync') return this.#die();
    if (fault === 'full') {
      this.later(FULL_DISK_RETRY_MS, () => this.#write(entries, batch));
      return;
    }
    this.#isCommitting = false;
    for (const { landed } of batch) landed();
    if (this.#reaches('after-commit')) return;
    if (!this.options.isHasty && !this.#release(batch)) return;
    this.#commit();
    this.#wake();
  }

  /** What is sent leaves when the core has had the time for it. */
  #send(envelope: Envelope): void {
    const { core } = this.options;
    const send = (): void => this.world.network.send(this.nodeId, envelope);
    if (core === undefined) send();
    else core.run(() => core.carried(envelope), this.guard(send));
  }

  /** State in memory and on the disk may differ: nothing more may be done with either. */
  #die(): void {
    this.crash();
    this.#deps.died(this);
  }

  /** @returns whether the node has crashed here. */
  #reaches(boundary: Boundary): boolean {
    if (this.#crashAt?.boundary !== boundary) return false;
    const { crash } = this.#crashAt;
    this.#crashAt = undefined;
    crash();
    return true;
  }

  /** @returns whether the node still runs. */
  #release(batch: Batch): boolean {
    let sent = 0;
    for (const { ready } of batch) {
      for (const envelope of ready.messages) {
        if (sent > 0 && this.#reaches('between-sends')) return false;
        for (const checker of this.#deps.checkers()) checker.onSend?.(this, envelope);
        this.#send(envelope);
        sent += 1;
      }
    }
    for (const { tie, ready } of batch) for (const alarm of ready.alarms) this.#arm(tie, alarm);
    for (const { tie, ready } of batch) {
      for (const outcome of ready.outcomes) {
        for (const checker of this.#deps.checkers()) checker.onOutcome?.(this, tie.name, outcome);
        tie.tell(outcome);
      }
    }
    return true;
  }

  /** An armed alarm runs by the monotonic clock, which does not jump. */
  #arm(tie: Tie, { key, at }: Alarm): void {
    const name = `${tie.name} ${key}`;
    this.#alarms.get(name)?.();
    this.#alarms.delete(name);
    if (at === undefined) return;
    const cancel = this.world.clock.after(Math.ceil(at) - this.now(), () => {
      this.#alarms.delete(name);
      this.submit(tie.name, tie.alarmInput(key));
    });
    this.#alarms.set(name, cancel);
  }
}
