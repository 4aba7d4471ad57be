/**
 * Endpoints of the topic `kb` about who may write where (docs/history.md, N). A node is named by
 * its node id, the start of one or its name.
 */
import * as v from 'valibot';
import { whoSchema } from './consensus.ts';
import { endpoint } from './endpoint.ts';
import { WAIT_MS } from './routes.ts';
import { count, digest, timeoutMs, word } from './values.ts';

const waiting = {
  wait: v.optional(v.picklist(['accepted', 'final']), 'final'),
  timeoutMs: v.optional(timeoutMs, WAIT_MS.intents),
};
const decided = {
  /** Id of the intent. */
  id: digest,
  final: v.boolean(),
  /** At which it was decided. */
  height: v.nullable(count),
  /** False: it was so before. */
  changed: v.nullable(v.boolean()),
};

export const kbGrant = endpoint('kb.grant', {
  body: { path: word, node: word, right: v.picklist(['owner', 'writer']), ...waiting },
  reply: {
    path: v.string(),
    node: whoSchema,
    right: v.picklist(['owner', 'writer']),
    ...decided,
  },
});

export const kbRevoke = endpoint('kb.revoke', {
  body: { path: word, node: word, ...waiting },
  reply: { path: v.string(), node: whoSchema, ...decided },
});

export const kbErase = endpoint('kb.erase', {
  body: { path: word, ...waiting },
  reply: { path: v.string(), ...decided },
});

export const kbRights = endpoint('kb.rights', {
  query: { path: word },
  reply: {
    path: v.string(),
    /** The last final height that this is of. */
    height: count,
    /** The deepest one around the path (N1). */
    namespace: v.nullable(
      v.object({ path: v.string(), owners: v.array(whoSchema), writers: v.array(whoSchema) }),
    ),
    /** Whether every member may write where there is no namespace. */
    openWrites: v.boolean(),
    /** Whether this node may write there. */
    mayWrite: v.boolean(),
    /** Whether this node may grant and revoke there (N2). */
    mayGrant: v.boolean(),
  },
});
