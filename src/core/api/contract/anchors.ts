/**
 * Endpoints of the topic `intent` about anchors (docs/history.md, R4), and about intents that were
 * signed elsewhere. Hashes are in hexadecimal.
 */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { fateSchema } from './intents.ts';
import { WAIT_MS } from './routes.ts';
import { count, digest, nodeId, timeoutMs, word } from './values.ts';

const waiting = {
  wait: v.optional(v.picklist(['accepted', 'final']), 'final'),
  timeoutMs: v.optional(timeoutMs, WAIT_MS.intents),
};
const anchor = {
  label: v.string(),
  digest,
  /** The one that it follows; `null`: the first of its label. */
  previous: v.nullable(digest),
};

export const intentsAnchor = endpoint('intents.anchor', {
  body: {
    label: word,
    digest,
    /** Absent: the last one of the label, also one that waits. `null`: there must be none. */
    previous: v.optional(v.nullable(digest)),
    ...waiting,
  },
  reply: { ...anchor, intent: fateSchema },
});

export const intentsAnchors = endpoint('intents.anchors', {
  query: {
    /** Whose; a node id, the start of one or a name. Absent: this node's. */
    node: v.optional(word),
  },
  reply: {
    nodeId,
    name: v.nullable(v.string()),
    /** The last final height that this is of. */
    height: count,
    anchors: v.array(v.object({ ...anchor, height: count })),
  },
});

/** Signed intents in one request. */
const HAND_IN_MAX = 64;
const SIGNED_LENGTH_MAX = 128 * 1024;

export const intentsRelay = endpoint('intents.relay', {
  body: {
    /** Signed bytes in base64, of one author in the order of their sequences. */
    signed: v.pipe(
      v.array(v.pipe(v.string(), v.nonEmpty(), v.maxLength(SIGNED_LENGTH_MAX), v.base64())),
      v.minLength(1),
      v.maxLength(HAND_IN_MAX),
    ),
    ...waiting,
  },
  reply: { intents: v.array(fateSchema), wait: v.picklist(['accepted', 'final']) },
});
