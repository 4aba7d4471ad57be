/** Endpoints of the topic `keys`: what a running node knows of keys that follow one another. */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { WAIT_MS } from './routes.ts';
import { count, digest, nodeId, time, timeoutMs } from './values.ts';

const hex = v.pipe(v.string(), v.hexadecimal());

/** Roles that a succession certifies; the VRF key goes with the consensus key (rule S5). */
const certifiedRole = v.picklist(['identity', 'network', 'consensus', 'onion']);

export const keysStatus = endpoint('keys.status', {
  reply: {
    nodeId,
    /** The last final height that this is of. */
    height: count,
    /** Of the entry in force; 0 is the inception. */
    number: count,
    digest,
    /** How often the identity key has changed. */
    keyEpoch: count,
    identityKey: hex,
    networkKey: hex,
    consensusKey: hex,
    vrfKey: hex,
    onionKey: hex,
    expiresAt: v.object({
      identity: time,
      network: time,
      consensus: time,
      onion: time,
    }),
    /** Versions that this node has signed so far: what a succession seals (rule A3). */
    versions: count,
    /** Two entries of this node follow the same one (rule S8). */
    frozen: v.boolean(),
    /** The rotation that is not final. */
    pending: v.nullable(
      v.object({
        number: count,
        digest,
        replaced: v.array(certifiedRole),
        /** `prepared`: in the home, and not taken up yet. `submitted`: handed in. */
        state: v.picklist(['prepared', 'submitted']),
      }),
    ),
    /** It is accepted by others until then (rule H2). */
    retiredNetworkKey: v.nullable(v.object({ key: hex, until: time })),
    /** Its service stays until then (rule O18). */
    retiredOnionKey: v.nullable(v.object({ key: hex, until: time })),
    session: v.nullable(
      v.object({
        number: count,
        publicKey: hex,
        expiresAt: time,
        /** Members whose session key is known here. */
        peers: count,
      }),
    ),
    /** Keys that are in force and not in this home (rule K3). */
    missing: v.array(v.picklist(['identity', 'network', 'consensus', 'vrf', 'onion'])),
    /** Made by `keys restore` or from a backup, and in doubt for it (rule K2). */
    restored: v.boolean(),
    /** A key past its expiry works on (rule S7). */
    warnings: v.array(
      v.object({ role: certifiedRole, expiresAt: time, daysLeft: v.pipe(v.number(), v.integer()) }),
    ),
  },
});

export const keysSeal = endpoint('keys.seal', {
  reply: {
    nodeId,
    /** What a succession that is prepared now seals (rule A3). */
    versions: count,
    /** Until then this node signs no new version, unless a rotation is taken up or final before. */
    until: time,
  },
});

export const keysAdopt = endpoint('keys.adopt', {
  query: { timeoutMs: v.optional(timeoutMs, WAIT_MS.intents) },
  reply: {
    nodeId,
    number: count,
    digest,
    keyEpoch: count,
    replaced: v.array(certifiedRole),
    /** At which it was decided. */
    height: count,
    /** The first height at which the new keys hold (rule A1). */
    from: count,
    /** Until when others accept the network key of before; `null` where it was not replaced. */
    retiredNetworkUntil: v.nullable(time),
  },
});

export const keysSession = endpoint('keys.session', {
  reply: { nodeId, number: count, publicKey: hex, startsAt: time, expiresAt: time },
});

export const keysHistory = endpoint('keys.history', {
  reply: {
    nodeId,
    name: v.string(),
    status: v.picklist(['member', 'left']),
    frozen: v.boolean(),
    /** The last final height that this is of. */
    height: count,
    /** The signed inception, in base64: its hash is the node id. */
    inception: v.string(),
    /** The keys of consensus before the first entry, as the bundle gave them. */
    origin: v.object({ consensusKey: hex, possession: hex, vrfKey: hex }),
    /** All of them, the first one first: anyone can verify them from the inception on. */
    entries: v.array(
      v.object({
        /** The signed entry, in base64. */
        bytes: v.string(),
        /** At which it was decided; `null` where that is not remembered. */
        height: v.nullable(count),
      }),
    ),
  },
});
