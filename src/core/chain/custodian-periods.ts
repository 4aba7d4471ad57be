/**
 * E1, A1: who the custodians were at which heights, and with which keys, as final blocks have
 * changed them. Hand-overs say who they were; the entries of successions, with which keys.
 */
import {
  type CustodianKey,
  CustodianSet,
  type CustodianSets,
} from '../consensus/custodian-sets.ts';
import { AegisError } from '../errors.ts';
import type { Ledger } from './ledger.ts';
import type { RosterMember } from './roster.ts';
import type { StoredEntry } from './roster-rows.ts';

/** As it was before the node stopped. @param sets as the genesis begins. */
export function restoreSets(
  sets: CustodianSets,
  ledger: Pick<Ledger, 'tip' | 'roster' | 'custodians' | 'handovers'>,
  entries: readonly StoredEntry[],
): void {
  const { height } = ledger.tip;
  if (height === 0) return;
  const handovers = new Map(ledger.handovers.map((handover) => [handover.height, handover]));
  const decided = new Map<number, StoredEntry[]>();
  for (const entry of entries) {
    decided.set(entry.height, [...(decided.get(entry.height) ?? []), entry]);
  }
  const counts = new Map<string, number>();
  let nodeIds = sets.at(1)!.nodeIds;
  for (const at of [...new Set([...handovers.keys(), ...decided.keys()])].toSorted(ascending)) {
    if (at >= height) break;
    for (const { nodeId } of decided.get(at) ?? [])
      counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1);
    nodeIds = handovers.get(at)?.custodians.map(({ nodeId }) => nodeId) ?? nodeIds;
    const keys = nodeIds.map((id) => keyAfter(ledger.roster.get(id), counts.get(id) ?? 0));
    sets.change(at + 1, new CustodianSet(keys));
  }
  // What the state itself commits to.
  sets.change(height + 1, ledger.custodians);
  sets.advance(height);
}

const ascending = (a: number, b: number): number => a - b;

/** The keys that a member has after so many entries since it came. */
function keyAfter(member: RosterMember | undefined, count: number): CustodianKey {
  const state = member?.history[member.firstEntries + count];
  if (member === undefined || state === undefined) {
    throw new AegisError('STORE_DAMAGED', 'a hand-over names a custodian that is no member');
  }
  const { consensusKey, identityKey, vrfKey } = state.keys;
  return { nodeId: member.nodeId, consensusKey, identityKey, vrfKey };
}
