/**
 * The one idea a newcomer must know: a protocol is a value.
 *
 * Machines live on floors 1 and 2. They are synchronous and deterministic: no I/O, no clock, no
 * `await`, no randomness. `node/` runs them for real, `sim/` runs the same ones on virtual time.
 */
import type { Instant } from './units.ts';

/** Same state + same input = same Ready. Reads nothing, writes nothing, knows no clock. */
export interface Machine<Input> {
  step(input: Input, now: Instant): Ready;
}

/** All that a step asks of the world, in the order in which the world must do it. */
export interface Ready {
  /** 1. Make durable; nothing below may happen before. */
  readonly entries: readonly LogEntry[];
  /** 2. Hand to the network, best effort. */
  readonly messages: readonly Envelope[];
  /** 3. Arm, replace or cancel, by key. */
  readonly alarms: readonly Alarm[];
  /** 4. Tell the owner. */
  readonly outcomes: readonly Outcome[];
}

/** One durable fact: the value under a key, in a table that the machine's room owns. */
export interface LogEntry {
  readonly table: string;
  readonly key: string;
  /** `undefined` deletes the key. */
  readonly value: Uint8Array | undefined;
}

/** A message to one node. The body is encoded by the room that owns the protocol. */
export interface Envelope {
  /** Node id of the receiver. */
  readonly to: string;
  /** Names the machine that gets the message at the other end. */
  readonly protocol: string;
  readonly body: Uint8Array;
}

export interface Alarm {
  readonly key: string;
  /** When to call back; `undefined` cancels the alarm. */
  readonly at: Instant | undefined;
}

/** What a machine tells its owner. Each room narrows `type` to its own union. */
export interface Outcome {
  readonly type: string;
}

/** Collects what a step asks of the world. */
export class ReadyBuilder<O extends Outcome = Outcome> {
  readonly #entries: LogEntry[] = [];
  readonly #messages: Envelope[] = [];
  readonly #alarms: Alarm[] = [];
  readonly #outcomes: O[] = [];

  persist(table: string, key: string, value: Uint8Array | undefined): this {
    this.#entries.push({ table, key, value });
    return this;
  }

  send(to: string, protocol: string, body: Uint8Array): this {
    this.#messages.push({ to, protocol, body });
    return this;
  }

  alarm(key: string, at: Instant | undefined): this {
    this.#alarms.push({ key, at });
    return this;
  }

  tell(outcome: O): this {
    this.#outcomes.push(outcome);
    return this;
  }

  build(): Ready {
    return {
      entries: this.#entries,
      messages: this.#messages,
      alarms: this.#alarms,
      outcomes: this.#outcomes,
    };
  }
}
