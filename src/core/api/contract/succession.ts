/** Endpoints of the topic `keys`: what a running node knows of keys that follow one another. */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { WAIT_MS } from './routes.ts';
import { count, digest, ms, nodeId, time, timeoutMs } from './values.ts';

const hex = v.pipe(v.string(), v.hexadecimal());

/** Roles that a succession certifies; the VRF key goes with the consensus key (rule S5). */
const certifiedRole = v.picklist(['identity', 'network', 'consensus', 'onion']);
const reason = v.picklist(['routine', 'compromised']);

const keyStatus = v.object({
  role: v.picklist(['identity', 'network', 'consensus', 'vrf', 'onion', 'session']),
  publicKey: hex,
  /** Whether this node can use it: its file is here, or a signer answers for it (rule K3). */
  held: v.boolean(),
  /** `null`: it has no expiry of its own. */
  expiresAt: v.nullable(time),
  /** How near that is. A key past its expiry works on (rule S7). */
  expiry: v.picklist(['fine', '30-days', '7-days', '1-day', 'expired']),
});
export type KeyStatus = v.InferOutput<typeof keyStatus>;

const pending = v.object({
  number: count,
  digest,
  replaced: v.array(certifiedRole),
  reason,
  /** `adopted`: in use here and handed in; `waiting`: `keys.adopt` has not been called yet. */
  state: v.picklist(['waiting', 'adopted']),
  /** When it was adopted. */
  since: v.nullable(time),
});

export const keysStatus = endpoint('keys.status', {
  reply: {
    nodeId,
    /** The last final height that this is of. */
    height: count,
    /** Of the entry in force; 0 is the inception. */
    number: count,
    digest,
    keyEpoch: count,
    /** Two entries of this node follow the same one (rule S8). */
    frozen: v.boolean(),
    /** Entries that the chain has and this home lacks (rule K3). */
    missingEntries: count,
    keys: v.array(keyStatus),
    /** The rotation that is prepared and not final. */
    pending: v.nullable(pending),
    /** Retired keys that still count: network keys within their grace. */
    retired: v.array(v.object({ role: certifiedRole, publicKey: hex, until: time })),
    session: v.object({
      number: count,
      startsAt: time,
      expiresAt: time,
      /** Members whose session key is known here. */
      peers: count,
    }),
    /** What an operator must do something about; plain sentences without a full stop. */
    warnings: v.array(v.string()),
  },
});
export type KeysStatus = v.InferOutput<typeof keysStatus.result>;

export const keysAdopt = endpoint('keys.adopt', {
  body: {
    /** `final`: answers when the succession is final, or when the time is up. */
    wait: v.optional(v.picklist(['local', 'final']), 'final'),
    timeoutMs: v.optional(timeoutMs, WAIT_MS.intents),
  },
  reply: {
    nodeId,
    /** False: nothing is prepared, or what was prepared is final already. */
    adopted: v.boolean(),
    number: count,
    digest,
    keyEpoch: count,
    replaced: v.array(certifiedRole),
    final: v.boolean(),
    /** At which it was decided; it holds from the next one (rule A1). */
    height: v.nullable(count),
  },
});

export const keysSession = endpoint('keys.session', {
  reply: {
    nodeId,
    number: count,
    publicKey: hex,
    startsAt: time,
    expiresAt: time,
    /** Until when the one before still opens messages. */
    previousUntil: v.nullable(time),
    /** Peers that have been told. */
    told: count,
    tookMs: ms,
  },
});

const historyEntry = v.object({
  number: count,
  digest,
  keyEpoch: count,
  replaced: v.array(certifiedRole),
  reason,
  /** By the clock of its maker. */
  createdAt: time,
  /** The signed entry, in base64. */
  bytes: v.string(),
});

export const keysHistory = endpoint('keys.history', {
  reply: {
    nodeId,
    name: v.string(),
    /** The last final height that this is of. */
    height: count,
    keyEpoch: count,
    number: count,
    digest,
    frozen: v.boolean(),
    /** The signed inception, in base64: its hash is the node id. */
    inception: v.string(),
    /** The keys of consensus before the first entry, as the bundle gave them. */
    origin: v.object({ consensusKey: hex, possession: hex, vrfKey: hex }),
    /** All of them, the first one first: anyone can verify them from the inception on. */
    entries: v.array(historyEntry),
  },
});
