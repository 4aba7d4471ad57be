/** All behaviours, by name. */
import type { Behaviour } from './behaviour.ts';
import { CERTIFICATE_BEHAVIOURS } from './certificates.ts';
import { MEMORY_BEHAVIOURS } from './memory.ts';
import { PROPOSAL_BEHAVIOURS } from './proposals.ts';
import { REMOVED_BEHAVIOURS } from './removed.ts';
import { TRAFFIC_BEHAVIOURS } from './traffic.ts';
import { VOTE_BEHAVIOURS } from './votes.ts';

export const BEHAVIOURS: readonly Behaviour[] = [
  ...MEMORY_BEHAVIOURS,
  ...PROPOSAL_BEHAVIOURS,
  ...VOTE_BEHAVIOURS,
  ...CERTIFICATE_BEHAVIOURS,
  ...TRAFFIC_BEHAVIOURS,
  ...REMOVED_BEHAVIOURS,
];
