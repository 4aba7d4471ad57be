/**
 * What the knowledge base refuses. Everything that a peer or a file can make large stands here,
 * in one table, and each line has a test.
 *
 * This room holds the protocols of the knowledge base as values: builders, walkers and machines.
 * It does no I/O, keeps no objects, hashes nothing large, and knows neither clock nor network:
 * `node/` reads, writes and sends what is asked for here.
 */
import { GIB, KIB, MIB } from '../units.ts';

export const LIMITS = {
  /** One object, its bytes. */
  blockBytes: 4 * MIB,
  /** The header of a CAR. */
  carHeaderBytes: 4 * KIB,
  /** Links of a node of a file. The profile makes 1,024; others exist. */
  fileLinks: 2048,
  /** Links of a flat directory. 256 KiB of the shortest links are 5,700. */
  directoryLinks: 8192,
  /** Fanout of a sharded directory, and so the links of one shard. The profile makes 256. */
  shardFanout: 1024,
  /** Entries of a directory that is built here. */
  directoryEntries: 1_000_000,
  /** UTF-8 bytes of a name in a directory. */
  nameBytes: 1024,
  /** Levels from the root of a DAG to its deepest object. */
  depth: 64,
  /** Content of one root. */
  rootBytes: 1024 * GIB,
  /** Objects of one root, each counted as often as a walk meets it. */
  rootBlocks: 2_000_000,
  /** An encoded fetch request. */
  requestBytes: 64 * KIB,
  /** Ranges of a fetch request. */
  requestRanges: 512,
  /** What one fetch request may ask for. */
  requestReplyBytes: GIB,
  /** Objects that a fetch request says it has. */
  requestSkips: 1024,
  /** Fetch requests in one batch. */
  batchRequests: 64,
  /** The answer to each of them ends after the object with which it has so many bytes. */
  batchRootBytes: 128 * KIB,
  /** So it is never longer than this. */
  batchFrameBytes: 5 * MIB,
  /** A holder ends its answer to a batch after the frame with which it has so many bytes. */
  batchAnswerBytes: 8 * MIB,
  /** A message of the replication protocol. */
  messageBytes: 512 * KIB,
  /** Versions in one message. */
  messageVersions: 64,
  /** Version CIDs in one message. */
  messageItems: 512,
  /** Authors of a version vector. */
  vectorAuthors: 1024,
  /** Versions that wait for a parent: in all, and of one author. */
  orphans: 4096,
  orphansPerAuthor: 512,
  /** Records that are known by name only and asked for. */
  wantedRecords: 4096,
  /** Placements before the present one by which a root is looked for. */
  pastPlacements: 4,
  /** Versions kept: in all, and of one author, which may also not have more than so many bytes. */
  versions: 8_000_000,
  versionsPerAuthor: 2_000_000,
  versionBytesPerAuthor: GIB,
} as const;

/** Leaves of a file, and links of a node above them (profile `unixfs-v1-2025`, IPIP-499). */
export const CHUNK_BYTES = MIB;
export const FILE_WIDTH = 1024;
/** A flat directory whose encoding is longer is sharded (same profile). */
export const SHARD_ABOVE_BYTES = 256 * KIB;
/** Roots above this are fetched from several holders at once, in pieces of about this size. */
export const SEGMENT_BYTES = 64 * MIB;
