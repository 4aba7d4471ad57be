/**
 * Whose key is in force at which height, read from final blocks with other code than that of the
 * nodes (C1). It knows a height once the block before is final somewhere.
 */
import type { CustodianKey } from '../consensus/custodian-keys.ts';

export class KeyTruth {
  /** Of each custodian, by the first height of each key. */
  readonly #keys: readonly Map<number, CustodianKey>[];
  #final = 0;

  constructor(first: readonly CustodianKey[]) {
    this.#keys = first.map((key) => new Map([[1, key]]));
  }

  at(custodian: number, height: number): CustodianKey | undefined {
    let best: { readonly from: number; readonly key: CustodianKey } | undefined;
    for (const [from, key] of this.#keys[custodian] ?? []) {
      if (from <= height && (best === undefined || from > best.from)) best = { from, key };
    }
    return best?.key;
  }

  knows(height: number): boolean {
    return height <= this.#final + 1;
  }

  /** The next block is final. */
  advance(height: number): void {
    this.#final = height;
  }

  /** A succession in the block of `height` replaces keys of a custodian. */
  change(custodian: number, height: number, key: CustodianKey): void {
    this.#keys[custodian]?.set(height + 1, key);
  }

  /** From which height on a custodian has its latest key; 1 if it never changed. */
  since(custodian: number): number {
    return Math.max(...this.#keys[custodian]!.keys());
  }
}
