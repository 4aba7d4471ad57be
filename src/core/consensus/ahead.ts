/**
 * Messages for the height after the current one that come early: kept within limits, by node ids,
 * since who is a custodian there, and with which index, is not known yet (C2, E5).
 */
import { LIMITS } from './limits.ts';
import type { ConsensusMessage, ProposalMessage } from './messages.ts';

export interface Early {
  readonly from: string;
  readonly message: ConsensusMessage;
}

export class Ahead {
  /** Of custodians of the current height. */
  readonly #custodians = new Kept(Infinity);
  /** Of others, who may be custodians of the next one. */
  readonly #strangers = new Kept(LIMITS.strangeProposals);

  /** Beyond the limit the oldest of the sender makes room; a lost message is sent again. */
  keep(from: string, message: ConsensusMessage): void {
    this.#custodians.keep(from, message);
  }

  /** The same for who is no custodian of this height. The caller bounds how many those are. */
  keepOfStranger(from: string, message: ConsensusMessage): void {
    this.#strangers.keep(from, message);
  }

  /** How many custodians of this height have sent something, besides `self`. */
  senders(self: string | undefined): number {
    return [...this.#custodians.senders()].filter((nodeId) => nodeId !== self).length;
  }

  /** Everything that is kept, proposals first; nothing is kept afterwards. */
  take(): Early[] {
    const all = [this.#custodians, this.#strangers];
    const proposals = all.flatMap((kept) => kept.takeProposals());
    return [...proposals, ...all.flatMap((kept) => kept.takeMessages())];
  }
}

class Kept {
  readonly #proposalsMax: number;
  readonly #messages = new Map<string, ConsensusMessage[]>();
  readonly #proposals = new Map<string, ProposalMessage>();

  constructor(proposalsMax: number) {
    this.#proposalsMax = proposalsMax;
  }

  keep(from: string, message: ConsensusMessage): void {
    if (message.type === 'proposal') {
      const isKnown = this.#proposals.has(from);
      if (isKnown || this.#proposals.size < this.#proposalsMax) this.#proposals.set(from, message);
      return;
    }
    const kept = this.#messages.get(from) ?? [];
    if (kept.length === LIMITS.earlyMessages) kept.shift();
    kept.push(message);
    this.#messages.set(from, kept);
  }

  senders(): Set<string> {
    return new Set([...this.#messages.keys(), ...this.#proposals.keys()]);
  }

  takeProposals(): Early[] {
    const early = [...this.#proposals].map(([from, message]) => ({ from, message }));
    this.#proposals.clear();
    return early;
  }

  takeMessages(): Early[] {
    const early = [...this.#messages].flatMap(([from, messages]) =>
      messages.map((message) => ({ from, message })),
    );
    this.#messages.clear();
    return early;
  }
}
