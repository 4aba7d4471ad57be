/**
 * Who is a custodian at which height, and with which keys, read from final blocks with other code
 * than that of the nodes (C1, E1). It knows a height once the block before is final somewhere.
 */
import { type CustodianKey, CustodianSet } from '../consensus/custodian-sets.ts';

interface Period {
  readonly from: number;
  readonly set: CustodianSet;
}

export class Truth {
  /** Earliest first; all of them, since a checker may ask about any height. */
  readonly #periods: Period[];
  #final = 0;

  constructor(first: readonly CustodianKey[]) {
    this.#periods = [{ from: 1, set: new CustodianSet(first) }];
  }

  /** Above `knows` the latest ones. */
  at(height: number): CustodianSet {
    return this.#periods.findLast(({ from }) => from <= height)!.set;
  }

  get latest(): CustodianSet {
    return this.#periods.at(-1)!.set;
  }

  knows(height: number): boolean {
    return height <= this.#final + 1;
  }

  /** The next block is final. */
  advance(height: number): void {
    this.#final = height;
  }

  /** The block of `height` has decided that these are the custodians from the next one on. */
  change(height: number, custodians: readonly CustodianKey[]): void {
    if (this.#periods.at(-1)!.from === height + 1) this.#periods.pop();
    this.#periods.push({ from: height + 1, set: new CustodianSet(custodians) });
  }

  keyOf(nodeId: string, height: number): CustodianKey | undefined {
    const set = this.at(height);
    return set.custodians[set.indexOf(nodeId)];
  }

  /** Custodians that may be faulty at once. Not by the code under test, which may be wrong. */
  faultyMax(height: number): number {
    return Math.floor((this.at(height).size - 1) / 3);
  }

  /** From which height on a custodian votes with its latest key without a break; 0: it is none. */
  since(nodeId: string): number {
    const key = this.keyOf(nodeId, Number.MAX_SAFE_INTEGER);
    if (key === undefined) return 0;
    let since = 0;
    for (const { from, set } of this.#periods.toReversed()) {
      const before = set.custodians[set.indexOf(nodeId)];
      if (before === undefined || !isSame(before, key)) break;
      since = from;
    }
    return since;
  }

  /** E1: heights of the last blocks of epochs: others decide the next, or with other keys. */
  handovers(): number[] {
    return this.#periods.slice(1).flatMap(({ from, set }, at) => {
      const before = this.#periods[at]!.set;
      const isSameEpoch =
        before.size === set.size &&
        set.custodians.every((key, place) => isSame(key, before.custodians[place]!));
      return isSameEpoch ? [] : [from - 1];
    });
  }
}

/** As headers know them: by node and consensus key. */
const isSame = (one: CustodianKey, other: CustodianKey): boolean =>
  one.nodeId === other.nodeId && Buffer.compare(one.consensusKey, other.consensusKey) === 0;
