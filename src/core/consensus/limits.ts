/** How much of what others send is kept or looked at. Each has a test. */

/** Views above the own one for which messages are kept. */
export const VIEWS_AHEAD_MAX = 64;
/** Views below the own one for which votes still count: a late quorum of them is one (P5, T5). */
export const VIEWS_BEHIND_MAX = 16;
/** Shares of one custodian that are kept of a height. */
export const SHARES_KEPT_MAX = 256;
/** Values of one custodian in one slot: two are evidence, more prove nothing new. */
export const VALUES_OF_SLOT_MAX = 2;
/** Messages of one custodian for the next height that are kept, besides one proposal. */
export const AHEAD_KEPT_MAX = 16;
/** Bad signatures of one custodian in one height before nothing of it is verified any more. */
export const LIES_MAX = 8;
/** Prepare certificates of a height that are kept, the highest views of them. */
export const PREPARED_MAX = 64;
/** Verdicts of the chain that are remembered of a height. */
export const APPROVED_MAX = 64;
/** Evidence against one custodian that is kept: the first is enough to act upon. */
export const EVIDENCE_KEPT_MAX = 16;
/** Shortest time between two answers to one peer, in milliseconds. */
export const ANSWER_INTERVAL_MS = 100;
