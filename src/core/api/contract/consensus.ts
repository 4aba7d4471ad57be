/**
 * Endpoints of the topic `consensus`: what this node knows of the chain and of how it is agreed on.
 * The words are those of docs/consensus.md. Where a list names nodes, it names custodians.
 */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { changeSchema } from './intents.ts';
import { bytes, count, digest, ms, nodeId, time } from './values.ts';

/** A node, and its name when this node knows one. */
const who = v.object({ nodeId, name: v.nullable(v.string()) });
export const whoSchema = who;
export type Who = v.InferOutput<typeof who>;

/**
 * What this node waits for at the height after the last final one. `idle`: nothing is to be
 * decided; `propose`: the leader's block; `prepare`, `commit`: a quorum of these votes; `timeout`:
 * a quorum that gives the view up; `catch-up`: blocks that others hold final already.
 */
export const PHASES = ['idle', 'propose', 'prepare', 'commit', 'timeout', 'catch-up'] as const;

const status = {
  /** The last final one that this node holds; 0 before the first. */
  height: count,
  /** Of the block at `height`. */
  digest: v.nullable(digest),
  /** When this node saw it become final; `null` when that was before it started. */
  lastFinalAt: v.nullable(time),
  role: v.picklist(['custodian', 'agent']),
  /** The present view of `height` + 1; so is everything below. */
  view: count,
  /** When it began here; `null` while nothing is to be decided. */
  viewSince: v.nullable(time),
  leader: v.nullable(who),
  phase: v.picklist(PHASES),
  /** Of the view. */
  timeoutMs: ms,
  custodians: count,
  /** So many of them may fail in any way: floor((custodians - 1) / 3). */
  faultyMax: count,
  /** custodians - faultyMax. */
  quorum: count,
  /** Custodians that this node has a connection to, itself among them. */
  connected: count,
  /** Whether it would vote now: a custodian that is not in doubt. */
  isVoting: v.boolean(),
  /** Why it may not vote (rules D3 to D6). */
  doubt: v.nullable(v.string()),
  /** Custodians whose vote of this view has been seen. A quorum's certificate counts as theirs. */
  votes: v.object({ prepare: v.array(nodeId), commit: v.array(nodeId) }),
  /** Custodians that have given this view up. */
  timeouts: v.array(nodeId),
  /** Custodians without a connection, and those whose word is waited for in this phase. */
  missing: v.array(
    v.object({ ...who.entries, connected: v.boolean(), lastHeardAt: v.nullable(time) }),
  ),
  /** Leaders that are not asked for a while, because their views failed (rule L3). */
  passedOver: v.array(who),
  /** The last proposal of this height for which this node did not vote. */
  refused: v.nullable(
    v.object({
      view: count,
      proposer: who,
      /** `time`: too far from this node's clock; `state`: it led to another state here. */
      reason: v.picklist(['time', 'state', 'invalid']),
      detail: v.string(),
      at: time,
    }),
  ),
  /** Why this node cannot sign votes: its key in force is elsewhere or out of reach (rule K3). */
  keyMissing: v.nullable(v.string()),
  /** Signs that this node's consensus key is in use elsewhere (rule D6). */
  keyElsewhere: v.nullable(v.string()),
  /** Custodians of whom this node has met two daemons at one time: their homes were copied. */
  runTwice: v.array(who),
  /** Heights that others hold final and this node does not yet. */
  behind: count,
  mempool: v.object({ intents: count, sizeBytes: bytes, own: count }),
  /** From first knowledge of work or block to finality, of the last 100 blocks seen live. */
  finalMsP50: v.nullable(ms),
  finalMsP95: v.nullable(ms),
  /** Known proofs that a custodian broke the rules. */
  evidence: count,
  /** This node comes to another state than a final block says: it votes no more (rule Y7). */
  divergence: v.nullable(
    v.object({
      height: count,
      /** State roots. */
      ours: digest,
      theirs: digest,
      /** The first key of the state that differs; `null` until it has been found. */
      key: v.nullable(digest),
      /** What the key stands for, where that has a name. */
      path: v.nullable(v.string()),
    }),
  ),
  /** A certificate for another block at a height that is final here (rule Y3); the last one. */
  conflict: v.nullable(v.object({ height: count, ours: digest, theirs: digest, from: who })),
  /**
   * Peers that in this run have sent blocks or a state that do not hold, or claimed blocks and not
   * sent them, and so are asked last (rule Y2). `what` says which.
   */
  liars: v.array(v.object({ ...who.entries, what: v.string(), height: count, at: time })),
  protocol: v.object({
    /** By which the next block is executed (rule V1). */
    version: count,
    /** The highest one that this node takes part in (rule V4). */
    max: count,
    /** Decided, and waits for the readiness of a quorum (rule V2). */
    raise: v.nullable(count),
  }),
};
export const consensusStatusSchema = v.object(status);
export type ConsensusStatus = v.InferOutput<typeof consensusStatusSchema>;

const CAUSES = [
  ...[
    'agent',
    'doubt',
    'key-missing',
    'key-elsewhere',
    'catch-up',
    'no-quorum',
    'idle',
    'proposal',
  ],
  ...['votes', 'view-change', 'refused', 'evidence', 'runs-twice'],
  ...['diverged', 'conflict', 'liars', 'protocol'],
] as const;
const why = v.object({
  cause: v.picklist(CAUSES),
  /** One plain sentence without a full stop. */
  text: v.string(),
});
export type Why = v.InferOutput<typeof why>;

export const consensusStatus = endpoint('consensus.status', {
  reply: {
    ...status,
    /** What it waits for and why; the most important first, never empty. */
    why: v.array(why),
  },
});

const summary = {
  height: count,
  digest,
  time,
  proposer: who,
  /** In which it was first proposed; the views before it failed. */
  view: count,
  intents: count,
  sizeBytes: bytes,
  /** Custodians in the commit certificate. */
  signers: count,
  /** Those that are not in it: late, silent, or not needed. */
  absent: v.array(nodeId),
};
export const blockSummarySchema = v.object(summary);
export type BlockSummary = v.InferOutput<typeof blockSummarySchema>;

const BLOCKS_LIMIT_MAX = 200;
export const consensusBlocks = endpoint('consensus.blocks', {
  query: {
    /** The highest to show. Default: the last final one. */
    from: v.optional(count),
    limit: v.optional(v.pipe(count, v.minValue(1), v.maxValue(BLOCKS_LIMIT_MAX)), 20),
  },
  reply: {
    /** The highest first. */
    blocks: v.array(blockSummarySchema),
    /** The last final one. */
    height: count,
    /** `from` of the next page; `null` at the end. */
    next: v.nullable(count),
  },
});

export const RESULTS = ['done', 'unchanged', 'refused'] as const;

const STATEMENTS = [
  'succession',
  'duplicity',
  'admission',
  'departure',
  'proposal',
  'approval',
  'readiness',
] as const;

const blockIntent = v.object({
  id: digest,
  author: nodeId,
  authorName: v.nullable(v.string()),
  sequence: count,
  /** Of a statement that carries its own authority: `sequence` is 0, and there are no changes. */
  statement: v.nullable(v.picklist(STATEMENTS)),
  changes: v.array(changeSchema),
  result: v.picklist(RESULTS),
  /** Why it was refused. */
  reason: v.nullable(v.string()),
});
export type BlockIntent = v.InferOutput<typeof blockIntent>;

export const consensusBlock = endpoint('consensus.block', {
  reply: {
    height: count,
    digest,
    previous: digest,
    time,
    proposer: who,
    view: count,
    intents: v.array(blockIntent),
    intentsRoot: digest,
    stateRoot: digest,
    sizeBytes: bytes,
    /** The proof of the leaders' next seed, in hexadecimal, at the end of a seed epoch. */
    seedProof: v.nullable(v.string()),
    certificate: v.object({
      view: count,
      signers: v.array(who),
      /** Aggregated BLS signature, in hexadecimal. */
      signature: v.string(),
    }),
  },
});

/** Of so many last blocks it is counted who signed. */
export const SIGNED_OF_LAST = 100;
const validator = v.object({
  ...who.entries,
  zone: v.nullable(v.string()),
  /** Its place in the genesis, by which certificates name it. */
  index: count,
  /** BLS public key, in hexadecimal. */
  consensusKey: v.string(),
  /** How often its identity key has changed. */
  keyEpoch: count,
  peerId: v.string(),
  /** Two entries of its succession follow the same one (rule S8). */
  frozen: v.boolean(),
  /** Of this consensus key; `null` when it has none. */
  expiresAt: v.nullable(time),
  self: v.boolean(),
  /** Itself, or with a connection to this node. */
  connected: v.boolean(),
  isLeader: v.boolean(),
  passedOver: v.boolean(),
  /** `null`: in none of the blocks that were looked at. */
  lastSignedHeight: v.nullable(count),
  signedOfLast: count,
});
export type Validator = v.InferOutput<typeof validator>;

export const consensusValidators = endpoint('consensus.validators', {
  reply: {
    validators: v.array(validator),
    height: count,
    view: count,
    quorum: count,
    /** Blocks that were looked at for `signedOfLast`, at most 100. */
    blocks: count,
  },
});

const explanation = {
  height: count,
  /** `open`: this node works on it now. */
  state: v.picklist(['final', 'open']),
  digest: v.nullable(digest),
  time: v.nullable(time),
  proposer: v.nullable(who),
  intents: v.nullable(count),
  /** In which the block was first proposed. */
  view: v.nullable(count),
  /** Of the commit certificate; later than `view` when the same block was proposed again. */
  finalView: v.nullable(count),
  signers: v.array(who),
  /** Custodians that are not in the certificate: late, silent, or not needed. */
  absent: v.array(who),
  quorum: count,
  views: v.array(
    v.object({
      view: count,
      leader: who,
      outcome: v.picklist(['final', 'failed', 'open']),
      /** What follows is known if this node was there, and for recent heights. */
      startedAt: v.nullable(time),
      endedAt: v.nullable(time),
      /** Whether this node saw a proposal in it. */
      proposed: v.nullable(v.boolean()),
      timeouts: v.array(who),
    }),
  ),
  /** As this node saw it; `null` where it was not there, or no longer remembers. */
  timing: v.object({
    startedAt: v.nullable(time),
    proposedAt: v.nullable(time),
    preparedAt: v.nullable(time),
    finalAt: v.nullable(time),
  }),
};
export const explanationSchema = v.object(explanation);
export type Explanation = v.InferOutput<typeof explanationSchema>;
export const consensusExplain = endpoint('consensus.explain', {
  reply: {
    ...explanation,
    /** The same in plain sentences, without full stops. */
    verdict: v.array(v.string()),
  },
});

const evidence = v.object({
  id: digest,
  /** `duplicity`: two entries of its succession follow the same one (rule S8). */
  kind: v.picklist(['proposal', 'prepare', 'commit', 'timeout', 'duplicity']),
  /** Of duplicity it may be an agent. */
  custodian: who,
  /** For duplicity: the number of the entries. */
  height: count,
  view: count,
  /** The two that it signed for one slot: digests, or of timeouts the views that they name. */
  signed: v.array(v.string()),
  /** When this node learned of it. */
  at: v.nullable(time),
  /** The evidence as it is stored, in base64: anyone with the genesis can verify it. */
  bytes: v.string(),
});
export type EvidenceEntry = v.InferOutput<typeof evidence>;
export const consensusEvidence = endpoint('consensus.evidence', {
  reply: { evidence: v.array(evidence), total: count },
});
