/**
 * R2: a chain that begins with the state of another cluster, key for key. Refs and accounts lie
 * under the names that the oldest cluster gave them. It checks nothing but the root; whose state
 * this is, the genesis says.
 */
import type { RosterMember } from './roster.ts';
import type { SortedRows } from './rows.ts';
import type { ChainGenesis } from './types.ts';

/** By which the keys of refs and accounts are made. */
export const namespaceOf = (clusterId: string, genesis: Pick<ChainGenesis, 'origin'>): string =>
  genesis.origin?.namespace ?? clusterId;

/** Whoever was a member of a cluster before, and may have signed versions. */
export function readFormer(_rows: SortedRows): RosterMember[] {
  return [];
}
