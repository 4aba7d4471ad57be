/** Endpoints of the topic `node`. */
import * as v from 'valibot';
import { endpoint } from './endpoint.ts';
import { WAIT_FOR, WAIT_MS } from './routes.ts';
import { torSummarySchema } from './tor.ts';
import { address, bytes, count, ms, nodeId, time, timeoutMs, word } from './values.ts';

const nodeState = v.picklist(['starting', 'ready', 'stopping']);

const status = {
  state: nodeState,
  nodeId,
  name: v.string(),
  zone: v.string(),
  peerId: v.string(),
  /** `null` until the node belongs to a cluster. */
  clusterId: v.nullable(v.string()),
  clusterName: v.nullable(v.string()),
  pid: count,
  version: v.string(),
  startedAt: time,
  uptimeMs: ms,
  addresses: v.array(address),
  tor: torSummarySchema,
  peers: v.object({ connected: count, known: count }),
  kb: v.object({
    paths: count,
    versions: count,
    objects: count,
    sizeBytes: bytes,
    underReplicated: count,
  }),
  /** `null` until the node belongs to a cluster. */
  chain: v.nullable(
    v.object({
      /** The last final one; 0 before the first. */
      height: count,
      lastFinalAt: v.nullable(time),
      /** Heights that others hold final and this node does not yet. */
      behind: count,
      isVoting: v.boolean(),
      /** Own intents that are not decided. */
      pending: count,
    }),
  ),
  /** `null` until the node belongs to a cluster. */
  keys: v.nullable(
    v.object({
      /** Entries of the succession that are final; 0: still with its first keys. */
      number: count,
      keyEpoch: count,
      /** The rotation that is adopted and not final: its number. */
      pending: v.nullable(count),
      frozen: v.boolean(),
      /** The consensus key in force is not in this home, so the node does not vote (rule K3). */
      keyMissing: v.boolean(),
      /** Plain sentences without a full stop: expiries, missing keys. */
      warnings: v.array(v.string()),
    }),
  ),
  resources: v.object({
    rssBytes: bytes,
    heapBytes: bytes,
    /** Of one core; more than 100 when several threads work. */
    cpuPercent: v.pipe(v.number(), v.minValue(0)),
    loopLagMsP99: ms,
  }),
};
export const nodeStatusSchema = v.object(status);
export type NodeStatus = v.InferOutput<typeof nodeStatusSchema>;

export const nodeStatus = endpoint('node.status', { reply: status });

export const nodeInfo = endpoint('node.info', {
  reply: {
    nodeId,
    name: v.string(),
    zone: v.string(),
    region: v.string(),
    peerId: v.string(),
    clusterId: v.nullable(v.string()),
    clusterName: v.nullable(v.string()),
    fingerprint: v.string(),
    createdAt: time,
    version: v.string(),
    nodeVersion: v.string(),
    platform: v.string(),
    pid: count,
    startedAt: time,
    home: v.string(),
    socket: v.string(),
    logFile: v.string(),
    tor: torSummarySchema,
    storageWeight: count,
    replicasWanted: count,
    members: count,
    /** `null` until the node belongs to a cluster. */
    role: v.nullable(v.picklist(['custodian', 'agent'])),
    custodians: count,
    /** Votes that make a block final. */
    quorum: count,
    agent: v.string(),
  },
});

export const nodeWait = endpoint('node.wait', {
  query: {
    for: v.optional(
      v.pipe(v.string(), v.regex(WAIT_FOR, 'must be ready, peers=N or height=N')),
      'ready',
    ),
    timeoutMs: v.optional(timeoutMs, WAIT_MS.nodeWait),
  },
  reply: { for: v.string(), waitedMs: ms },
});

export const nodeStop = endpoint('node.stop', { reply: { stopping: v.literal(true), pid: count } });

export const nodeBackup = endpoint('node.backup', {
  body: {
    /** An absolute path, seen from the node, where nothing is. */
    dir: word,
  },
  reply: {
    dir: word,
    /** The chain in the copy goes at least so far. */
    height: count,
    chainBytes: bytes,
    contentBytes: bytes,
    /** Consensus keys with which the copy does not vote (rule K2). */
    consensusKeys: v.array(v.pipe(v.string(), v.hexadecimal())),
  },
});

export const nodeMetrics = endpoint('node.metrics', {});
