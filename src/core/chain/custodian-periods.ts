/** A1: which keys the custodians have at which heights, as final blocks have changed them. */
import type { CustodianKey, CustodianKeys } from '../consensus/custodian-keys.ts';
import type { StoredEntry } from './roster-rows.ts';

/** Whoever has these keys after the block at `height`, votes with them from the next one on. */
export function changeKeys(
  keys: CustodianKeys,
  custodian: number,
  height: number,
  next: CustodianKey,
): void {
  const before = keys.at(custodian, height + 1);
  // An entry may leave all of them as they were.
  if (before !== undefined && isSame(before, next)) return;
  keys.change(custodian, height + 1, next);
}

/** As it was before the node stopped, from the entries that are final, in the order of heights. */
export function restoreKeys(
  keys: CustodianKeys,
  custodians: readonly string[],
  entries: readonly StoredEntry[],
  height: number,
): void {
  for (const entry of entries) {
    const custodian = custodians.indexOf(entry.nodeId);
    if (custodian === -1) continue;
    changeKeys(keys, custodian, entry.height, entry.signed.succession.keys);
  }
  keys.advance(height);
}

const isSame = (a: CustodianKey, b: CustodianKey): boolean =>
  Buffer.compare(a.consensusKey, b.consensusKey) === 0 &&
  Buffer.compare(a.identityKey, b.identityKey) === 0 &&
  Buffer.compare(a.vrfKey, b.vrfKey) === 0;
