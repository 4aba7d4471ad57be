/** The evidence that is known: each slot once, and of one custodian so much as proves the point. */
import { evidenceKey } from './evidence.ts';
import { LIMITS } from './limits.ts';
import type { Evidence } from './types.ts';

export class EvidenceBook {
  readonly #keys = new Set<string>();
  readonly #counts = new Map<number, number>();

  constructor(known: readonly Evidence[]) {
    for (const evidence of known) this.add(evidence);
  }

  /** Whether nothing of this slot is known, and there is room for more against the custodian. */
  isNews(evidence: Omit<Evidence, 'claims'>): boolean {
    const count = this.#counts.get(evidence.custodian) ?? 0;
    return count < LIMITS.evidence && !this.#keys.has(evidenceKey(evidence));
  }

  add(evidence: Evidence): void {
    if (!this.isNews(evidence)) return;
    this.#keys.add(evidenceKey(evidence));
    this.#counts.set(evidence.custodian, (this.#counts.get(evidence.custodian) ?? 0) + 1);
  }
}
