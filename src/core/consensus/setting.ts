/** What does not change while a replica lives: it is of one set of custodians (E5). */
import { assert } from '../assert.ts';
import { sha256Hex } from '../crypto/hash.ts';
import type { ReplicaDependencies, ReplicaOptions } from './contract.ts';
import { faultyMax, quorumOf } from './quorum.ts';
import type { VoteScheme } from './scheme.ts';
import { CUSTODIANS_MAX, TIMING_DEFAULT, type Timing } from './types.ts';

/** Up to here every custodian aggregates for itself: two message delays less, and few messages. */
const ALL_FANOUT_CUSTODIANS_MAX = 7;

export interface Setting {
  readonly clusterId: string;
  readonly custodians: readonly string[];
  /** A digest of the node ids, in hex. */
  readonly members: string;
  /** Index of every custodian by node id. */
  readonly indices: ReadonlyMap<string, number>;
  readonly self: number | undefined;
  readonly quorum: number;
  readonly faultyMax: number;
  readonly fanout: 'all' | 'leader';
  readonly timing: Timing;
  readonly scheme: VoteScheme;
  /** Own consensus keys, in hex, that the home held when it was started (K1). */
  readonly held: readonly string[];
}

export function settingOf(
  options: ReplicaOptions,
  { scheme }: Pick<ReplicaDependencies, 'scheme'>,
): Setting {
  const { clusterId, custodians, self } = options;
  const count = custodians.length;
  assert(count >= 1 && count <= CUSTODIANS_MAX, 'a cluster has 1 to 256 custodians');
  assert(self === undefined || self < count, 'the own index is that of a custodian');
  return {
    clusterId,
    custodians,
    members: sha256Hex(Buffer.from(custodians.join(' '))),
    indices: new Map(custodians.map((nodeId, index) => [nodeId, index])),
    self,
    quorum: quorumOf(count),
    faultyMax: faultyMax(count),
    fanout: options.fanout ?? (count <= ALL_FANOUT_CUSTODIANS_MAX ? 'all' : 'leader'),
    timing: { ...TIMING_DEFAULT, ...options.timing },
    scheme,
    held: options.held,
  };
}
