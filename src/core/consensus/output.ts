/** Collects what one step asks of the world. */
import { type LogEntry, type Ready, ReadyBuilder } from '../machine.ts';
import type { Instant } from '../units.ts';
import type { ReplicaOutcome } from './contract.ts';
import { CONSENSUS_PROTOCOL, type ConsensusMessage, encodeMessage } from './messages.ts';
import type { Setting } from './setting.ts';

export class Output {
  readonly #setting: Setting;
  readonly #ready = new ReadyBuilder<ReplicaOutcome>();

  constructor(setting: Setting) {
    this.#setting = setting;
  }

  persist({ table, key, value }: LogEntry): void {
    this.#ready.persist(table, key, value);
  }

  tell(outcome: ReplicaOutcome): void {
    this.#ready.tell(outcome);
  }

  alarm(key: string, at: Instant | undefined): void {
    this.#ready.alarm(key, at);
  }

  send(to: number, message: ConsensusMessage): void {
    this.#sendBody([to], message);
  }

  /** To a node that need not be a custodian here. */
  sendTo(nodeId: string, message: ConsensusMessage): void {
    this.#ready.send(nodeId, CONSENSUS_PROTOCOL, encodeMessage(message));
  }

  /** To every other custodian; encoded once. */
  broadcast(message: ConsensusMessage): void {
    const { custodians, self } = this.#setting;
    this.#sendBody(
      custodians.keys().filter((index) => index !== self),
      message,
    );
  }

  build(): Ready {
    return this.#ready.build();
  }

  #sendBody(receivers: Iterable<number>, message: ConsensusMessage): void {
    let body: Uint8Array | undefined;
    for (const index of receivers) {
      body ??= encodeMessage(message);
      this.#ready.send(this.#setting.custodians[index]!, CONSENSUS_PROTOCOL, body);
    }
  }
}
