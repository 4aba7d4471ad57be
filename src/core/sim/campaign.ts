/** Many seeds of consensus: runs them, sums up what happened, and finds the failures. */
import type { ConsensusOptions } from './consensus-scenario.ts';

/** What is fixed for all seeds; the rest is drawn from each seed. */
export interface CampaignOptions {
  readonly first: number;
  readonly count: number;
  readonly nodes?: readonly number[];
  readonly latency?: 'lan' | 'wan' | 'tor';
  readonly durationMs?: number;
  readonly faults?: readonly string[];
  readonly wrap?: ConsensusOptions['wrap'];
}

export interface CampaignFailure {
  readonly seed: string;
  /** What was broken; begins with the name of the checker. */
  readonly message: string;
  /** One line for a shell. */
  readonly replay: string;
}
