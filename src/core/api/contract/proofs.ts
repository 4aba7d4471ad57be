/** What `aegis verify` prints, and `aegis kb ls --proof`. */
import * as v from 'valibot';
import { bytes, cid, count, digest, fileKind, nodeId, time } from './values.ts';

const heads = v.array(v.object({ version: cid, generation: count, deleted: v.boolean() }));

const value = v.object({
  type: v.literal('value'),
  path: v.string(),
  /** The greatest that the path has ever had. */
  generation: count,
  /** More than one: they contradict each other and nobody has merged them. */
  heads,
  /** Its name has left the state. */
  erased: v.boolean(),
  /** The version that the proof brings along; `null`: none. */
  version: v.nullable(
    v.object({
      version: cid,
      /** Root of the content; of a deletion: of what it takes away. */
      cid,
      kind: fileKind,
      sizeBytes: bytes,
      generation: count,
      author: nodeId,
      time,
      deleted: v.boolean(),
      /** `false`: a head goes back to it. */
      head: v.boolean(),
    }),
  ),
});

const absence = v.object({ type: v.literal('absence'), path: v.string() });

const directory = v.object({
  type: v.literal('directory'),
  /** Empty: the root. */
  path: v.string(),
  values: v.array(v.object({ path: v.string(), generation: count, heads })),
  directories: v.array(v.string()),
  /** How many paths in it have lost their names. */
  erased: count,
});

export const verifyResult = v.object({
  schema: v.literal('aegis.verify/1'),
  clusterId: v.string(),
  /** Of the block after which the claims hold. Nothing is said about later ones. */
  height: count,
  /** Of that block, by the clock of its proposer. */
  time,
  digest,
  protocol: count,
  /** Where trust began: the height of the checkpoint, or 0 for the genesis. */
  from: count,
  /** How many certificates led there. */
  certificates: count,
  claims: v.array(v.variant('type', [value, absence, directory])),
  /** What was compared with the version of the proof; `null`: nothing. */
  content: v.nullable(v.object({ file: v.string(), path: v.string(), cid })),
});
export type VerifyResult = v.InferOutput<typeof verifyResult>;
