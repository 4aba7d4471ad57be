/** The endpoint of search (docs/knowledge-base.md, W33 to W35). */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { bytes, cid, count, fileKind, nodeId, text, time, timeoutMs } from './values.ts';

const HITS_MAX = 500;
const TIMEOUT_MS = 5000;

/** What became of a node: whether it was asked, and if not, why. */
const PEER_STATES = [
  /** It has answered. */
  'answered',
  /** It has answered, and has not indexed all that it holds yet. */
  'indexing',
  /** It was asked, and has not answered in time. */
  'silent',
  /** Its filter says that it has nothing of this. */
  'excluded',
  /** Its filter is not here. */
  'no-filter',
  /** Its filter is too full to say anything. */
  'distrusted',
  /** It is not connected. */
  'away',
] as const;

const hit = v.object({
  path: v.string(),
  /** Root of the content. */
  cid,
  version: cid,
  kind: fileKind,
  sizeBytes: bytes,
  author: v.string(),
  authorName: v.nullable(v.string()),
  time,
  message: v.nullable(v.string()),
  /** Whether this node holds the whole content. */
  local: v.boolean(),
  /** More is better; BM25 of the node that gave it most. */
  score: v.number(),
  /** In whose index it was found. */
  nodes: v.array(v.string()),
});

export const kbFind = endpoint('kb.find', {
  query: {
    /** Words, "phrases" and beginnings of words (`conf*`); all of them have to be there. */
    query: v.pipe(text, v.nonEmpty()),
    /** Only the index of this node. */
    local: v.optional(v.boolean(), false),
    limit: v.optional(v.pipe(count, v.minValue(1), v.maxValue(HITS_MAX)), 50),
    /** So long each node may take to answer. */
    timeoutMs: v.optional(timeoutMs, TIMEOUT_MS),
  },
  reply: {
    query: v.string(),
    /** The best first. */
    hits: v.array(hit),
    /** There are more than were asked for. */
    more: v.boolean(),
    /** Nothing is missing for want of a node, or of time; `peers` and `settled` say what may be. */
    complete: v.boolean(),
    /** All that is final and here is in the index of this node. */
    settled: v.boolean(),
    peers: v.array(
      v.object({
        nodeId,
        name: v.nullable(v.string()),
        state: v.picklist(PEER_STATES),
        /** `null`: it has not answered. */
        hits: v.nullable(count),
        /** The code of the error, where it was asked in vain. */
        reason: v.nullable(v.string()),
      }),
    ),
  },
});
export type KbFound = v.InferOutput<typeof kbFind.result>;
