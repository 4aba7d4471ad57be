/** What the replica of one set of custodians is made of, and which leaders it begins with. */
import type { ReplicaOptions } from '../consensus/contract.ts';
import type { CustodianSet } from '../consensus/custodian-sets.ts';
import { LeaderSchedule } from '../consensus/schedule.ts';
import { META, type SortedRows } from './rows.ts';
import type { ChainOptions } from './types.ts';

export function replicaOptions(options: ChainOptions, custodians: CustodianSet): ReplicaOptions {
  const { clusterId, self, held, fanout, timing } = options;
  const index = custodians.indexOf(self);
  return {
    clusterId,
    custodians: custodians.nodeIds,
    self: index === -1 ? undefined : index,
    held,
    ...(fanout === undefined ? {} : { fanout }),
    ...(timing === undefined ? {} : { timing }),
  };
}

/** As they are after the last final block. @param custodians of the height after it. */
export function recoverLeaders(
  { clusterId, epochHeights }: ChainOptions,
  custodians: CustodianSet,
  meta: SortedRows['meta'],
): LeaderSchedule {
  const options = {
    clusterId,
    custodians: custodians.size,
    ...(epochHeights === undefined ? {} : { epochHeights }),
  };
  const snapshot = meta.get(META.leaders);
  return snapshot === undefined
    ? new LeaderSchedule(options)
    : LeaderSchedule.restore(options, snapshot);
}
