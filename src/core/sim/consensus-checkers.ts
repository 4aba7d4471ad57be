/** What consensus promises, watched from outside: on the wire, on the disk, and in the state. */
import type { Checker } from './scenario.ts';

/** Names of the checkers, as failures quote them. */
export type CheckerName =
  | 'wire'
  | 'durability'
  | 'certificates'
  | 'agreement'
  | 'validity'
  | 'execution'
  | 'finality'
  | 'evidence'
  | 'queues'
  | 'linearizability'
  | 'liveness';

export type ConsensusChecker = Checker & { readonly name: CheckerName };
