/**
 * Endpoints about merges (docs/knowledge-base.md, W7 to W18): which paths show a merge with
 * conflicts, and how one is resolved.
 */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { kbPut, writing } from './kb.ts';
import { cid, count, text } from './values.ts';

const LIMIT_MAX = 10_000;
const PLACES_MAX = 256;

const content = v.nullable(cid);
const conflict = v.object({
  /** The path inside the content; empty for all of it. */
  at: v.string(),
  /** Of a JSON document: where in it (RFC 6901). */
  pointer: v.nullable(v.string()),
  /** What both sides began with; `null`: nothing. */
  base: content,
  /** What stands there. */
  ours: content,
  /** What has lost; `null`: that it is gone. */
  theirs: content,
});
export type KbConflict = v.InferOutput<typeof conflict>;

const conflicted = v.object({
  path: v.string(),
  /** The merge that is shown. */
  version: cid,
  cid,
  final: v.boolean(),
  height: v.nullable(count),
  conflicts: v.array(conflict),
  /** There are more than are listed. */
  more: v.boolean(),
});
export type KbConflicted = v.InferOutput<typeof conflicted>;

export const kbConflicts = endpoint('kb.conflicts', {
  query: {
    prefix: v.optional(text, ''),
    limit: v.optional(v.pipe(count, v.minValue(1), v.maxValue(LIMIT_MAX)), 1000),
    /** Only paths that sort after this one: `next` of the page before. */
    after: v.optional(text),
  },
  reply: {
    prefix: v.string(),
    paths: v.array(conflicted),
    /** Paths with several final heads that wait to be merged, as far as this node is to do it. */
    unmerged: count,
    next: v.nullable(v.string()),
  },
});

export const kbResolve = endpoint('kb.resolve', {
  body: {
    ...writing,
    /** `ours`: what is shown stays. `theirs`: what has lost takes its place. */
    take: v.picklist(['ours', 'theirs']),
    /** With `theirs`: at these places only, as `at` names them; everywhere unless given. */
    at: v.optional(v.pipe(v.array(text), v.minLength(1), v.maxLength(PLACES_MAX))),
  },
  reply: {
    ...kbPut.result.entries,
    /** The merge that it follows. */
    resolves: cid,
    /** The content is gone: what has lost was a deletion. */
    deleted: v.boolean(),
  },
});
