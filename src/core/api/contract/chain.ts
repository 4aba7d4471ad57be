/** The chain as it lies on the disk: endpoints and what the commands of `chain` print. */
import * as v from 'valibot';
import { KEEP_BLOCKS_MIN } from '../../config/settings.ts';
import { endpoint } from './endpoint.ts';
import { bytes, count, digest, ms, word } from './values.ts';

const pruned = {
  /** The lowest height whose block was kept before. */
  from: count,
  /** The lowest height whose block is kept now, or would be. */
  base: count,
  /** The last final height. */
  height: count,
  /** Blocks that went, or would go. */
  blocks: count,
  /** What the facts of the node take on the disk, with their log. */
  bytesBefore: bytes,
  /** The same as before when nothing was done. */
  bytesAfter: bytes,
  dryRun: v.boolean(),
};

export const chainPrune = endpoint('chain.prune', {
  body: {
    /** Blocks that are kept, the last ones. */
    keep: v.pipe(count, v.minValue(KEEP_BLOCKS_MIN)),
    /** Only says what would go. */
    dryRun: v.optional(v.boolean(), false),
  },
  reply: pruned,
});

const stretch = {
  clusterId: v.string(),
  /** The first and the last height. */
  from: count,
  to: count,
  blocks: count,
};

/** `aegis chain verify`. */
export const chainVerifyOutput = v.object({
  schema: v.literal('aegis.chain.verify/1'),
  ...stretch,
  /** `genesis`: all was executed anew; `signatures`: blocks before are not here any more. */
  depth: v.picklist(['genesis', 'signatures']),
  /** Of the last block. */
  digest,
  stateRoot: digest,
  tookMs: ms,
});
export type ChainVerifyOutput = v.InferOutput<typeof chainVerifyOutput>;

/** `aegis chain export FILE` and `aegis chain snapshot FILE`. */
export const chainExportOutput = v.object({
  schema: v.literal('aegis.chain.export/1'),
  ...stretch,
  handovers: count,
  sizeBytes: bytes,
  file: word,
});
export type ChainExportOutput = v.InferOutput<typeof chainExportOutput>;

export const chainSnapshotOutput = v.object({
  schema: v.literal('aegis.chain.snapshot/1'),
  clusterId: v.string(),
  height: count,
  digest,
  stateRoot: digest,
  /** Keys of the state. */
  leaves: count,
  sizeBytes: bytes,
  file: word,
});
export type ChainSnapshotOutput = v.InferOutput<typeof chainSnapshotOutput>;

/** `aegis chain import FILE`. */
export const chainImportOutput = v.object({
  schema: v.literal('aegis.chain.import/1'),
  clusterId: v.string(),
  kind: v.picklist(['blocks', 'snapshot']),
  /** The last final height of the home before, and now. */
  before: count,
  height: count,
  /** Blocks that were new. */
  blocks: count,
  digest,
  stateRoot: digest,
});
export type ChainImportOutput = v.InferOutput<typeof chainImportOutput>;
