/**
 * What merges and comparisons refuse. All of it is counted and nothing is timed, so that every
 * node refuses the same.
 */
import { MIB } from '../../units.ts';

export const MERGE_LIMITS = {
  /** A content above this is neither text nor JSON here. */
  bytes: MIB,
  /** What a merge may come to: a union of two, or JSON that is indented anew. */
  resultBytes: 4 * MIB,
  /** Lines that one side has added or removed, where that is not all in one place. */
  edits: 1000,
  /** Comparisons of lines for one side: what is hostile has few edits and compares for seconds. */
  comparisons: 4_000_000,
  /** Levels of JSON. */
  jsonDepth: 64,
  /** Conflicts that are listed of one merge, and pointers of one JSON. */
  conflicts: 256,
  /** Names that one merge reads in directories, those of all sides and of all levels together. */
  entries: 65_536,
  /** Files that one merge looks into, as both sides have changed them. */
  files: 1024,
  /** Merges of several bases into one, one within the other. */
  baseDepth: 8,
  /** Versions that are looked at for the base of two. */
  ancestors: 100_000,
} as const;
