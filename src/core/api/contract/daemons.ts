/** What the commands print that start daemons: `node start`, `devnet`, `quickstart`. */
import * as v from 'valibot';
import { address, bytes, count, digest, ms, nodeId, word } from './values.ts';

const ready = {
  nodeId,
  name: word,
  cluster: v.object({ clusterId: v.pipe(v.string(), v.startsWith('aegisc1')), name: word }),
  /** With a dry run: where it would listen. */
  addresses: v.array(address),
  socket: word,
  /** Of the daemon; of the command itself for a dry run. */
  pid: count,
  /** Custodians of the cluster. */
  members: count,
};

/** `aegis node start` */
export const nodeStartResult = v.object({
  schema: v.literal('aegis.node.start/1'),
  ...ready,
  /** It runs in the background now. */
  detached: v.boolean(),
  /** Everything was checked and nothing started. */
  dryRun: v.boolean(),
});
export type NodeStartResult = v.InferOutput<typeof nodeStartResult>;

/** `aegis node restart` */
export const nodeRestartResult = v.object({
  schema: v.literal('aegis.node.restart/1'),
  ...ready,
  /** Process of the daemon that was stopped; `null` when none ran. */
  stoppedPid: v.nullable(count),
});
export type NodeRestartResult = v.InferOutput<typeof nodeRestartResult>;

const devnetNode = v.object({
  name: word,
  nodeId,
  home: word,
  address,
  state: v.picklist(['running', 'paused', 'stopped']),
  pid: v.nullable(count),
});

const devnet = {
  dir: word,
  nodes: v.array(devnetNode),
  /** The private Tor network that its nodes meet in; `null` when they are not behind Tor. */
  tor: v.nullable(v.picklist(['running', 'stopped'])),
};
const grouped = {
  ...devnet,
  /** Names of the nodes that talk to each other; `null` when all do. */
  groups: v.nullable(v.array(v.array(word))),
};

/** `aegis devnet up` */
export const devnetUpResult = v.object({
  schema: v.literal('aegis.devnet.up/1'),
  /** False when it was there before and has only been started. */
  created: v.boolean(),
  ...devnet,
});
export type DevnetUpResult = v.InferOutput<typeof devnetUpResult>;

/** `aegis devnet down` */
export const devnetDownResult = v.object({
  schema: v.literal('aegis.devnet.down/1'),
  removed: v.boolean(),
  ...devnet,
});
export type DevnetDownResult = v.InferOutput<typeof devnetDownResult>;

/** `aegis devnet status` */
export const devnetStatusResult = v.object({
  schema: v.literal('aegis.devnet.status/1'),
  ...grouped,
});
export type DevnetStatusResult = v.InferOutput<typeof devnetStatusResult>;

/** `aegis devnet partition` and `heal` */
export const devnetPartitionResult = v.object({
  schema: v.literal('aegis.devnet.partition/1'),
  ...grouped,
});
export type DevnetPartitionResult = v.InferOutput<typeof devnetPartitionResult>;

export const devnetHealResult = v.object({
  schema: v.literal('aegis.devnet.heal/1'),
  ...grouped,
});
export type DevnetHealResult = v.InferOutput<typeof devnetHealResult>;

/** `aegis devnet kill`, `pause` and `resume` */
export const devnetKillResult = v.object({
  schema: v.literal('aegis.devnet.kill/1'),
  node: devnetNode,
});
export type DevnetKillResult = v.InferOutput<typeof devnetKillResult>;

export const devnetPauseResult = v.object({
  schema: v.literal('aegis.devnet.pause/1'),
  node: devnetNode,
});
export type DevnetPauseResult = v.InferOutput<typeof devnetPauseResult>;

export const devnetResumeResult = v.object({
  schema: v.literal('aegis.devnet.resume/1'),
  node: devnetNode,
});
export type DevnetResumeResult = v.InferOutput<typeof devnetResumeResult>;

const step = v.object({
  title: v.string(),
  /** As a user would type it. */
  command: v.string(),
  durationMs: ms,
  says: v.string(),
});

/** `aegis quickstart` */
export const quickstartResult = v.object({
  schema: v.literal('aegis.quickstart/1'),
  nodes: v.array(v.object({ name: word, nodeId, pid: count, home: word })),
  steps: v.array(step),
  /** Those in which the documents became final. */
  blocks: v.array(
    v.object({
      height: count,
      digest,
      /** Names of the custodians in the certificate, and of the others. */
      signers: v.array(word),
      absent: v.array(word),
    }),
  ),
  files: count,
  sizeBytes: bytes,
  durationMs: ms,
  /** The home that `--keep` has left; `null` when everything was removed. */
  kept: v.nullable(word),
});
export type QuickstartResult = v.InferOutput<typeof quickstartResult>;
