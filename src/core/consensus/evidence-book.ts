/**
 * The evidence that is known: each slot once, and of one node so much as proves the point. An index
 * is that of its height, so nodes are counted by their ids, and removed ones as well (E6).
 */
import { evidenceKey } from './evidence.ts';
import { LIMITS } from './limits.ts';
import type { Evidence } from './types.ts';

export class EvidenceBook {
  readonly #keys = new Set<string>();
  readonly #counts = new Map<string, number>();
  readonly #nameOf: (custodian: number, height: number) => string | undefined;

  constructor(
    known: readonly Evidence[],
    nameOf: (custodian: number, height: number) => string | undefined,
  ) {
    this.#nameOf = nameOf;
    for (const evidence of known) this.add(evidence);
  }

  /** Whether nothing of this slot is known, and there is room for more against the node. */
  isNews(evidence: Omit<Evidence, 'claims'>): boolean {
    const count = this.#counts.get(this.#name(evidence)) ?? 0;
    return count < LIMITS.evidence && !this.#keys.has(evidenceKey(evidence));
  }

  add(evidence: Evidence): void {
    if (!this.isNews(evidence)) return;
    this.#keys.add(evidenceKey(evidence));
    const name = this.#name(evidence);
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  /** Of heights whose custodians are forgotten the index has to do. */
  #name({ custodian, height }: Omit<Evidence, 'claims'>): string {
    return this.#nameOf(custodian, height) ?? `${custodian}`;
  }
}
