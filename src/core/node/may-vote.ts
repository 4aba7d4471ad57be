/**
 * Whose messages of consensus are read at all. Who may sign what at which height is for the
 * replica; this keeps out those who have nothing to say there, before anything of theirs is
 * decoded.
 */
import type { Chain } from '../chain/chain.ts';
import type { CustodianEntry } from '../model/custodians.ts';

/**
 * Votes, and blocks to vote on, are for custodians: those of the next height, and those who may be
 * of a height after it, whom somebody ahead by a block knows and this node does not yet. B3: those
 * before the last hand-over may still be behind it, and are told.
 * @param first the custodians of the genesis.
 */
export function mayVote(
  chain: Pick<Chain, 'roster' | 'proposals' | 'handovers'>,
  first: readonly Pick<CustodianEntry, 'nodeId'>[],
  nodeId: string,
): boolean {
  if (chain.roster.get(nodeId)?.role === 'custodian') return true;
  const handovers = chain.handovers();
  const before = handovers.at(-2)?.custodians ?? first;
  if (handovers.length > 0 && before.some((one) => one.nodeId === nodeId)) return true;
  return chain.proposals().some(({ status, proposal }) => {
    if (status !== 'open' && status !== 'decided') return false;
    return proposal.changes.some((change) => change.op === 'add' && change.nodeId === nodeId);
  });
}
