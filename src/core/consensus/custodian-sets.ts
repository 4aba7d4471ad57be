/**
 * The custodians by height (C1, E1): each height has one set of them, with one key of each kind a
 * custodian, fixed by the state before it. It executes nothing that changes them, which is for the
 * owner, and holds no secrets.
 */
import { assert } from '../assert.ts';
import { custodiansDigest } from '../model/custodians.ts';
import { LIMITS } from './limits.ts';
import { CUSTODIANS_MAX } from './types.ts';

export interface CustodianKey {
  readonly nodeId: string;
  /** BLS12-381, 48 bytes; it has proved its possession. */
  readonly consensusKey: Uint8Array;
  /** Ed25519, 32 bytes. */
  readonly identityKey: Uint8Array;
  readonly vrfKey: Uint8Array;
}

/** Who decides a height. The place of each in the order of node ids is its index at that height. */
export class CustodianSet {
  readonly custodians: readonly CustodianKey[];
  readonly nodeIds: readonly string[];
  readonly #indices: ReadonlyMap<string, number>;
  #digest: Uint8Array | undefined;

  /** @param custodians in any order, each once. */
  constructor(custodians: readonly CustodianKey[]) {
    const { length } = custodians;
    assert(length >= 1 && length <= CUSTODIANS_MAX, 'a cluster has 1 to 256 custodians');
    this.custodians = custodians.toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
    this.nodeIds = this.custodians.map(({ nodeId }) => nodeId);
    this.#indices = new Map(this.nodeIds.map((nodeId, index) => [nodeId, index]));
    assert(this.#indices.size === length, 'nobody is a custodian twice');
  }

  get size(): number {
    return this.custodians.length;
  }

  /** Of node ids and consensus keys, as headers name them (E1). */
  get digest(): Uint8Array {
    this.#digest ??= custodiansDigest(this.custodians);
    return this.#digest;
  }

  /** -1 for who is none of them. */
  indexOf(nodeId: string): number {
    return this.#indices.get(nodeId) ?? -1;
  }

  /** Whether they are the same nodes, whatever keys they have. */
  hasSameMembers(other: CustodianSet): boolean {
    return this.size === other.size && this.nodeIds.every((id, at) => id === other.nodeIds[at]);
  }

  /** Whether they are the same nodes with the same keys. */
  isSame(other: CustodianSet): boolean {
    return (
      this.hasSameMembers(other) &&
      this.custodians.every((key, at) => isSameKey(key, other.custodians[at]!))
    );
  }
}

const isSameKey = (a: CustodianKey, b: CustodianKey): boolean =>
  a === b ||
  (Buffer.compare(a.consensusKey, b.consensusKey) === 0 &&
    Buffer.compare(a.identityKey, b.identityKey) === 0 &&
    Buffer.compare(a.vrfKey, b.vrfKey) === 0);

interface Period {
  /** The first height of the set. */
  readonly from: number;
  readonly set: CustodianSet;
}

export class CustodianSets {
  /** Earliest first; never empty. */
  readonly #periods: Period[];
  #knownTo: number;

  /**
   * @param from the first height at which these are known to be the custodians: whoever starts from
   *   a later state need not know who they were before.
   */
  constructor(first: CustodianSet, from = 1) {
    this.#periods = [{ from, set: first }];
    this.#knownTo = from;
  }

  /** The sets of heights above may still change. */
  get knownTo(): number {
    return this.#knownTo;
  }

  /**
   * The custodians of a height; above `knownTo` the latest ones, which may still change. Undefined
   * for heights of which they are not known any more.
   */
  at(height: number): CustodianSet | undefined {
    return this.#periods.findLast(({ from }) => from <= height)?.set;
  }

  /** Whether the custodians of this height and their keys are known, and change no more. */
  knows(height: number): boolean {
    return height >= this.#periods[0]!.from && height <= this.#knownTo;
  }

  /** E1, A1: these are the custodians from height `from`, right after the block that decided it. */
  change(from: number, next: CustodianSet): void {
    const last = this.#periods.at(-1)!;
    const isLater = from > this.#knownTo && from >= last.from;
    assert(isLater, 'the custodians of a height that is known never change');
    // One block may decide several changes: the last of them counts.
    if (from === last.from) this.#periods.pop();
    else if (last.set.isSame(next)) return;
    this.#periods.push({ from, set: next });
    if (this.#periods.length > LIMITS.custodianSets) this.#periods.shift();
  }

  /** Y4: a later state has been taken over, and of the heights before `from` nothing is known. */
  restart(from: number, set: CustodianSet): void {
    this.#periods.splice(0, this.#periods.length, { from, set });
    this.#knownTo = from;
  }

  /** The state after `height` is known, and with it the custodians of the height after. */
  advance(height: number): void {
    assert(height >= this.#knownTo - 1, 'heights are advanced over in their order');
    this.#knownTo = height + 1;
  }
}
