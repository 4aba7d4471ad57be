/** Tells the owner what a final block has decided about the cluster (docs/history.md, E1, E2). */
import type { Executed } from './execution.ts';
import type { Ledger } from './ledger.ts';
import { proposalState } from './proposals.ts';
import type { Turn } from './turn.ts';

/** @param ledger as it is after the block. */
export function tellDecided(
  turn: Turn,
  { registers }: Pick<Executed, 'registers'>,
  { tip, roster, handovers, custodians }: Ledger,
): void {
  const { height } = tip;
  for (const record of registers.proposals.values()) {
    if (record === undefined) continue;
    turn.tell({ type: 'proposal', height, proposal: proposalState(roster, record) });
  }
  if (handovers.at(-1)?.height !== height) return;
  turn.tell({ type: 'custodians', height: height + 1, nodeIds: custodians.nodeIds });
}
