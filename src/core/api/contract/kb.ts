/**
 * Endpoints of the topic `kb`. Content itself is not JSON: `kb.put` takes the bytes of a file
 * (application/octet-stream) or a tar (application/x-tar) as its body, `kb.get` returns them.
 */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { WAIT_MS } from './routes.ts';
import {
  bytes,
  cid,
  count,
  digest,
  fileKind,
  hashName,
  nodeId,
  text,
  time,
  timeoutMs,
  word,
} from './values.ts';

/** A path of the knowledge base; `model/path.ts` holds the exact rules. */
const path = word;
const replicas = v.object({ wanted: count, confirmed: count });
/** Of a version. */
const agreed = {
  /** Whether the custodians have agreed on it. */
  final: v.boolean(),
  /** At which they did; `null` when they have not, or when this node does not know any more. */
  height: v.nullable(count),
};
/** `null`: the version does not concern this node, so its holders report to others. */
const reported = v.object({ wanted: count, confirmed: v.nullable(count) });

const entry = {
  path: v.string(),
  /** Root of the content. */
  cid,
  /** CID of the signed version. */
  version: cid,
  kind: fileKind,
  sizeBytes: bytes,
  ...agreed,
  generation: count,
  /** `null`: it is a merge, which is nobody's. */
  author: v.nullable(nodeId),
  authorName: v.nullable(v.string()),
  time,
  /** Of a merge; 0 where there are none. */
  conflicts: count,
  /** More than one: the path has versions that do not know of each other. */
  heads: count,
  replicas: reported,
  /** Whether this node holds the whole content. */
  local: v.boolean(),
};
export const kbEntrySchema = v.object(entry);
export type KbEntry = v.InferOutput<typeof kbEntrySchema>;

const REPLICAS_MAX = 64;
const PUT_WAITS = ['local', 'replicated', 'final'] as const;
const MESSAGE_LENGTH_MAX = 1024;
/** What a write says beside what it writes. */
export const writing = {
  path,
  message: v.optional(v.pipe(v.string(), v.maxLength(MESSAGE_LENGTH_MAX))),
  wait: v.optional(v.picklist(PUT_WAITS), 'final'),
  replicas: v.optional(v.pipe(count, v.minValue(1), v.maxValue(REPLICAS_MAX))),
  timeoutMs: v.optional(timeoutMs, WAIT_MS.kb),
  /** The version that must be the shown one, or `none`; else refused with EXISTS. */
  ifVersion: v.optional(word),
};
/** How a content is stored. */
export const storing = {
  hash: v.optional(hashName, 'blake3'),
  /** Not encrypted (W42), whatever `kb.seal` says. */
  plain: v.optional(v.boolean()),
  /**
   * Members, namespaces (with a `/` at the end) and recipients of age, with commas between, to
   * whom it is encrypted (W44); without it: to the readers of the cluster.
   */
  encryptTo: v.optional(word),
};
export const kbPut = endpoint('kb.put', {
  query: {
    ...writing,
    ...storing,
  },
  reply: {
    path: v.string(),
    cid,
    version: cid,
    kind: fileKind,
    generation: count,
    sizeBytes: bytes,
    replicas: v.object({ wanted: count, confirmed: count, nodes: v.array(nodeId) }),
    /** `false`: the path already showed exactly this content, and no version was written. */
    created: v.boolean(),
    wait: v.picklist(PUT_WAITS),
    /** At which the version became final; `null`: not yet. */
    height: v.nullable(count),
    /** The intent by which it does; `null` when none was needed. */
    intent: v.nullable(digest),
  },
});

export const kbGet = endpoint('kb.get', {
  query: {
    /** `PATH`, or `PATH@VERSION` with the CID of a version or at least 8 characters of its end. */
    path,
    timeoutMs: v.optional(timeoutMs, WAIT_MS.kb),
    /** First asks a quorum, so that no write that had been final before is missed. */
    linearizable: v.optional(v.boolean(), false),
    /** Also what is not final yet. Not together with `linearizable`. */
    provisional: v.optional(v.boolean(), false),
    /** Refuses what is a merge with conflicts there (CONFLICT). */
    strict: v.optional(v.boolean(), false),
  },
});

const LIST_LIMIT_MAX = 10_000;
const item = v.object({ path: v.string(), cid, kind: fileKind, sizeBytes: bytes });
export type KbItem = v.InferOutput<typeof item>;
export const kbLs = endpoint('kb.ls', {
  query: {
    prefix: v.optional(text, ''),
    recursive: v.optional(v.boolean(), false),
    limit: v.optional(v.pipe(count, v.minValue(1), v.maxValue(LIST_LIMIT_MAX)), 1000),
    /** Only what sorts after this path or prefix: `next` of the page before. */
    after: v.optional(text),
  },
  reply: {
    prefix: v.string(),
    entries: v.array(kbEntrySchema),
    /** First parts of longer paths, each ending in `/`; empty when `recursive`. */
    prefixes: v.array(v.string()),
    /** What is inside, when `prefix` itself names a stored directory. On the first page only. */
    items: v.array(item),
    /** Entries; `null` where this is not all. */
    total: v.nullable(count),
    next: v.nullable(v.string()),
  },
});

const logEntry = v.object({
  version: cid,
  cid,
  kind: v.nullable(fileKind),
  ...agreed,
  sizeBytes: bytes,
  generation: count,
  /** `null`: it is a merge, which is nobody's. */
  author: v.nullable(nodeId),
  authorName: v.nullable(v.string()),
  /** 0 of a merge. */
  sequence: count,
  conflicts: count,
  /** W18: it is not what its parents come to. By whom it was handed in, if that is known. */
  mismatch: v.nullable(v.object({ by: v.nullable(nodeId) })),
  time,
  message: v.nullable(v.string()),
  deleted: v.boolean(),
  parents: v.array(cid),
  head: v.boolean(),
  shown: v.boolean(),
});
export type KbLogEntry = v.InferOutput<typeof logEntry>;
export const kbLog = endpoint('kb.log', {
  query: {
    path,
    limit: v.optional(v.pipe(count, v.minValue(1), v.maxValue(LIST_LIMIT_MAX)), 1000),
    /** Only what comes after this version: `next` of the page before. */
    before: v.optional(cid),
  },
  reply: {
    path: v.string(),
    versions: v.array(logEntry),
    heads: count,
    /** `null` where this is not all. */
    total: v.nullable(count),
    next: v.nullable(cid),
  },
});

export const kbStat = endpoint('kb.stat', {
  query: { path },
  reply: {
    ...entry,
    message: v.nullable(v.string()),
    parents: v.array(cid),
    sequence: count,
    /** Whether the content is encrypted (W42). */
    sealed: v.boolean(),
    /** To whom; `null` when it is not, or when its root is not here. */
    readers: v.nullable(v.array(v.object({ recipient: v.string(), name: v.string() }))),
    /** `null` while the content is not held here. */
    objects: v.nullable(count),
    hash: hashName,
  },
});

export const kbProof = endpoint('kb.proof', {
  query: {
    /** A path; of a directory with or without a `/` after it, and empty for the root. */
    path: v.optional(text, ''),
    /** CID of a version; without one it is the head. Not of directories. */
    version: v.optional(cid),
    /** All that lies in a directory. */
    directory: v.optional(v.boolean(), false),
    /** Also all that lies further below. */
    recursive: v.optional(v.boolean(), false),
    /** `HEIGHT:HASH` of the block at which the verifier begins to trust. */
    checkpoint: v.optional(word),
  },
  reply: {
    /** Of a version: its own, also when what was asked for is inside its content. */
    path: v.string(),
    /** That it is about; `null`: of none, or of none in particular. */
    version: v.nullable(cid),
    /** Of the block after which it holds. */
    height: count,
    digest,
    /** Base64 of the file that docs/proofs.md describes. */
    proof: v.string(),
  },
});

const holder = v.object({
  nodeId,
  name: v.nullable(v.string()),
  zone: v.nullable(v.string()),
  /** Placement chose this node. */
  placed: v.boolean(),
  /** This node has said that its copy is durable. */
  confirmed: v.boolean(),
  reachable: v.boolean(),
  self: v.boolean(),
});
export type KbHolder = v.InferOutput<typeof holder>;
export const kbWhere = endpoint('kb.where', {
  query: { path: v.optional(path), cid: v.optional(word) },
  reply: { path: v.nullable(v.string()), cid, replicas, holders: v.array(holder) },
});
