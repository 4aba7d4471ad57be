/** Messages for the height after the current one that come early: kept within limits. */
import { LIMITS } from './limits.ts';
import type { ConsensusMessage, ProposalMessage } from './messages.ts';

export interface Early {
  readonly from: number;
  readonly message: ConsensusMessage;
}

export class Ahead {
  readonly #messages = new Map<number, ConsensusMessage[]>();
  readonly #proposals = new Map<number, ProposalMessage>();

  /** Beyond the limit the oldest of the sender makes room; a lost message is sent again. */
  keep(from: number, message: ConsensusMessage): void {
    if (message.type === 'proposal') {
      this.#proposals.set(from, message);
      return;
    }
    const kept = this.#messages.get(from) ?? [];
    if (kept.length === LIMITS.earlyMessages) kept.shift();
    kept.push(message);
    this.#messages.set(from, kept);
  }

  /** How many custodians have sent something, besides `self`. */
  senders(self: number | undefined): number {
    const senders = new Set([...this.#messages.keys(), ...this.#proposals.keys()]);
    if (self !== undefined) senders.delete(self);
    return senders.size;
  }

  /** Everything that is kept, proposals first; nothing is kept afterwards. */
  take(): Early[] {
    const early: Early[] = [];
    for (const [from, message] of this.#proposals) early.push({ from, message });
    for (const [from, messages] of this.#messages) {
      for (const message of messages) early.push({ from, message });
    }
    this.#proposals.clear();
    this.#messages.clear();
    return early;
  }
}
