/** Endpoints of the topic `cluster`: who is a member, who is let in and who leaves. */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { WAIT_MS } from './routes.ts';
import { address, count, nodeId, time, timeoutMs } from './values.ts';

const hex = v.pipe(v.string(), v.hexadecimal());
const DAY_MS = 24 * 60 * 60 * 1000;

const clusterMember = v.object({
  nodeId,
  name: v.string(),
  zone: v.string(),
  region: v.string(),
  role: v.picklist(['custodian', 'agent']),
  status: v.picklist(['member', 'left']),
  /** Share of the objects that it keeps, against that of the others. */
  storageWeight: count,
  /** The protocol version that it has said to be ready for (rule V2). */
  readyFor: v.nullable(count),
  /** The height at which it became what it is; 0: by the genesis. */
  since: count,
  /** Entries of its succession; 0: still with its first keys. */
  number: count,
  keyEpoch: count,
  peerId: v.string(),
  consensusKey: hex,
  addresses: v.array(address),
  /** Two entries of it follow the same one (rule S8). */
  frozen: v.boolean(),
  /** By the operator of this node (rule M4). */
  banned: v.boolean(),
  connected: v.boolean(),
  self: v.boolean(),
});
export type MemberView = v.InferOutput<typeof clusterMember>;

export const clusterMembers = endpoint('cluster.members', {
  query: {
    /** Also those that have left. */
    all: v.optional(v.boolean(), false),
  },
  reply: {
    clusterId: v.string(),
    clusterName: v.string(),
    /** The last final height that this is of. */
    height: count,
    members: v.array(clusterMember),
    custodians: count,
    agents: count,
  },
});

export const clusterInvite = endpoint('cluster.invite', {
  body: {
    /** The node that is invited, and nobody else (rule M1). */
    nodeId,
    expiresInMs: v.optional(
      v.pipe(v.number(), v.integer(), v.minValue(1000), v.maxValue(90 * DAY_MS)),
      7 * DAY_MS,
    ),
  },
  reply: {
    /** 16 bytes in hexadecimal. */
    id: hex,
    nodeId,
    inviter: nodeId,
    /** A member needs no admission; the file tells it keys and addresses all the same. */
    isMember: v.boolean(),
    createdAt: time,
    expiresAt: time,
    /** The text form of the invitation file, as the joiner needs it. */
    invitation: v.string(),
  },
});

export const clusterLeave = endpoint('cluster.leave', {
  body: {
    wait: v.optional(v.picklist(['local', 'final']), 'final'),
    timeoutMs: v.optional(timeoutMs, WAIT_MS.intents),
  },
  reply: {
    nodeId,
    final: v.boolean(),
    /** At which the departure was decided. */
    height: v.nullable(count),
  },
});
