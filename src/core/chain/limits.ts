/**
 * What the chain refuses. Everything that a member can make large stands here, in one table, and
 * each line has a test.
 */
import { BLOCK_BYTES_MAX, INTENTS_MAX } from '../model/block.ts';
import { KIB, MIB, MINUTE } from '../units.ts';

export const LIMITS = {
  /** A message of the chain: the network takes envelopes of 1 MiB. */
  messageBytes: MIB - 4 * KIB,
  /** Intents in one message, and their bytes where this node chooses. */
  messageIntents: 4096,
  messageIntentBytes: 512 * KIB,
  /** Blocks in one message, and their bytes where this node chooses. */
  windowBlocks: 128,
  windowBytes: 900 * KIB,
  /** Windows asked for at a time. */
  windowsAtOnce: 8,
  /** Bytes of fetched blocks that wait for earlier ones; then only the next one is asked for. */
  fetchedBytes: 8 * MIB,
  /** Windows of one peer that are being read from the store. */
  servingPerPeer: 4,
  /** Bytes a second that are served to those who catch up, all together. */
  servedBytesPerSecond: 32 * MIB,
  /** Heights of which certificates of another block are kept (Y3). */
  conflicts: 16,
  /** Snapshots that are offered, and bytes of what has changed since, kept for the sake of them. */
  offers: 3,
  offerBytes: 96 * MIB,
  /** Parts of the state in a manifest; bytes, where this node chooses, and leaves of a part. */
  snapshotParts: 8192,
  partBytes: 256 * KIB,
  partLeaves: 16_384,
  /** Pages of other rows; rows of one. */
  snapshotPages: 512,
  pageRows: 4096,
  /** Parts and pages asked for at a time. */
  partsAtOnce: 8,
  /** Last states that are kept, for those who look for where theirs differs (Y7); as for offers. */
  lastStates: 64,
  lastStateBytes: 16 * MIB,
  /** A block. */
  blockBytes: BLOCK_BYTES_MAX,
  blockIntents: INTENTS_MAX,
  /** Statements of a block: each may cost a pairing. Their bytes where this node chooses. */
  blockStatements: 64,
  blockStatementBytes: 256 * KIB,
  /** Undecided blocks of a height that are kept, and those of which the state is kept too. */
  undecidedBlocks: 64,
  undecidedStates: 8,
  /** Intents of one author that wait, their bytes, and how far ahead their sequences may be. */
  authorIntents: 8192,
  authorBytes: 8 * MIB,
  authorWindow: 8192,
  /** Bytes of all intents that wait. */
  mempoolBytes: 64 * MIB,
  /** Statements about one node that wait, and of all. */
  nodeStatements: 4,
  statements: 1024,
  /** Entries of the succession of one node: then it is time for another node. */
  entries: 1024,
  /** Members that one custodian has invited, and all such nodes with those that have left since. */
  guests: 256,
  guestsEver: 4096,
  /** N: namespaces of a cluster: all of them are in memory. */
  namespaces: 16_384,
  /** E2: proposals of one custodian that are open, and those that are over and still told. */
  openProposals: 16,
  endedProposals: 64,
  /** Bytes of a leaf of the state that this node makes or reads. */
  leafBytes: 128 * KIB,
  /** N4: what lies in a directory and is looked at to see whether its name can go. */
  erasedLeaves: 64,
  /** R4: labels of the anchors of one node. */
  anchorLabels: 4096,
  /** Leaves of a directory that is proved whole. */
  directoryLeaves: 65_536,
  /** Digests of intents whose signatures have been verified lately. */
  verifiedDigests: 65_536,
  /** Receipts that are kept in memory. */
  receipts: 16_384,
  /** Linearizable reads that wait, and rounds of questions under way. */
  reads: 4096,
  readRounds: 4,
  /** How far ahead of the own clock a block may be that this node votes for. */
  aheadMs: 10 * MINUTE,
} as const;
