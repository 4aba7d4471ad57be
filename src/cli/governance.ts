/** How proposals, quotas and rights are shown to people. */
import type { ClusterState, ProposalView } from '../core/api/contract/governance.ts';
import { counted, shortDigest, whosText, whoText } from './chain.ts';
import { facts, safeText, table } from './format.ts';

export function proposalText(proposal: ProposalView): string {
  const { id, proposer, changes, at, effectiveAt, why, expiresAt } = proposal;
  const { approvals, quorum, status } = proposal;
  return facts([
    ['proposal', id],
    ['by', whoText(proposer)],
    ...changes.map(({ text }, n): [string, string] => [n === 0 ? 'changes' : '', safeText(text)]),
    ['from', effectiveAt === null ? heightText(at) : `height ${effectiveAt}`],
    ['approved by', `${whosText(approvals)}${status === 'open' ? ` (${quorum} needed)` : ''}`],
    ['status', statusText(proposal)],
    ['why', why === null ? undefined : safeText(why)],
    ['ends', status === 'open' ? expiresAt : undefined],
  ]);
}

export const proposalsTable = (
  proposals: readonly ProposalView[],
  heading: (text: string) => string,
): string =>
  table(
    proposals,
    [
      { title: 'PROPOSAL', cell: ({ id }) => shortDigest(id) },
      { title: 'BY', cell: ({ proposer }) => whoText(proposer) },
      { title: 'STATUS', cell: statusText },
      {
        title: 'APPROVED',
        cell: ({ approvals, quorum, status }) =>
          status === 'open' ? `${approvals.length} of ${quorum}` : String(approvals.length),
      },
      { title: 'FROM', cell: ({ at, effectiveAt }) => heightText(effectiveAt ?? at) },
      { title: 'CHANGES', cell: changesText },
    ],
    { heading },
  );

const heightText = (height: number): string => (height === 0 ? 'at once' : `${height}`);

function changesText({ changes }: ProposalView): string {
  const more = changes.length === 1 ? '' : ` and ${changes.length - 1} more`;
  return `${changes[0]?.text ?? ''}${more}`;
}

function statusText({ status, awaitsThis }: ProposalView): string {
  return awaitsThis ? `${status}, waits for this node` : status;
}

/** The part of `cluster show` that only a running node knows. */
export function stateText(state: Omit<ClusterState, 'clusterId' | 'clusterName'>): string {
  const { height, epoch, protocol, parameters, ...rest } = state;
  const { version, max, raise } = protocol;
  const raised =
    raise === null ? '' : `; ${raise.version} once ${raise.quorum} are ready (${raise.ready} are)`;
  const { custodians, quorum, from } = epoch;
  const { proposals, checkpoint } = rest;
  return facts([
    ['height', String(height)],
    ['epoch', `since height ${from}: ${counted(custodians.length, 'custodian')}, quorum ${quorum}`],
    ['protocol', `${version} (this node takes part up to ${max})${raised}`],
    ['parameters', parameters.map(({ name, value }) => `${name} ${value}`).join(', ')],
    ['proposals', proposals === 0 ? undefined : `${proposals} open: aegis cluster proposals`],
    [
      'checkpoint',
      checkpoint === null ? undefined : `${checkpoint.height}:${shortDigest(checkpoint.digest)}`,
    ],
  ]);
}
