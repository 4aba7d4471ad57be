/** What the parts of the chain share within one step: the time, who is there, and what is asked. */
import { type Alarm, type LogEntry, type Ready, ReadyBuilder } from '../machine.ts';
import { type Instant, instant } from '../units.ts';
import { CHAIN_PROTOCOL, encodeMessage, type OutgoingMessage } from './messages.ts';
import type { ChainOutcome } from './types.ts';

export class Turn {
  readonly now: Instant;
  readonly #ready = new ReadyBuilder<ChainOutcome>();
  /** By table and key: of what changes several times in one transaction, the last is written. */
  readonly #entries = new Map<string, LogEntry>();

  constructor(now: Instant) {
    this.now = now;
  }

  persist(table: string, key: string, value: Uint8Array | undefined): void {
    this.#entries.set(`${table}\0${key}`, { table, key, value });
  }

  /** One message to many, encoded once. */
  send(to: Iterable<string>, message: OutgoingMessage): void {
    let body: Uint8Array | undefined;
    for (const nodeId of to) {
      body ??= encodeMessage(message);
      this.#ready.send(nodeId, CHAIN_PROTOCOL, body);
    }
  }

  alarmIn(key: string, afterMs: number): void {
    this.#ready.alarm(key, instant(this.now + afterMs));
  }

  alarm(alarm: Alarm): void {
    this.#ready.alarm(alarm.key, alarm.at);
  }

  tell(outcome: ChainOutcome): void {
    this.#ready.tell(outcome);
  }

  /** What the machine beneath has asked for, but for its outcomes. */
  merge(ready: Ready, alarmPrefix: string): void {
    for (const { table, key, value } of ready.entries) this.persist(table, key, value);
    for (const { to, protocol, body } of ready.messages) this.#ready.send(to, protocol, body);
    for (const { key, at } of ready.alarms) this.#ready.alarm(alarmPrefix + key, at);
  }

  build(): Ready {
    for (const { table, key, value } of this.#entries.values()) {
      this.#ready.persist(table, key, value);
    }
    return this.#ready.build();
  }
}
