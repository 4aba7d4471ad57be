/**
 * R2: a chain that begins with the state of another cluster, key for key. What has a name lies
 * under the key of names of the oldest cluster, and so do rights, parameters and quotas. Who was a
 * member there is none here for that; but versions name no cluster, so who may have signed them
 * stays known.
 */
import { sameBytes } from '../bytes.ts';
import { AegisError } from '../errors.ts';
import { openGenesis } from '../model/genesis.ts';
import type { StateReader } from '../ports.ts';
import { firstMembers, type RosterMember } from './roster.ts';
import { restoreRoster } from './roster-rows.ts';
import { type SortedRows, TABLES } from './rows.ts';
import type { ChainGenesis, StoredRow } from './types.ts';

const genesisKey = (clusterId: string): string => `${clusterId}/genesis`;
const membersPrefix = (clusterId: string): string => `${clusterId}/members/`;
const successionsPrefix = (clusterId: string): string => `${clusterId}/successions/`;

/** The rows with which the chain after this one begins, by those of this one at its tip. */
export function originRows(
  clusterId: string,
  genesis: Uint8Array,
  rows: Pick<SortedRows, 'state' | 'former' | 'members' | 'successions'>,
): StoredRow[] {
  const table = TABLES.former;
  const under = (prefix: string, list: readonly StoredRow[]): StoredRow[] =>
    list.map(({ key, value }) => ({ table, key: `${prefix}${key}`, value }));
  return [
    ...rows.state,
    ...rows.former,
    { table, key: genesisKey(clusterId), value: genesis },
    ...under(membersPrefix(clusterId), rows.members),
    ...under(successionsPrefix(clusterId), rows.successions),
  ];
}

/**
 * Whoever was a member of a cluster before, the last one first. The leaves of the state still
 * commit to them, under the id of their cluster.
 * @throws {AegisError} what does not fit together.
 */
export function readFormer(
  { origin }: Pick<ChainGenesis, 'origin'>,
  { former }: Pick<SortedRows, 'former'>,
  state: StateReader,
): RosterMember[] {
  const members = new Map<string, RosterMember>();
  const values = new Map(former.map(({ key, value }) => [key, value]));
  const under = (prefix: string): StoredRow[] =>
    former.flatMap(({ key, ...row }) =>
      key.startsWith(prefix) ? [{ ...row, key: key.slice(prefix.length) }] : [],
    );
  for (let clusterId = origin?.clusterId; clusterId !== undefined; ) {
    const bytes = values.get(genesisKey(clusterId));
    const genesis = bytes === undefined ? undefined : openGenesis(bytes);
    if (genesis?.clusterId !== clusterId) {
      throw new AegisError('BAD_DATA', `the genesis of the cluster ${clusterId} is not there`);
    }
    const rows = {
      members: under(membersPrefix(clusterId)),
      successions: under(successionsPrefix(clusterId)),
    };
    const found = restoreRoster(clusterId, firstMembers(genesis.members), rows, state);
    for (const member of found.members) {
      if (!members.has(member.nodeId)) members.set(member.nodeId, { ...member, status: 'left' });
    }
    // R2: who agrees to a state agrees to its paths, so nobody may name them by another name.
    if (origin === undefined || !sameBytes(origin.names, genesis.names.key)) {
      throw new AegisError('BAD_DATA', 'the genesis finds the state by another name');
    }
    clusterId = genesis.origin?.clusterId;
  }
  return [...members.values()];
}

/**
 * A recovery takes no key back: what was final of a succession is so after it, and whoever was
 * frozen needs another node.
 * @throws {AegisError} `BAD_DATA` naming the member.
 */
export function checkContinued(
  first: readonly RosterMember[],
  former: readonly RosterMember[],
): void {
  const before = new Map(former.map((member) => [member.nodeId, member]));
  for (const { nodeId, name, history } of first) {
    const known = before.get(nodeId);
    if (known === undefined) continue;
    if (known.isFrozen) throw new AegisError('BAD_DATA', `${name} is frozen (S8)`);
    const isKept = known.history.every(({ digest }, at) => history[at]?.digest === digest);
    if (!isKept) throw new AegisError('BAD_DATA', `the keys of ${name} are not its last ones`);
  }
}
