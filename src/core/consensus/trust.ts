/**
 * Who has sent signatures that do not hold. Shares are verified together, once; a custodian that
 * has spoilt this is verified on its own from then on, and after some lies in one height not at
 * all: a flood of bad shares costs its sender more than us. Signatures for heights whose keys are
 * not known yet are no lies, and are counted apart (C3).
 */
import { LIMITS } from './limits.ts';

export class Trust {
  readonly #suspects = new Set<number>();
  readonly #lies = new Map<number, number>();
  readonly #riddles = new Map<number, number>();

  lied(custodian: number): void {
    this.#suspects.add(custodian);
    this.#lies.set(custodian, (this.#lies.get(custodian) ?? 0) + 1);
  }

  /** Whether each of its shares is to be verified before it is counted. */
  isSuspect(custodian: number): boolean {
    return this.#suspects.has(custodian);
  }

  /** Whether nothing of it is worth verifying in this height. */
  isMuted(custodian: number): boolean {
    return (this.#lies.get(custodian) ?? 0) >= LIMITS.lies;
  }

  /** C3: what it sent does not verify, and its height's keys are not known. */
  puzzled(custodian: number): void {
    this.#riddles.set(custodian, (this.#riddles.get(custodian) ?? 0) + 1);
  }

  /** Whether no more of it is looked at in this height where the keys are not known. */
  isPuzzling(custodian: number): boolean {
    return (this.#riddles.get(custodian) ?? 0) >= LIMITS.strange;
  }

  /** A new height gives everybody a new chance, so that no mistake lasts for ever. */
  forgive(): void {
    this.#lies.clear();
    this.#riddles.clear();
  }
}
