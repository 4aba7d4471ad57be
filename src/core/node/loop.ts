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
import { type Instant, MIB } from '../units.ts';

export interface LoopOptions {
  /** Inputs of one origin waiting per machine before `offer` refuses. @default 1024 */
  readonly queueLengthMax?: number;
  /** The same in bytes, as `offer` was told. @default 8 MiB */
  readonly queueBytesMax?: number;
  /** Steps that may wait to be let out before no more are taken. @default 4096 */
  readonly uncommittedLengthMax?: number;
  /** The same in bytes of messages and entries. @default 32 MiB */
  readonly uncommittedBytesMax?: number;
  /** Inputs stepped in one turn, so that I/O gets its share of the thread. @default 256 */
  readonly batchLengthMax?: number;
  /** Pause before a commit that met a full disk is tried again. @default 1000 */
  readonly fullDiskRetryMs?: number;
}

export interface LoopDependencies {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /**
   * W41: from now on machines can read these entries, before any of them steps again.
   * @returns what is called when they are durable.
   */
  stage(entries: readonly LogEntry[]): () => void;
  /** Durable when the promise resolves. */
  commit(entries: readonly LogEntry[]): Promise<void>;
  send(envelope: Envelope): void;
  tell(machine: string, outcome: Outcome): void;
  /** The disk has refused a commit. Nothing that depends on it has been shown. */
  blocked(error: AegisError): void;
  /** The loop cannot go on: state in memory and on disk may differ. The process must end. */
  fatal(error: unknown): void;
}

/** Who has offered an input, and how much waits. */
interface Load {
  readonly from: string;
  count: number;
  bytes: number;
}

interface Waiting {
  readonly input: unknown;
  readonly sizeBytes: number;
  /** Undefined for inputs of this node itself. */
  readonly load: Load | undefined;
}

interface Room {
  readonly name: string;
  readonly machine: Machine<unknown>;
  readonly alarmInput: (key: string) => unknown;
  readonly batchLengthMax: number;
  readonly queue: Waiting[];
  readonly loads: Map<string, Load>;
  readonly alarms: Map<string, () => void>;
}

interface Batch {
  readonly room: Room;
  readonly ready: Ready;
  /** Its entries can be read from the disk. */
  readonly landed: (() => void) | undefined;
  /** When it was stepped. */
  readonly now: Instant;
}

export class Loop {
  readonly #options: Required<LoopOptions>;
  readonly #deps: LoopDependencies;
  readonly #rooms = new Map<string, Room>();
  #uncommitted: Batch[] = [];
  #uncommittedBytes = 0;
  #turn: NodeJS.Immediate | undefined;
  #committing: Promise<void> | undefined;
  readonly #stopping = Promise.withResolvers<void>();
  #isStopping = false;
  #stopped = false;

  constructor(options: LoopOptions, dependencies: LoopDependencies) {
    this.#options = {
      queueLengthMax: 1024,
      queueBytesMax: 8 * MIB,
      uncommittedLengthMax: 4096,
      uncommittedBytesMax: 32 * MIB,
      batchLengthMax: 256,
      fullDiskRetryMs: 1000,
      ...options,
    };
    this.#deps = dependencies;
  }

  /**
   * In each turn machines are stepped in the order in which they were registered.
   * @param alarmInput makes the input that tells the machine that an alarm of its own is due.
   * @param batchLengthMax inputs of this machine in one turn, if fewer than those of the loop.
   */
  register<I>(
    name: string,
    machine: Machine<I>,
    alarmInput: (key: string) => I,
    batchLengthMax = this.#options.batchLengthMax,
  ): void {
    assert(!this.#rooms.has(name), `machine ${name} is registered twice`);
    const empty = { queue: [], loads: new Map(), alarms: new Map() };
    this.#rooms.set(name, { name, machine, alarmInput, batchLengthMax, ...empty });
  }

  /**
   * Queues an input of this node itself. It is never dropped, or a machine would wait for ever for
   * the answer to what it asked; whoever makes such inputs bounds them.
   * @returns false once the loop has stopped.
   */
  submit(name: string, input: unknown): boolean {
    return this.#push(this.#room(name), { input, sizeBytes: 0, load: undefined });
  }

  /**
   * Queues an input that others can make many of, and that may get lost. Each origin has a share
   * of its own, so that one that floods drowns only itself.
   * @returns false, and counts it, when too much of `from` waits for that machine.
   */
  offer(name: string, input: unknown, origin: { from: string; sizeBytes: number }): boolean {
    const room = this.#room(name);
    const { from, sizeBytes } = origin;
    const { queueLengthMax, queueBytesMax } = this.#options;
    const load = room.loads.get(from) ?? { from, count: 0, bytes: 0 };
    if (load.count < queueLengthMax && load.bytes + sizeBytes <= queueBytesMax) {
      return this.#push(room, { input, sizeBytes, load });
    }
    this.#deps.metrics.count('aegis_loop_dropped_inputs_total');
    return false;
  }

  /**
   * Steps what is queued, commits it, lets its effects out, and takes no more input. What a full
   * disk does not take has been shown to nobody, and is given up.
   */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#stopping.resolve();
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

  #room(name: string): Room {
    const room = this.#rooms.get(name);
    assert(room !== undefined, `no machine ${name}`);
    return room;
  }

  #push(room: Room, waiting: Waiting): boolean {
    if (this.#stopped) return false;
    room.queue.push(waiting);
    const { load, sizeBytes } = waiting;
    if (load !== undefined) {
      load.count += 1;
      load.bytes += sizeBytes;
      room.loads.set(load.from, load);
    }
    this.#wake();
    return true;
  }

  /** While too much waits for the disk, what comes waits in the queues, which are bounded. */
  get #isFull(): boolean {
    const { uncommittedLengthMax, uncommittedBytesMax } = this.#options;
    return (
      this.#uncommitted.length >= uncommittedLengthMax ||
      this.#uncommittedBytes >= uncommittedBytesMax
    );
  }

  #wake(): void {
    if (this.#stopped || this.#isFull) return;
    this.#turn ??= setImmediate(() => this.#runTurn());
  }

  #runTurn(): void {
    this.#turn = undefined;
    const now = this.#deps.clock.now();
    let more = false;
    try {
      for (const room of this.#rooms.values()) {
        this.#stepSome(room, now);
        more ||= room.queue.length > 0;
      }
    } catch (error) {
      this.#stopped = true;
      this.#deps.fatal(error);
      return;
    }
    this.#flush();
    if (more) this.#wake();
  }

  #stepSome(room: Room, now: Instant): void {
    let taken = 0;
    for (const { input, load, sizeBytes } of room.queue.slice(0, room.batchLengthMax)) {
      if (this.#isFull) break;
      taken += 1;
      if (load !== undefined) {
        load.count -= 1;
        load.bytes -= sizeBytes;
        if (load.count === 0) room.loads.delete(load.from);
      }
      this.#accept(room, room.machine.step(input, now), now);
    }
    room.queue.splice(0, taken);
  }

  #accept(room: Room, ready: Ready, now: Instant): void {
    const { entries, messages, alarms, outcomes } = ready;
    if (entries.length + messages.length + alarms.length + outcomes.length === 0) return;
    const landed = entries.length === 0 ? undefined : this.#deps.stage(entries);
    this.#uncommitted.push({ room, ready, landed, now });
    // A machine that wants to go on at once shows nothing by it: it need not wait for the disk.
    for (const alarm of this.#isStopping ? [] : alarms) {
      if (isDue(alarm, now)) this.submit(room.name, room.alarmInput(alarm.key));
    }
    for (const { body } of messages) this.#uncommittedBytes += body.byteLength;
    for (const { value } of entries) this.#uncommittedBytes += value?.byteLength ?? 0;
  }

  #flush(): void {
    if (this.#stopped || this.#committing !== undefined || this.#uncommitted.length === 0) return;
    if (this.#uncommitted.every((batch) => batch.ready.entries.length === 0)) {
      this.#release(this.#take());
      return;
    }
    this.#committing = this.#commit(this.#take()).finally(() => {
      this.#committing = undefined;
      if (this.#stopped) return;
      this.#flush();
      if ([...this.#rooms.values()].some((room) => room.queue.length > 0)) this.#wake();
    });
  }

  #take(): Batch[] {
    const batches = this.#uncommitted;
    this.#uncommitted = [];
    this.#uncommittedBytes = 0;
    return batches;
  }

  async #commit(batches: Batch[]): Promise<void> {
    const entries = latest(batches.flatMap((batch) => batch.ready.entries));
    try {
      if (await this.#commitThroughFullDisk(entries)) this.#release(batches);
    } catch (error) {
      this.#stopped = true;
      this.#deps.fatal(error);
    }
  }

  /**
   * A full disk rolls the transaction back cleanly, so the same entries may be tried again.
   * @returns false when the loop stops first: nothing may be committed behind a gap.
   */
  async #commitThroughFullDisk(entries: readonly LogEntry[]): Promise<boolean> {
    for (;;) {
      try {
        await this.#deps.commit(entries);
        return true;
      } catch (error) {
        if (!hasCode(error, 'DISK_FULL')) throw error;
        this.#deps.blocked(error);
      }
      if (!this.#isStopping) await this.#pause();
      if (!this.#isStopping) continue;
      this.#stopped = true;
      return false;
    }
  }

  /** Until the disk is tried again, or the loop stops. */
  async #pause(): Promise<void> {
    const { clock } = this.#deps;
    const { promise, resolve } = Promise.withResolvers<void>();
    const at = (clock.now() + this.#options.fullDiskRetryMs) as Instant;
    const cancel = clock.wakeAt(at, resolve);
    await Promise.race([promise, this.#stopping.promise]);
    cancel();
  }

  #release(batches: readonly Batch[]): void {
    for (const { landed } of batches) landed?.();
    for (const { ready } of batches) for (const message of ready.messages) this.#deps.send(message);
    for (const { room, ready, now } of batches) {
      for (const alarm of ready.alarms) {
        // What was due at once has come already, and takes the place of what was armed before.
        this.#arm(room, isDue(alarm, now) ? { key: alarm.key, at: undefined } : alarm);
      }
    }
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
      this.submit(room.name, room.alarmInput(alarm.key));
    });
    room.alarms.set(alarm.key, cancel);
  }
}

/** Of entries that one transaction writes, the last one for each key: the others leave no trace. */
function latest(entries: readonly LogEntry[]): readonly LogEntry[] {
  const tables = new Map<string, Map<string, LogEntry>>();
  for (const entry of entries) {
    const rows = tables.get(entry.table) ?? new Map<string, LogEntry>();
    tables.set(entry.table, rows.set(entry.key, entry));
  }
  return [...tables.values()].flatMap((rows) => [...rows.values()]);
}

const isDue = ({ at }: Alarm, now: Instant): boolean => at !== undefined && at <= now;
