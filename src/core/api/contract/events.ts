/**
 * The event stream: first a `snapshot` with everything that later events change, then one event
 * a change. Every event carries the whole new state of its key, never a difference, so events of
 * one key may be merged and a reader may miss none but the last.
 */
import * as v from 'valibot';
import { blockSummarySchema, consensusStatusSchema, whoSchema } from './consensus.ts';
import { endpoint } from './endpoint.ts';
import { kbEntrySchema } from './kb.ts';
import { nodeStatusSchema } from './node.ts';
import { peerSchema } from './peers.ts';
import { torStatusSchema } from './tor.ts';
import { count, time } from './values.ts';

export const logLineSchema = v.object({
  time,
  level: v.picklist(['debug', 'info', 'warn', 'error']),
  room: v.string(),
  message: v.string(),
  fields: v.optional(v.record(v.string(), v.unknown())),
});
export type LogLine = v.InferOutput<typeof logLineSchema>;

const snapshotSchema = v.object({
  type: v.literal('snapshot'),
  schema: v.literal('aegis.events/1'),
  time,
  node: nodeStatusSchema,
  tor: torStatusSchema,
  peers: v.array(peerSchema),
  /** The newest entries first, at most `KB_RECENT_MAX`. */
  kb: v.array(kbEntrySchema),
  /** `null` until the node belongs to a cluster. */
  consensus: v.nullable(consensusStatusSchema),
  /** All custodians, in the order in which certificates number them; none without a cluster. */
  custodians: v.array(whoSchema),
  /** The highest last, at most `BLOCKS_RECENT_MAX`. */
  blocks: v.array(blockSummarySchema),
  /** The newest last. */
  log: v.array(logLineSchema),
});
export const KB_RECENT_MAX = 1000;
export const BLOCKS_RECENT_MAX = 100;

const changeSchema = v.variant('type', [
  v.object({ type: v.literal('node'), node: nodeStatusSchema }),
  /** Another route or phase, a service that is published or not, counts that have changed. */
  v.object({ type: v.literal('tor'), tor: torStatusSchema }),
  v.object({ type: v.literal('peer'), peer: peerSchema }),
  v.object({
    type: v.literal('peer-gone'),
    nodeId: v.nullable(v.string()),
    address: v.nullable(v.string()),
  }),
  v.object({ type: v.literal('kb'), entry: kbEntrySchema }),
  /** A new height, view or phase, or another custodian heard. */
  v.object({ type: v.literal('consensus'), consensus: consensusStatusSchema }),
  /** Others are custodians now, in the order in which certificates number them. */
  v.object({ type: v.literal('custodians'), custodians: v.array(whoSchema) }),
  /** Each block that becomes final, in order. */
  v.object({ type: v.literal('block'), block: blockSummarySchema }),
  v.object({ type: v.literal('log'), line: logLineSchema }),
]);

export const eventSchema = v.variant('type', [
  snapshotSchema,
  ...changeSchema.options,
  v.object({ type: v.literal('heartbeat'), time }),
  /** Log lines that were left out because the reader was slow. */
  v.object({ type: v.literal('dropped'), logLines: count }),
  v.object({ type: v.literal('end'), reason: v.picklist(['slow-reader', 'stopping']) }),
]);

export type Snapshot = v.InferOutput<typeof snapshotSchema>;
/** What a backend reports; the server adds heartbeats and the rest. */
export type Change = v.InferOutput<typeof changeSchema>;
export type ApiEvent = v.InferOutput<typeof eventSchema>;

export const events = endpoint('events', {});
