import { KB_PROTOCOL, type Replication } from '../kb/replication.ts';
import type { SimNode } from './node.ts';
import type { Tie } from './scenario.ts';

/** The kb machine of one run of a node, with what the scenario keeps beside it. */
export interface KbTie extends Tie {
  readonly replication: Replication;
  /** A version that has been made and not been added yet. */
  writing: string | undefined;
  /** Roots that are on their way to the disk. */
  readonly fetching: Set<string>;
}

export const kbOf = (node: SimNode): KbTie | undefined =>
  node.tie(KB_PROTOCOL) as KbTie | undefined;
