/**
 * Who writes objects whose root is not recorded yet (W31). A lease keeps from collection what its
 * writer has stored, and what it has found stored already and counts on: everything that is newer
 * than the lease, and the older rows that the writer has touched. Leases live as long as their
 * process, since no writer outlives it.
 */
import { IdSet } from './id-set.ts';

export interface Lease {
  /** Rows above this one are newer than the lease. */
  readonly newestId: number;
  /** Older rows that the writer counts on. */
  readonly touched: IdSet;
  /** Roots that the writer is about, as bytes of CIDs; some of what is below may be here. */
  readonly roots: Uint8Array[];
  /** W28: what is stored under it counts against the quota. */
  readonly isBound: boolean;
}

export class Leases {
  readonly #open = new Map<number, Lease>();

  open(id: number, lease: Omit<Lease, 'touched'>): void {
    this.#open.set(id, { ...lease, touched: new IdSet() });
  }

  get(id: number | undefined): Lease | undefined {
    return id === undefined ? undefined : this.#open.get(id);
  }

  close(id: number): void {
    this.#open.delete(id);
  }

  all(): Iterable<Lease> {
    return this.#open.values();
  }

  get size(): number {
    return this.#open.size;
  }
}
