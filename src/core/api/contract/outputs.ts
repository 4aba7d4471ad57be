/** What commands print with `--json` where that is not simply the reply of one endpoint. */
import * as v from 'valibot';
import { logLineSchema } from './events.ts';
import { kbPut } from './kb.ts';
import { clusterInvite } from './membership.ts';
import { connectionClass } from './tor.ts';
import { bytes, cid, count, digest, fileKind, time } from './values.ts';

/** `aegis node stop`. */
export const nodeStopOutput = v.object({
  schema: v.literal('aegis.node.stop/1'),
  stopping: v.literal(true),
  pid: count,
  /** Whether the process was seen to end; `false` with `--no-wait`. */
  stopped: v.boolean(),
});
export type NodeStopOutput = v.InferOutput<typeof nodeStopOutput>;

/** `aegis kb get -o F`. */
export const kbGetOutput = v.object({
  schema: v.literal('aegis.kb.get/1'),
  path: v.string(),
  cid,
  version: cid,
  kind: fileKind,
  sizeBytes: bytes,
  final: v.boolean(),
  /** At which it became final; `null` when it is not, or not known. */
  height: v.nullable(count),
  /** Where it was written. */
  output: v.string(),
  /** `null` without --proof. Of a path inside a stored directory it is that of the directory. */
  proof: v.nullable(v.object({ file: v.string(), path: v.string(), height: count, digest, time })),
});
export type KbGetOutput = v.InferOutput<typeof kbGetOutput>;

/** `aegis cluster invite`: a file that was written is not shown, since it is a secret (O16). */
export const clusterInviteOutput = v.object({
  ...clusterInvite.reply.entries,
  invitation: v.nullable(v.string()),
});
export type ClusterInviteOutput = v.InferOutput<typeof clusterInviteOutput>;

/** One line of `aegis node logs --json`. */
export const nodeLogsOutput = v.object({ type: v.literal('log'), ...logLineSchema.entries });

const walled = v.object({ name: v.string(), uid: count });

/** `aegis tor firewall` */
export const torFirewallOutput = v.object({
  schema: v.literal('aegis.tor.firewall/1'),
  aegis: walled,
  tor: walled,
  /** nftables; loaded with `nft -f`. */
  rules: v.string(),
});
export type TorFirewallOutput = v.InferOutput<typeof torFirewallOutput>;

/** `aegis kb import`: what `kb put` says, and where it came from. */
export const kbImportOutput = v.object({
  schema: v.literal('aegis.kb.import/1'),
  ...kbPut.result.entries,
  url: v.string(),
  /** O5: by which way it was fetched. */
  via: connectionClass,
});
export type KbImportOutput = v.InferOutput<typeof kbImportOutput>;
