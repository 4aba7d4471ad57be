/** Tells the owner what a final block has decided about the cluster (docs/history.md, E1, E2). */
import type { Executed } from './execution.ts';
import { proposalState } from './proposals.ts';
import type { Roster } from './roster.ts';
import type { Turn } from './turn.ts';

/** @param roster as it is after the block. */
export function tellDecided(
  turn: Turn,
  { custodians, registers }: Pick<Executed, 'custodians' | 'registers'>,
  height: number,
  roster: Roster,
): void {
  for (const record of registers.proposals.values()) {
    if (record === undefined) continue;
    turn.tell({ type: 'proposal', height, proposal: proposalState(roster, record) });
  }
  if (custodians === undefined) return;
  turn.tell({ type: 'custodians', height: height + 1, nodeIds: custodians.nodeIds });
}
