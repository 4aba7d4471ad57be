/**
 * Endpoints of the topic `tor`. No key, no password and no name that a SOCKS port is told is in
 * any of these replies: what they name are circuits, addresses and members.
 */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { WAIT_MS } from './routes.ts';
import { count, ms, time, timeoutMs, word } from './values.ts';

/** O1. */
export const routeMode = v.picklist(['off', 'prefer', 'require']);
export type RouteMode = v.InferOutput<typeof routeMode>;

/** O7: what a connection goes over. */
export const connectionClass = v.picklist(['onion', 'exit', 'direct']);
export type ConnectionClass = v.InferOutput<typeof connectionClass>;

/** `off`: no Tor is used. `down`: no control connection, and it is tried again for ever. */
const torState = v.picklist(['off', 'starting', 'bootstrapping', 'ready', 'down']);
export type TorState = v.InferOutput<typeof torState>;

const onionAddress = v.pipe(v.string(), v.endsWith('.onion'), v.description('56 letters, .onion'));

/** What `node status` and `node info` say of the route. */
export const torSummarySchema = v.object({
  route: routeMode,
  state: torState,
  /** Of the current service; `null` where there is none. */
  onion: v.nullable(onionAddress),
});
export type TorSummary = v.InferOutput<typeof torSummarySchema>;

/** A member, or somebody who is invited and no member yet. */
const who = v.object({ nodeId: v.nullable(v.string()), name: v.nullable(v.string()) });

const daemon = v.object({
  /** O8. */
  kind: v.picklist(['system', 'spawn']),
  /** `null` until it has answered. */
  version: v.nullable(v.string()),
  /** Of a Tor of our own; `null` for that of the system. */
  pid: v.nullable(count),
  /** `127.0.0.1:9051`, `[::1]:9051` or `unix:/path`. */
  control: v.nullable(word),
  socks: v.nullable(word),
});

const bootstrap = v.object({
  percent: v.pipe(count, v.maxValue(100)),
  /** Tor's own word for the phase, e.g. `conn_done`, and its sentence. */
  tag: v.string(),
  summary: v.string(),
  /** What Tor warns of, e.g. `No route to host`, and its word for the cause. */
  warning: v.nullable(v.string()),
  reason: v.nullable(v.string()),
  startedAt: time,
  /** An estimate; `null` when it is done, or when there is none. */
  leftMs: v.nullable(ms),
});

const guard = v.object({
  name: v.nullable(v.string()),
  fingerprint: v.string(),
  /** Tor's word: `up`, `down`, `never-connected`, `unusable`, `unlisted`. */
  state: v.string(),
});

const onionService = v.object({
  address: onionAddress,
  port: count,
  state: v.picklist(['down', 'publishing', 'published', 'failed']),
  /** O18: false for one of before, which ends at `until`. */
  isCurrent: v.boolean(),
  until: v.nullable(time),
  publishedAt: v.nullable(time),
  /** Directories that have taken the descriptor since it was made. */
  uploads: count,
  /** Client keys in the descriptor; `null`: it is open (`tor.clientAuth` = `off`). */
  clientKeys: v.nullable(count),
  /** Why it is not published, a sentence without a full stop. */
  why: v.nullable(v.string()),
});
export type OnionServiceView = v.InferOutput<typeof onionService>;

const status = {
  route: routeMode,
  state: torState,
  /** What keeps it from `ready`, a sentence without a full stop, and what to do. */
  why: v.nullable(v.string()),
  hint: v.nullable(v.string()),
  /** O5: whether addresses that are no onions are dialled through exits. */
  usesExits: v.boolean(),
  /** `null` while the route is `off`. */
  daemon: v.nullable(daemon),
  bootstrap: v.nullable(bootstrap),
  /** Tor's own verdict; `null` while it is not asked. */
  hasCircuits: v.nullable(v.boolean()),
  /** Circuits that are built. */
  circuits: count,
  /** Of all of this Tor since it started, others who use it included. */
  traffic: v.nullable(v.object({ bytesRead: count, bytesWritten: count })),
  guards: v.array(guard),
  /** The current one first; none while the route is `off`. */
  services: v.array(onionService),
  /** Open connections of this node to peers, by class (O7). */
  connections: v.object({ onion: count, exit: count, direct: count }),
};
/** The state that the event `tor` tells; `tor.status` replies with the same. */
export const torStatusSchema = v.object(status);
export type TorStatus = v.InferOutput<typeof torStatusSchema>;

export const torStatus = endpoint('tor.status', { reply: status });

/** O6. Answers when everything of the route of before has ended. */
export const torRoute = endpoint('tor.route', {
  body: { mode: routeMode },
  reply: {
    route: routeMode,
    before: routeMode,
    /** False: it was so before, and nothing has been touched. */
    changed: v.boolean(),
    /** `null` only in what the command prints when no node runs: the setting alone was written. */
    state: v.nullable(torState),
    /** The file into which it was written first. */
    settings: word,
    /** Connections of before that have been ended. */
    disconnected: count,
    /** Why the new route has not begun; nothing goes by another one meanwhile. */
    why: v.nullable(v.string()),
  },
});

const verdict = v.picklist(['yes', 'no', 'unknown']);

const check = v.object({
  /** Stable, e.g. `transports`, `sockets`, `listeners`, `socks-flags`, `control`, `own-onion`. */
  id: word,
  verdict,
  /** What was looked at and what was seen, a sentence without a full stop. */
  message: v.string(),
  hint: v.nullable(v.string()),
});
export type TorCheck = v.InferOutput<typeof check>;

/**
 * O21. Without a target the process looks at itself. With one it is dialled (an onion address or
 * `host:port`) or fetched (`http:` and `https:`) through Tor, and its failure is the reply.
 */
export const torCheck = endpoint('tor.check', {
  body: {
    target: v.optional(word),
    timeoutMs: v.optional(timeoutMs, WAIT_MS.torCheck),
  },
  reply: {
    checks: v.array(check),
    /** `null` without a target. */
    target: v.nullable(
      v.object({
        target: word,
        class: connectionClass,
        tookMs: ms,
        /** Of HTTP; `null` for what was only dialled. */
        status: v.nullable(count),
      }),
    ),
  },
});

const circuit = v.object({
  /** Tor's number. */
  id: word,
  /** Tor's word, e.g. `BUILT`. */
  state: word,
  /** Tor's word, e.g. `HS_CLIENT_REND`, and the state of that, e.g. `HSCR_JOINED`. */
  purpose: v.nullable(v.string()),
  hsState: v.nullable(v.string()),
  /** From the guard on. */
  path: v.array(v.object({ name: v.nullable(v.string()), fingerprint: v.string() })),
  createdAt: v.nullable(time),
  /** Whom it carries, as far as this node knows: by its isolation (O11), never by what Tor says. */
  peer: v.nullable(who),
  /** `talk`, `bulk` or another purpose of O11; `null` where it is not one of this node. */
  lane: v.nullable(v.string()),
  /** The onion service that it serves or seeks. */
  onion: v.nullable(onionAddress),
  /** Two circuits of one set carry the same streams (Conflux; exits only). */
  conflux: v.nullable(v.string()),
});
export type TorCircuit = v.InferOutput<typeof circuit>;

/** A line of `aegis tor circuits --watch --json`: one that is new or another, or is no more. */
export const torCircuitLine = v.object({
  type: v.picklist(['circuit', 'circuit-gone']),
  circuit,
});
export type TorCircuitLine = v.InferOutput<typeof torCircuitLine>;

const stream = v.object({
  id: word,
  state: word,
  /** `null` while it waits for one. */
  circuit: v.nullable(word),
  target: v.string(),
  peer: v.nullable(who),
  lane: v.nullable(v.string()),
});
export type TorStream = v.InferOutput<typeof stream>;

export const torCircuits = endpoint('tor.circuits', {
  query: { streams: v.optional(v.boolean(), false) },
  reply: {
    circuits: v.array(circuit),
    /** `null` unless they were asked for. */
    streams: v.nullable(v.array(stream)),
  },
});

/** O11. What is open stays where it is; what is dialled from now on is on new circuits. */
export const torNewnym = endpoint('tor.newnym', {
  body: {
    /** A node id, its start, a peer id or a name; all without. */
    peer: v.optional(word),
  },
  reply: {
    peer: v.nullable(who),
    /** Connections to the peer that were closed, so that they are dialled anew; 0 for all. */
    disconnected: count,
  },
});

const client = v.object({
  kind: v.picklist(['member', 'invitation']),
  nodeId: v.nullable(v.string()),
  name: v.nullable(v.string()),
  /** Client keys of this one in the descriptor: two while two epochs or network keys hold (O14). */
  keys: count,
  /** When an invitation is over. */
  until: v.nullable(time),
});
export type OnionClientView = v.InferOutput<typeof client>;

export const torOnion = endpoint('tor.onion', {
  reply: {
    services: v.array(onionService),
    clientAuth: v.boolean(),
    /** O15. */
    clientKeysMax: count,
    /** O14: the key epoch of this node's clock. */
    epoch: v.object({ number: count, endsAt: time }),
    /** O20. */
    pow: v.boolean(),
    /** Whom the current service lets in; none while it is open. */
    clients: v.array(client),
  },
});

/** O17. */
export const torRenew = endpoint('tor.renew', {
  body: {
    /** Also closes every rendezvous circuit of the service. */
    cut: v.optional(v.boolean(), false),
  },
  reply: {
    address: onionAddress,
    clientKeys: v.nullable(count),
    /** Rendezvous circuits that were closed. */
    circuitsClosed: count,
    tookMs: ms,
  },
});
