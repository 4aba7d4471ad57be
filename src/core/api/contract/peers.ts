/** Endpoints of the topic `peers`. An `:id` is a node id, its start, a peer id or a name. */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { WAIT_MS } from './routes.ts';
import { connectionClass } from './tor.ts';
import { address, bytes, count, digest, ms, nodeId, time, timeoutMs, word } from './values.ts';

const peer = {
  /** `null` for an added address at which nobody has answered yet. */
  nodeId: v.nullable(v.string()),
  name: v.nullable(v.string()),
  zone: v.nullable(v.string()),
  /** Of its latest network key; it changes when that key does. */
  peerId: v.nullable(v.string()),
  /** How often its identity key has changed; `null` for no member. */
  keyEpoch: v.nullable(count),
  /** Two entries of its succession follow the same one (rule S8). */
  frozen: v.boolean(),
  /** By the operator of this node (rule M4). */
  banned: v.boolean(),
  /** Two daemons with its keys have been there at one time: its home was copied. */
  runsTwice: v.boolean(),
  state: v.picklist(['connected', 'dialing', 'waiting', 'unknown']),
  address: v.nullable(address),
  direction: v.nullable(v.picklist(['inbound', 'outbound'])),
  /** O7: what the connection goes over; `null` without one. */
  route: v.nullable(connectionClass),
  /** Connections beside the first, on circuits of their own, that carry content only (O11). */
  lanes: count,
  rttMs: v.nullable(ms),
  agent: v.nullable(v.string()),
  connectedAt: v.nullable(time),
  bytesIn: bytes,
  bytesOut: bytes,
  /** Failed dials since the last connection. */
  attempts: count,
  lastError: v.nullable(v.string()),
  nextDialAt: v.nullable(time),
};
export const peerSchema = v.object(peer);
export type Peer = v.InferOutput<typeof peerSchema>;

export const peersList = endpoint('peers.list', {
  reply: { peers: v.array(peerSchema), total: count, connected: count },
});

export const peersShow = endpoint('peers.show', { reply: { peer: peerSchema } });

export const peersAdd = endpoint('peers.add', {
  body: {
    address: v.pipe(word, v.startsWith('/', 'must be a multiaddr, e.g. /ip4/10.0.0.7/tcp/4001')),
  },
  reply: { address, added: v.boolean() },
});

export const peersRemove = endpoint('peers.remove', {
  reply: { nodeId: v.nullable(v.string()), removed: v.array(address), disconnected: v.boolean() },
});

const PING_COUNT_MAX = 100;
export const peersPing = endpoint('peers.ping', {
  body: {
    count: v.optional(v.pipe(count, v.minValue(1), v.maxValue(PING_COUNT_MAX)), 3),
    timeoutMs: v.optional(timeoutMs, WAIT_MS.ping),
  },
  reply: {
    nodeId: v.string(),
    sent: count,
    received: count,
    rttsMs: v.array(ms),
    rttMsMin: v.nullable(ms),
    rttMsAvg: v.nullable(ms),
    rttMsMax: v.nullable(ms),
  },
});

export const peersFind = endpoint('peers.find', {
  query: { timeoutMs: v.optional(timeoutMs, WAIT_MS.find) },
  reply: { nodeId: v.nullable(v.string()), peerId: v.string(), addresses: v.array(address) },
});

/** Y8. */
export const peersAudit = endpoint('peers.audit', {
  body: { timeoutMs: v.optional(timeoutMs, WAIT_MS.audit) },
  reply: {
    nodeId,
    name: v.nullable(v.string()),
    /** What it found in its own chain. */
    verdict: v.picklist(['sound', 'damaged']),
    fault: v.nullable(v.object({ height: count, what: v.string() })),
    /** It has verified the blocks from this height on, and the state at its tip. */
    base: count,
    /** Its tip. */
    height: count,
    digest,
    stateRoot: digest,
    /** Whether that is the history that is final here; `null`: that block is not here. */
    agrees: v.nullable(v.boolean()),
    /** Its answer as it has signed it, in base64. */
    report: v.string(),
    tookMs: ms,
  },
});

const ISOLATED_MAX = 256;
export const peersIsolate = endpoint('peers.isolate', {
  body: { nodeIds: v.pipe(v.array(nodeId), v.maxLength(ISOLATED_MAX)) },
  reply: {
    nodeIds: v.array(nodeId),
    /** Connections that were closed for it. */
    disconnected: count,
  },
});

const ban = {
  nodeId,
  name: v.nullable(v.string()),
  banned: v.boolean(),
  /** False: it was so before. */
  changed: v.boolean(),
  disconnected: v.boolean(),
};

export const peersBan = endpoint('peers.ban', { reply: ban });

export const peersUnban = endpoint('peers.unban', { reply: ban });

export const peersWhy = endpoint('peers.why', {
  reply: {
    peer: peerSchema,
    /** One sentence a line, the most important first. */
    reasons: v.array(v.string()),
  },
});
