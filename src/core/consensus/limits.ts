/** How much of what others send is read, kept or looked at. Each line has a test. */
import { BLOCK_BYTES_MAX } from '../model/block.ts';
import { KIB } from '../units.ts';

export const LIMITS = {
  /** A block in a proposal. */
  payloadBytes: BLOCK_BYTES_MAX,
  /** A block, and a timeout certificate in which every custodian says something else. */
  messageBytes: BLOCK_BYTES_MAX + 32 * KIB,
  /** Views above the own one for which shares are kept. */
  viewsAhead: 64,
  /** Views below the own one in which shares still count: a late quorum is one (P5, T5). */
  viewsBehind: 16,
  /** Shares of one custodian that are kept of a height. */
  shares: 256,
  /** Values of one custodian in one slot: two are evidence, more prove nothing new. */
  slotValues: 2,
  /** Messages of one custodian for the next height that are kept, besides one proposal. */
  earlyMessages: 16,
  /** Bad signatures of one custodian in a height before nothing of it is verified any more. */
  lies: 8,
  /** Prepare certificates of a height that are kept, the highest views of them. */
  prepared: 64,
  /** Verdicts of the chain that are remembered of a height. */
  approved: 64,
  /** Evidence against one custodian that is kept: the first is enough to act upon. */
  evidence: 16,
  /** Signatures of one custodian, over heights whose keys are not known, that do not verify. */
  strange: 8,
  /** Sets of custodians, the latest, that are remembered with the heights of each. */
  custodianSets: 256,
  /** Nodes that are no custodians here, to which anything of consensus is kept or answered. */
  strangers: 64,
  /** Proposals of such nodes for the next height that are kept. */
  strangeProposals: 4,
  /** Own consensus keys that one doubt is about. */
  heldKeys: 64,
  /** Shortest time between two answers to one peer. */
  answerIntervalMs: 100,
} as const;
