/**
 * Endpoints of the topic `kb` about versions (docs/knowledge-base.md, W2 to W6): earlier contents,
 * deletions, differences, many paths at once, and what becomes final.
 */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { kbPut, storing, writing } from './kb.ts';
import { bytes, cid, count, digest, fileKind, nodeId, text, time, word } from './values.ts';

/** As `kb.put` says it. */
const written = kbPut.result.entries;

export const kbRevert = endpoint('kb.revert', {
  /** `path`: `PATH`, for the version before the shown one, or `PATH@VERSION`. */
  body: writing,
  /** `from`: the version whose content it is. */
  reply: { ...written, from: cid },
});

/** `created`: `false` where the path was deleted before. `cid`: what is taken away. */
export const kbRm = endpoint('kb.rm', {
  /** `shred` (W46): every node destroys the keys of what was there. */
  body: { ...writing, shred: v.optional(v.boolean()) },
  reply: written,
});

export const kbEach = endpoint('kb.each', {
  query: {
    /** What the names of the tar are put below; empty: they are paths as they are. */
    prefix: v.optional(text, ''),
    message: writing.message,
    /** Not for copies: thousands of roots have as many holders. */
    wait: v.optional(v.picklist(['local', 'final']), 'final'),
    timeoutMs: writing.timeoutMs,
    /** Each under a key of its own. */
    ...storing,
  },
  reply: {
    prefix: v.string(),
    /** Files of the tar. */
    paths: count,
    /** Versions written. */
    created: count,
    /** Paths that showed exactly this content. */
    unchanged: count,
    sizeBytes: bytes,
    wait: v.picklist(['local', 'final']),
    /** At which the last of them became final; `null`: not yet, or nothing was written. */
    height: v.nullable(count),
    intents: v.array(digest),
  },
});

const side = v.object({
  /** `null` for a CID. */
  path: v.nullable(v.string()),
  version: v.nullable(cid),
  cid,
});
const content = v.nullable(v.object({ cid, kind: fileKind, sizeBytes: bytes }));
const hunk = v.object({
  /** First line of it on either side, from 1; the one before it where it has none. */
  aLine: count,
  aLines: count,
  bLine: count,
  bLines: count,
  /** Each with a space, `-` or `+` before it, and without its end. */
  lines: v.array(v.string()),
});
const difference = v.variant('type', [
  v.object({
    type: v.literal('text'),
    hunks: v.array(hunk),
    /** Whether the last line of each side has no end. */
    isOpenA: v.boolean(),
    isOpenB: v.boolean(),
  }),
  v.object({
    type: v.literal('json'),
    /** Values as they are written; `null` where there is none. */
    members: v.array(
      v.object({ pointer: v.string(), a: v.nullable(v.string()), b: v.nullable(v.string()) }),
    ),
  }),
  v.object({
    type: v.literal('bytes'),
    /** Of the first byte that differs, from 0. */
    offset: bytes,
  }),
]);
export type KbDifference = v.InferOutput<typeof difference>;
const fileDiff = v.object({
  /** Path inside the root; empty for the root itself. */
  at: v.string(),
  status: v.picklist(['added', 'removed', 'changed']),
  a: content,
  b: content,
  /** `null` where nothing is to be compared: added, removed, or of another kind. */
  difference: v.nullable(difference),
});
export type KbFileDiff = v.InferOutput<typeof fileDiff>;

const CONTEXT_MAX = 1000;
export const kbDiff = endpoint('kb.diff', {
  query: {
    /** `PATH`, `PATH@VERSION`, or the CID of a root. */
    a: word,
    b: word,
    /** How files are compared; `auto` looks at them. */
    as: v.optional(v.picklist(['auto', 'text', 'json', 'bytes']), 'auto'),
    /** Lines around a change. */
    context: v.optional(v.pipe(count, v.maxValue(CONTEXT_MAX)), 3),
    provisional: v.optional(v.boolean(), false),
    timeoutMs: writing.timeoutMs,
  },
  reply: {
    a: side,
    b: side,
    same: v.boolean(),
    files: v.array(fileDiff),
    /** There are more than are listed. */
    more: v.boolean(),
  },
});

export const kbWatch = endpoint('kb.watch', {
  query: { prefix: v.optional(text, '') },
});

/** What `kb.watch` tells. */
export const kbWatchRecord = v.variant('type', [
  v.object({
    type: v.literal('ready'),
    schema: v.literal('aegis.kb.watch/1'),
    prefix: v.string(),
    /** What was final before is not told. */
    height: count,
  }),
  v.object({
    type: v.literal('change'),
    path: v.string(),
    height: count,
    /** That has become a head. */
    version: cid,
    author: nodeId,
    deleted: v.boolean(),
    /** A merge of several heads (W10). */
    merge: v.boolean(),
    time,
  }),
  /** The reader was too slow: what it may have missed is below `prefix`, in these blocks. */
  v.object({
    type: v.literal('gap'),
    prefix: v.string(),
    fromHeight: count,
    toHeight: count,
  }),
  v.object({ type: v.literal('heartbeat'), time }),
  v.object({ type: v.literal('end'), reason: v.picklist(['slow-reader', 'stopping']) }),
]);
export type KbWatchRecord = v.InferOutput<typeof kbWatchRecord>;
