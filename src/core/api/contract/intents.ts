/**
 * Endpoints of the topic `intent`: requests to change replicated state, signed by this node. An
 * `:id` is the id of an intent, or at least its first 8 digits for one that this node knows.
 */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { WAIT_MS } from './routes.ts';
import { cid, count, digest, nodeId, time, timeoutMs, word } from './values.ts';

const PARENTS_MAX = 32;
const GENERATION_MAX = 2 ** 32;

const generation = v.pipe(count, v.minValue(1), v.maxValue(GENERATION_MAX));
const change = {
  path: v.string(),
  version: cid,
  /** Heads that the version takes the place of. */
  parents: v.array(cid),
  generation: count,
  deleted: v.boolean(),
  /** Compare-and-swap: the one head that must be there, or `null`. Absent: whatever is there. */
  expected: v.optional(v.nullable(cid)),
  /** The version is a merge, which is nobody's. Absent: it is one that a node has signed. */
  merge: v.optional(v.literal(true)),
};
const moveSchema = v.object(change);
/** `op` tells the kind; a move has none. */
export const changeSchema = v.union([
  v.object({
    op: v.literal('grant'),
    path: v.string(),
    nodeId,
    right: v.picklist(['owner', 'writer']),
  }),
  v.object({ op: v.literal('revoke'), path: v.string(), nodeId }),
  v.object({
    op: v.literal('anchor'),
    label: v.string(),
    digest,
    /** What was anchored under the label before. */
    previous: v.optional(digest),
  }),
  v.object({ op: v.literal('erase'), path: v.string() }),
  moveSchema,
]);
export type IntentChange = v.InferOutput<typeof changeSchema>;
export type IntentMove = v.InferOutput<typeof moveSchema>;

const wanted = v.strictObject({
  path: word,
  version: word,
  parents: v.optional(v.pipe(v.array(word), v.maxLength(PARENTS_MAX)), []),
  generation: v.optional(generation, 1),
  deleted: v.optional(v.boolean(), false),
  expected: v.optional(v.nullable(word)),
});

const fate = {
  id: digest,
  /** Of its author: intents of one author are decided in this order. */
  sequence: count,
  /** `pending`: durable here and not decided; `final`: decided at `height`. */
  status: v.picklist(['pending', 'final']),
  height: v.nullable(count),
  result: v.nullable(v.picklist(['done', 'unchanged', 'refused'])),
  /** Why it was refused: `conflict`, `bad-generation`, `too-many-heads`, `not-heads`. */
  reason: v.nullable(v.string()),
};
export const fateSchema = v.object(fate);
export type IntentFate = v.InferOutput<typeof fateSchema>;

/** Intents in one request. */
export const SUBMIT_MAX = 512;
/** Changes in one intent: they happen together or not at all. */
export const CHANGES_MAX = 256;

export const intentsSubmit = endpoint('intents.submit', {
  body: {
    intents: v.pipe(
      v.array(
        v.strictObject({
          changes: v.pipe(v.array(wanted), v.minLength(1), v.maxLength(CHANGES_MAX)),
        }),
      ),
      v.minLength(1),
      v.maxLength(SUBMIT_MAX),
    ),
    /** `accepted`: answer once they are durable here; `final`: once they are decided. */
    wait: v.optional(v.picklist(['accepted', 'final']), 'final'),
    /** After it the answer tells how far they are; they stay queued. */
    timeoutMs: v.optional(timeoutMs, WAIT_MS.intents),
  },
  reply: {
    /** In the order of the request. */
    intents: v.array(fateSchema),
    wait: v.picklist(['accepted', 'final']),
  },
});

const entry = {
  ...fate,
  author: nodeId,
  authorName: v.nullable(v.string()),
  /** When its author made it. */
  time,
  changes: v.array(changeSchema),
};
const entrySchema = v.object(entry);
export type IntentEntry = v.InferOutput<typeof entrySchema>;

export const intentsShow = endpoint('intents.show', {
  reply: {
    ...entry,
    /** That the intent is in the block: RFC 6962, hashes in hexadecimal from the leaf up. */
    proof: v.nullable(
      v.object({
        index: count,
        intents: count,
        siblings: v.array(digest),
        intentsRoot: digest,
      }),
    ),
  },
});

const LIST_LIMIT_MAX = 1000;
export const intentsList = endpoint('intents.list', {
  query: {
    status: v.optional(v.picklist(['pending', 'final'])),
    limit: v.optional(v.pipe(count, v.minValue(1), v.maxValue(LIST_LIMIT_MAX)), 100),
  },
  reply: {
    /** Of this node: the pending ones and the last final ones, the newest first. */
    intents: v.array(entrySchema),
    /** In all. */
    pending: count,
  },
});

export const intentsCancel = endpoint('intents.cancel', {
  query: { timeoutMs: v.optional(timeoutMs, WAIT_MS.intents) },
  reply: {
    id: digest,
    sequence: count,
    /** `too-late`: the intent itself is final; `pending`: neither is yet. */
    outcome: v.picklist(['cancelled', 'too-late', 'pending']),
    /** At which it was decided. */
    height: v.nullable(count),
  },
});
