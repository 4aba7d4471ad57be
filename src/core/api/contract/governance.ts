/**
 * Endpoints of the topic `cluster` about who decides, and by which rules (docs/history.md, E, Q
 * and V). Where a request names a member, its node id, the start of one or its name will do.
 */
import * as v from 'valibot';
import { whoSchema } from './consensus.ts';
import { endpoint } from './endpoint.ts';
import { WAIT_MS } from './routes.ts';
import { count, digest, nodeId, time, timeoutMs, word } from './values.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const CHANGES_MAX = 16;
const MEMBERS_MAX = 256;
const quota = v.optional(v.nullable(count));
const members = v.pipe(v.array(word), v.maxLength(MEMBERS_MAX));

const OPS = [
  'add',
  'remove',
  'expel',
  'zone',
  'weight',
  'parameter',
  'quota',
  'namespace',
  'protocol',
] as const;

const wantedChange = v.variant('op', [
  v.strictObject({ op: v.picklist(['add', 'remove', 'expel']), nodeId: word }),
  v.strictObject({ op: v.literal('zone'), nodeId: word, zone: word }),
  v.strictObject({ op: v.literal('weight'), nodeId: word, storageWeight: count }),
  v.strictObject({ op: v.literal('parameter'), name: word, value: count }),
  v.strictObject({
    op: v.literal('quota'),
    nodeId: word,
    /** `null`: what the parameters say. Absent: the same. */
    changesPerHour: quota,
    bytesPerHour: quota,
    paths: quota,
  }),
  v.strictObject({
    op: v.literal('namespace'),
    path: word,
    owners: members,
    writers: v.optional(members, []),
  }),
  v.strictObject({ op: v.literal('protocol'), version: count }),
]);
export type WantedChange = v.InferInput<typeof wantedChange>;

const proposal = {
  /** SHA-256 of its signed bytes. */
  id: digest,
  proposer: whoSchema,
  changes: v.array(
    v.object({
      op: v.picklist(OPS),
      /** Whom it is about; `null`: no member. */
      member: v.nullable(whoSchema),
      /** In words. */
      text: v.string(),
    }),
  ),
  createdAt: time,
  expiresAt: time,
  /** The height from which it is to hold; 0: as soon as it is decided. */
  at: count,
  /**
   * `decided`: by a quorum, and its height has not come; `done`: made; `void`: something in it was
   * impossible (rule E3).
   */
  status: v.picklist(['open', 'decided', 'done', 'void', 'expired']),
  /** Custodians in force that have approved it. */
  approvals: v.array(whoSchema),
  /** How many it takes now. */
  quorum: count,
  /** From which height it holds; `null`: not decided. */
  effectiveAt: v.nullable(count),
  /** Why it is void. */
  why: v.nullable(v.string()),
  /** Whether this node could approve it, and has not. */
  awaitsThis: v.boolean(),
};
export const proposalSchema = v.object(proposal);
export type ProposalView = v.InferOutput<typeof proposalSchema>;

const waiting = {
  wait: v.optional(v.picklist(['local', 'final']), 'final'),
  timeoutMs: v.optional(timeoutMs, WAIT_MS.intents),
};
const decision = {
  /** Whether the statement itself is in a final block; with `wait: local` it need not be. */
  final: v.boolean(),
  /** The height of that block. */
  height: v.nullable(count),
};

export const clusterPropose = endpoint('cluster.propose', {
  body: {
    changes: v.pipe(v.array(wantedChange), v.minLength(1), v.maxLength(CHANGES_MAX)),
    at: v.optional(count, 0),
    expiresInMs: v.optional(
      v.pipe(v.number(), v.integer(), v.minValue(1000), v.maxValue(30 * DAY_MS)),
      7 * DAY_MS,
    ),
    ...waiting,
  },
  reply: { proposal: proposalSchema, ...decision },
});

export const clusterApprove = endpoint('cluster.approve', {
  body: waiting,
  reply: { proposal: proposalSchema, ...decision },
});

export const clusterProposals = endpoint('cluster.proposals', {
  query: {
    /** Also those that are over. */
    all: v.optional(v.boolean(), false),
  },
  reply: { proposals: v.array(proposalSchema), height: count, quorum: count },
});

export const clusterState = endpoint('cluster.state', {
  reply: {
    clusterId: v.string(),
    clusterName: v.string(),
    /** The last final height. */
    height: count,
    epoch: v.object({
      /** The first height with these custodians and these keys of theirs. */
      from: count,
      /** SHA-256 of their list, as headers name it. */
      digest,
      custodians: v.array(whoSchema),
      quorum: count,
    }),
    protocol: v.object({
      /** By which the next block is executed. */
      version: count,
      /** The highest one that this node takes part in (V4). */
      max: count,
      /** A raise whose height has come: it holds once a quorum is ready (V2). */
      raise: v.nullable(v.object({ version: count, ready: count, quorum: count })),
      /** The custodians by the version that they are ready for. */
      readiness: v.array(v.object({ ...whoSchema.entries, version: v.nullable(count) })),
    }),
    parameters: v.array(v.object({ name: v.string(), value: count })),
    /** Proposals that wait for approvals, or for their height. */
    proposals: count,
    /** Where the history begins that this node has verified itself: 0, or its checkpoint. */
    checkpoint: v.nullable(v.object({ height: count, digest })),
  },
});
export type ClusterState = v.InferOutput<typeof clusterState.result>;

const used = v.object({
  used: count,
  /** `null`: without a limit. */
  limit: v.nullable(count),
});

export const clusterQuotas = endpoint('cluster.quotas', {
  query: {
    /** One member. */
    member: v.optional(word),
  },
  reply: {
    height: count,
    /** By the time of the last block. */
    hour: v.nullable(time),
    quotas: v.array(
      v.object({
        nodeId,
        name: v.nullable(v.string()),
        role: v.picklist(['custodian', 'agent']),
        changesPerHour: used,
        bytesPerHour: used,
        paths: used,
      }),
    ),
  },
});
