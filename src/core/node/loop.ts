/**
 * The one loop that runs machines for real.
 *
 * It takes what has arrived (bounded queues), steps each machine, commits the entries of the batch
 * in one transaction, and only then lets out what the batch said. Stepping goes on while a commit
 * runs; the effects of batch k leave only after commit k. The loop knows no protocol.
 */
import { assert } from '../assert.ts';
import { type AegisError, hasCode } from '../errors.ts';
import type { Alarm, Envelope, LogEntry, Machine, Outcome, Ready } from '../machine.ts';
import type { Clock, Log, Metrics } from '../ports.ts';
import type { Instant } from '../units.ts';

export interface LoopOptions {
  /** Inputs waiting per machine before `submit` refuses. @default 4096 */
  readonly queueLengthMax?: number;
  /** Inputs stepped in one turn, so that I/O gets its share of the thread. @default 256 */
  readonly batchLengthMax?: number;
  /** Pause before a commit that met a full disk is tried again. @default 1000 */
  readonly fullDiskRetryMs?: number;
}

export interface LoopDependencies {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Durable when the promise resolves. */
  commit(entries: readonly LogEntry[]): Promise<void>;
  send(envelope: Envelope): void;
  tell(machine: string, outcome: Outcome): void;
  /** The disk has refused a commit. Nothing that depends on it has been shown. */
  blocked(error: AegisError): void;
  /** The loop cannot go on: state in memory and on disk may differ. The process must end. */
  fatal(error: unknown): void;
}

interface Room {
  readonly name: string;
  readonly machine: Machine<unknown>;
  readonly alarmInput: (key: string) => unknown;
  readonly queue: unknown[];
  readonly alarms: Map<string, () => void>;
}

interface Batch {
  readonly room: Room;
  readonly ready: Ready;
}

export class Loop {
  readonly #options: Required<LoopOptions>;
  readonly #deps: LoopDependencies;
  readonly #rooms = new Map<string, Room>();
  #uncommitted: Batch[] = [];
  #turn: NodeJS.Immediate | undefined;
  #committing: Promise<void> | undefined;
  #stopped = false;

  constructor(options: LoopOptions, dependencies: LoopDependencies) {
    this.#options = {
      queueLengthMax: 4096,
      batchLengthMax: 256,
      fullDiskRetryMs: 1000,
      ...options,
    };
    this.#deps = dependencies;
  }

  /** @param alarmInput makes the input that tells the machine that an alarm of its own is due. */
  register<I>(name: string, machine: Machine<I>, alarmInput: (key: string) => I): void {
    assert(!this.#rooms.has(name), `machine ${name} is registered twice`);
    const room = { name, machine: machine as Machine<unknown>, alarmInput, queue: [] };
    this.#rooms.set(name, { ...room, alarms: new Map() });
  }

  /** Queues an input. Returns false, and counts it, when the queue of that machine is full. */
  submit(name: string, input: unknown): boolean {
    const room = this.#rooms.get(name);
    assert(room !== undefined, `no machine ${name}`);
    if (this.#stopped) return false;
    if (room.queue.length >= this.#options.queueLengthMax) {
      this.#deps.metrics.count('aegis_loop_dropped_inputs_total');
      return false;
    }
    room.queue.push(input);
    this.#turn ??= setImmediate(() => this.#runTurn());
    return true;
  }

  /** Steps what is queued, commits it, lets its effects out, and takes no more input. */
  async stop(): Promise<void> {
    while (this.#turn !== undefined || this.#committing !== undefined) {
      if (this.#turn !== undefined) {
        clearImmediate(this.#turn);
        this.#runTurn();
      }
      await this.#committing;
    }
    this.#stopped = true;
    for (const room of this.#rooms.values()) {
      for (const cancel of room.alarms.values()) cancel();
      room.alarms.clear();
    }
  }

  #runTurn(): void {
    this.#turn = undefined;
    const now = this.#deps.clock.now();
    let more = false;
    try {
      for (const room of this.#rooms.values()) {
        const inputs = room.queue.splice(0, this.#options.batchLengthMax);
        for (const input of inputs) this.#accept(room, room.machine.step(input, now));
        more ||= room.queue.length > 0;
      }
    } catch (error) {
      this.#stopped = true;
      this.#deps.fatal(error);
      return;
    }
    if (more) this.#turn = setImmediate(() => this.#runTurn());
    this.#flush();
  }

  #accept(room: Room, ready: Ready): void {
    const { entries, messages, alarms, outcomes } = ready;
    if (entries.length + messages.length + alarms.length + outcomes.length === 0) return;
    this.#uncommitted.push({ room, ready });
  }

  #flush(): void {
    if (this.#committing !== undefined || this.#uncommitted.length === 0) return;
    if (this.#uncommitted.every((batch) => batch.ready.entries.length === 0)) {
      this.#release(this.#take());
      return;
    }
    this.#committing = this.#commit(this.#take()).finally(() => {
      this.#committing = undefined;
      if (!this.#stopped) this.#flush();
    });
  }

  #take(): Batch[] {
    const batches = this.#uncommitted;
    this.#uncommitted = [];
    return batches;
  }

  async #commit(batches: Batch[]): Promise<void> {
    const entries = batches.flatMap((batch) => batch.ready.entries);
    try {
      await this.#commitThroughFullDisk(entries);
      this.#release(batches);
    } catch (error) {
      this.#stopped = true;
      this.#deps.fatal(error);
    }
  }

  /** A full disk rolls the transaction back cleanly, so the same entries may be tried again. */
  async #commitThroughFullDisk(entries: readonly LogEntry[]): Promise<void> {
    for (;;) {
      try {
        await this.#deps.commit(entries);
        return;
      } catch (error) {
        if (!hasCode(error, 'DISK_FULL') || this.#stopped) throw error;
        this.#deps.blocked(error);
      }
      const { clock } = this.#deps;
      await new Promise<void>((resolve) => {
        clock.wakeAt((clock.now() + this.#options.fullDiskRetryMs) as Instant, resolve);
      });
    }
  }

  #release(batches: readonly Batch[]): void {
    for (const { ready } of batches) for (const message of ready.messages) this.#deps.send(message);
    for (const { room, ready } of batches) for (const alarm of ready.alarms) this.#arm(room, alarm);
    for (const { room, ready } of batches) {
      for (const outcome of ready.outcomes) this.#deps.tell(room.name, outcome);
    }
  }

  #arm(room: Room, alarm: Alarm): void {
    room.alarms.get(alarm.key)?.();
    room.alarms.delete(alarm.key);
    if (alarm.at === undefined || this.#stopped) return;
    const cancel = this.#deps.clock.wakeAt(alarm.at, () => {
      room.alarms.delete(alarm.key);
      // A dropped alarm would be lost for ever, so a full queue makes it wait.
      if (!this.submit(room.name, room.alarmInput(alarm.key)) && !this.#stopped) {
        this.#arm(room, { key: alarm.key, at: (this.#deps.clock.now() + 100) as Instant });
      }
    });
    room.alarms.set(alarm.key, cancel);
  }
}
