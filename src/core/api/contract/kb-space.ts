/**
 * Endpoints of the topic `kb` about room (docs/knowledge-base.md, W28 to W32): what content takes
 * on this node, collections, and pins.
 */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { WAIT_MS } from './routes.ts';
import { bytes, cid, count, ms, time, timeoutMs, word } from './values.ts';

export const kbGc = endpoint('kb.gc', {
  body: {
    /** Only says what would go. */
    dryRun: v.optional(v.boolean(), false),
    /** Goes on although a kept root lacks objects that nobody can give. */
    force: v.optional(v.boolean(), false),
  },
  reply: {
    dryRun: v.boolean(),
    /** Versions whose content is kept no more. */
    versions: count,
    /** Roots that went, or would go. */
    roots: count,
    objects: count,
    /** Of these objects. */
    sizeBytes: bytes,
    /** What the file of the content takes on the disk, with its log. */
    bytesBefore: bytes,
    bytesAfter: bytes,
    tookMs: ms,
  },
});

export const kbSpace = endpoint('kb.space', {
  reply: {
    paths: count,
    versions: count,
    /** Roots that are here, whole or in part. */
    roots: count,
    objects: count,
    /** Of all objects. */
    sizeBytes: bytes,
    pins: count,
    /** What the file of the content takes on the disk, with its log; `free`: pages without use. */
    fileBytes: bytes,
    usedBytes: bytes,
    freeBytes: bytes,
    quotaBytes: bytes,
    reserveBytes: bytes,
    diskBytes: bytes,
    diskFreeBytes: bytes,
    isOverQuota: v.boolean(),
    isBelowReserve: v.boolean(),
    /** `null`: not set. With both `null` all versions keep their content. */
    keepLast: v.nullable(count),
    keepForMs: v.nullable(ms),
    isCollecting: v.boolean(),
    /** Since the node was started; `null`: none. */
    lastCollection: v.nullable(
      v.object({ time, tookMs: ms, roots: count, objects: count, sizeBytes: bytes }),
    ),
  },
});

const NAME_LENGTH_MAX = 128;
const pin = {
  cid,
  name: v.nullable(v.string()),
  /** Where the root stood when it was pinned. */
  path: v.nullable(v.string()),
  public: v.boolean(),
  /** 0: not known. */
  sizeBytes: bytes,
  time,
};
const pinSchema = v.object(pin);
export type KbPin = v.InferOutput<typeof pinSchema>;

export const kbPin = endpoint('kb.pin', {
  body: {
    /** A path, `PATH@VERSION`, or the CID of a root. */
    target: word,
    name: v.optional(v.pipe(word, v.maxLength(NAME_LENGTH_MAX))),
    /** W38: the gateway may give it to anybody. As before when it is left out. */
    public: v.optional(v.boolean()),
    timeoutMs: v.optional(timeoutMs, WAIT_MS.kb),
  },
  /** `created`: it was not pinned before. */
  reply: { ...pin, created: v.boolean() },
});

export const kbUnpin = endpoint('kb.unpin', {
  /** A path, a CID, or the path or name that a pin has. */
  body: { target: word },
  reply: pin,
});

const LIST_LIMIT_MAX = 10_000;
export const kbPins = endpoint('kb.pins', {
  query: {
    limit: v.optional(v.pipe(count, v.minValue(1), v.maxValue(LIST_LIMIT_MAX)), 1000),
    /** A CID: those after it. */
    after: v.optional(word),
  },
  reply: {
    pins: v.array(pinSchema),
    /** Where the next page begins; `null` at the end. */
    next: v.nullable(cid),
  },
});
