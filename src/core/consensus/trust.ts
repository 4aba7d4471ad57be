/**
 * Who has sent signatures that do not hold. Shares are verified together, once; a custodian that
 * has spoilt this is verified on its own from then on, and after some lies in one height not at
 * all: a flood of bad shares costs its sender more than us.
 */
import { LIMITS } from './limits.ts';

export class Trust {
  readonly #suspects = new Set<number>();
  readonly #lies = new Map<number, number>();

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

  /** A new height gives everybody a new chance, so that no mistake lasts for ever. */
  forgive(): void {
    this.#lies.clear();
  }
}
