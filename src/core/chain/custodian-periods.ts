/**
 * E1, A1: who the custodians were at which heights, and with which keys, as final blocks have
 * changed them. Hand-overs say who they were; the entries of successions, with which keys.
 */
import { sameBytes } from '../bytes.ts';
import { type CustodianKey, CustodianSet, CustodianSets } from '../consensus/custodian-sets.ts';
import { AegisError } from '../errors.ts';
import { custodiansDigest } from '../model/custodians.ts';
import { setOf } from './execution.ts';
import type { TrailOptions } from './handovers.ts';
import type { Ledger } from './ledger.ts';
import { custodiansIn, firstMembers, type RosterMember } from './roster.ts';
import type { StoredEntry } from './roster-rows.ts';
import type { ChainDeps, ChainOptions, Handover } from './types.ts';

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
  let { nodeIds } = sets.at(1)!;
  for (const at of [...new Set([...handovers.keys(), ...decided.keys()])].toSorted(ascending)) {
    if (at >= height) break;
    const authors = (decided.get(at) ?? []).map(({ nodeId }) => nodeId);
    for (const nodeId of authors) counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1);
    // What agents have rotated changes no set, and most members are agents.
    if (!handovers.has(at) && !authors.some((nodeId) => nodeIds.includes(nodeId))) continue;
    nodeIds = handovers.get(at)?.custodians.map(({ nodeId }) => nodeId) ?? nodeIds;
    const keys = nodeIds.map((id) => keyAfter(ledger.roster.get(id), counts.get(id) ?? 0));
    const set = new CustodianSet(keys);
    checkNamed(set, handovers.get(at));
    sets.change(at + 1, set);
  }
  // What the state itself commits to.
  sets.change(height + 1, ledger.custodians);
  sets.advance(height);
}

/** The heights of entries are what a snapshot says; hand-overs are certified (Y4). */
function checkNamed(set: CustodianSet, handover: Handover | undefined): void {
  if (handover === undefined) return;
  if (sameBytes(set.digest, custodiansDigest(handover.custodians))) return;
  throw new AegisError('STORE_DAMAGED', 'a hand-over names other keys than its custodians had');
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

/** What a history of others is verified by: by consensus keys alone, and from the genesis on. */
export function trailOptionsOf(
  { clusterId, genesis, checkpoint }: ChainOptions,
  { schemeOf }: Pick<ChainDeps, 'schemeOf'>,
): TrailOptions {
  const none = new Uint8Array(32);
  return {
    clusterId,
    first: setOf(custodiansIn(firstMembers(genesis.members))).custodians,
    schemeOf: (custodians) => {
      const keys = custodians.map((one) => ({ ...one, identityKey: none, vrfKey: none }));
      return schemeOf!(new CustodianSets(new CustodianSet(keys), 0));
    },
    checkpoint,
  };
}
