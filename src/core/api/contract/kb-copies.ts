/**
 * Endpoints about copies (docs/knowledge-base.md, W20 to W27): what is not well, repair, looking
 * through what is kept, and a node that is to hold nothing.
 */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { WAIT_MS } from './routes.ts';
import { bytes, cid, count, nodeId, text, time, timeoutMs, word } from './values.ts';

const LIMIT_MAX = 1000;
const member = { nodeId, name: v.nullable(v.string()) };

const unwell = v.object({
  path: v.string(),
  version: cid,
  /** Root of the content. */
  cid,
  /**
   * `fetching`: this node is to have it and gets it, or waits for its turn; `error`: it has tried
   * in vain; `under-replicated`: others have not said that they have it.
   */
  state: v.picklist(['under-replicated', 'fetching', 'error']),
  copies: count,
  wanted: count,
  since: time,
  why: v.string(),
  missing: v.array(
    v.object({
      ...member,
      why: v.picklist(['not-connected', 'not-proved', 'not-confirmed', 'fetching']),
    }),
  ),
  failures: count,
  /** `null`: none is planned, or it waits for nothing but its turn. */
  nextAttempt: v.nullable(time),
});
export type KbUnwell = v.InferOutput<typeof unwell>;

const drain = v.object({
  draining: v.boolean(),
  /** Roots without all of their copies on others; `null`: not looked at all of them yet. */
  left: v.nullable(count),
});

export const kbStatus = endpoint('kb.status', {
  query: {
    limit: v.optional(v.pipe(count, v.minValue(1), v.maxValue(LIMIT_MAX)), 100),
    /** `next` of the page before. */
    after: v.optional(text),
  },
  reply: {
    /** Versions with fewer copies than the placement asks for, as far as they concern this node. */
    underReplicated: count,
    /** Roots that this node is to fetch. */
    wanted: count,
    items: v.array(unwell),
    next: v.nullable(v.string()),
    /** W20 */
    absent: v.array(v.object({ ...member, since: time })),
    /** W26 */
    draining: v.array(v.object(member)),
    drain,
  },
});

export const kbRepair = endpoint('kb.repair', {
  body: {
    /** Without one: all. */
    path: v.optional(word),
    /** Whoever is not connected counts as absent, without the grace period. */
    now: v.optional(v.boolean(), false),
    timeoutMs: v.optional(timeoutMs, WAIT_MS.kb),
  },
  reply: {
    path: v.nullable(v.string()),
    cid: v.nullable(cid),
    /** Objects that were read and hashed; `null`: of all paths none are. */
    objects: v.nullable(count),
    /** Holders that could not prove their copy. */
    unproved: v.array(v.object(member)),
    underReplicated: count,
    wanted: count,
  },
});

export const kbScrub = endpoint('kb.scrub', {
  body: {
    /** Begins anew, and goes on as fast as it may. */
    now: v.optional(v.boolean(), false),
  },
  reply: {
    /** `null`: none is under way. */
    startedAt: v.nullable(time),
    objects: count,
    /** That have been hashed, of so many that there are. */
    sizeBytes: bytes,
    totalBytes: bytes,
    damaged: count,
    hurried: v.boolean(),
    /** `null`: not once. */
    lastDoneAt: v.nullable(time),
    lastDamaged: count,
    /** 0: only when asked. */
    days: count,
  },
});

export const nodeDrain = endpoint('node.drain', {
  body: {
    undo: v.optional(v.boolean(), false),
    timeoutMs: v.optional(timeoutMs, WAIT_MS.kb),
  },
  reply: drain.entries,
});
