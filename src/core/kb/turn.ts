/**
 * What one step of the replication machine gathers: rows, messages, alarms and outcomes, and in
 * the outbox what is put into messages at the end of the step. The parts of the machine share it.
 */
import { type Ready, ReadyBuilder } from '../machine.ts';
import { type Instant, instant } from '../units.ts';
import { encodeMessage, type KbMessage } from './messages.ts';
import { Outbox } from './outbox.ts';
import type { ReplicationOutcome } from './replication-types.ts';
import type { KbStore } from './store.ts';

export const KB_PROTOCOL = 'kb';

export class Turn {
  readonly #store: KbStore;
  #ready = new ReadyBuilder<ReplicationOutcome>();
  #outbox = new Outbox();
  #now = instant(0);

  constructor(store: KbStore) {
    this.#store = store;
  }

  begin(now: Instant): void {
    this.#store.begin();
    this.#ready = new ReadyBuilder();
    this.#outbox = new Outbox();
    this.#now = now;
  }

  get now(): Instant {
    return this.#now;
  }

  get outbox(): Outbox {
    return this.#outbox;
  }

  send(nodeId: string, message: KbMessage): void {
    this.#ready.send(nodeId, KB_PROTOCOL, encodeMessage(message));
  }

  /** `undefined` cancels the alarm. */
  alarm(key: string, at: Instant | undefined): void {
    this.#ready.alarm(key, at);
  }

  tell(outcome: ReplicationOutcome): void {
    this.#ready.tell(outcome);
  }

  build(): Ready {
    for (const { table, key, value } of this.#store.take()) {
      this.#ready.persist(table, key, value);
    }
    return this.#ready.build();
  }
}
