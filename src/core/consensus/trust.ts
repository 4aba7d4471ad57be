/**
 * Who has sent signatures that do not hold. Shares are verified together, once; a custodian that
 * has spoilt this is verified on its own from then on, and after some lies in one height not at
 * all: a flood of bad shares costs its sender more than us. Signatures for heights whose keys are
 * not known yet are no lies, and are counted apart (C3).
 */
import { LIMITS } from './limits.ts';

/** A custodian of the height by its index; any other node by its id. */
export type Sender = number | string;

export class Trust {
  readonly #suspects = new Set<Sender>();
  readonly #lies = new Map<Sender, number>();
  readonly #riddles = new Map<Sender, number>();

  lied(sender: Sender): void {
    this.#suspects.add(sender);
    this.#lies.set(sender, (this.#lies.get(sender) ?? 0) + 1);
  }

  /** Whether each of its shares is to be verified before it is counted. */
  isSuspect(sender: Sender): boolean {
    return this.#suspects.has(sender);
  }

  /** Whether nothing of it is worth verifying in this height. */
  isMuted(sender: Sender): boolean {
    return (this.#lies.get(sender) ?? 0) >= LIMITS.lies;
  }

  /** C3: what it sent does not verify, and its height's keys are not known. */
  puzzled(sender: Sender): void {
    this.#riddles.set(sender, (this.#riddles.get(sender) ?? 0) + 1);
  }

  /** Whether no more of it is looked at in this height where the keys are not known. */
  isPuzzling(sender: Sender): boolean {
    return (this.#riddles.get(sender) ?? 0) >= LIMITS.strange;
  }

  /** A new height gives everybody a new chance, so that no mistake lasts for ever. */
  forgive(): void {
    this.#lies.clear();
    this.#riddles.clear();
    for (const sender of this.#suspects) {
      if (typeof sender === 'string') this.#suspects.delete(sender);
    }
  }
}
