/**
 * The keys of the custodians by height (C1): each height has one key a custodian, fixed by the
 * state before it. It executes no successions, which is for the owner, and holds no secrets.
 */
import { assert } from '../assert.ts';
import { LIMITS } from './limits.ts';

export interface CustodianKey {
  /** BLS12-381, 48 bytes; it has proved its possession. */
  readonly consensusKey: Uint8Array;
  /** Ed25519, 32 bytes. */
  readonly identityKey: Uint8Array;
  readonly vrfKey: Uint8Array;
}

interface Period {
  /** The first height at which the key is in force. */
  readonly from: number;
  readonly key: CustodianKey;
}

export class CustodianKeys {
  /** Of each custodian, earliest first; never empty. */
  readonly #periods: readonly Period[][];
  #knownFrom: number;
  #knownTo: number;

  /**
   * @param first in the order of the consensus index.
   * @param from the first height at which these keys are known to be in force: whoever starts from
   *   a later state need not know who had which key before.
   */
  constructor(first: readonly CustodianKey[], from = 1) {
    this.#periods = first.map((key) => [{ from, key }]);
    this.#knownFrom = from;
    this.#knownTo = from;
  }

  /** Keys of heights above may still change. */
  get knownTo(): number {
    return this.#knownTo;
  }

  /**
   * The key in force at a height; above `knownTo` the latest one, which may still change. Undefined
   * for no custodian, and for heights of which the keys are not known any more.
   */
  at(custodian: number, height: number): CustodianKey | undefined {
    return this.#periods[custodian]?.findLast(({ from }) => from <= height)?.key;
  }

  /** Whether the keys of all custodians at this height are known, and will not change any more. */
  knows(height: number): boolean {
    return height >= this.#knownFrom && height <= this.#knownTo;
  }

  /** A1: from height `from`, right after the block that decided it, the custodian has this key. */
  change(custodian: number, from: number, key: CustodianKey): void {
    const periods = this.#periods[custodian];
    assert(periods !== undefined, 'only the key of a custodian changes');
    const last = periods.at(-1)!;
    const isLater = from > this.#knownTo && from >= last.from;
    assert(isLater, 'the keys of a height that is known never change');
    // Several successions may be decided by one block: the last of them counts.
    if (from === last.from) periods.pop();
    periods.push({ from, key });
    if (periods.length <= LIMITS.keyPeriods) return;
    periods.shift();
    this.#knownFrom = Math.max(this.#knownFrom, periods[0]!.from);
  }

  /** The state after `height` is known, and with it the keys of the height after. */
  advance(height: number): void {
    assert(height >= this.#knownTo - 1, 'heights are advanced over in their order');
    this.#knownTo = height + 1;
  }
}
