/**
 * Proposals, approvals and readiness (docs/history.md, E2 to E4, V2) as they are executed: who may,
 * and when a proposal is decided. What a decided one does is for `decided.ts`. A function of the
 * block and of the state before it.
 */
import { quorumOf } from '../consensus/quorum.ts';
import {
  type Approval,
  PROPOSAL_LIFETIME_MAX_MS,
  type Proposal,
  type Readiness,
  type SignedProposal,
} from '../model/proposals.ts';
import { LIMITS } from './limits.ts';
import type { ReadRegisters, RegistersDraft } from './registers.ts';
import type { Roster } from './roster.ts';
import type { RosterDraft } from './roster-draft.ts';

export type ProposalRefusal =
  | 'not-a-custodian'
  | 'frozen'
  | 'bad-proposal'
  | 'no-such-proposal'
  | 'expired'
  | 'too-many-proposals'
  | 'bad-readiness';

export type ProposalStatus = 'open' | 'decided' | 'done' | 'void' | 'expired';

/** As it stands in the state. */
export interface ProposalRecord {
  readonly signed: SignedProposal;
  readonly status: ProposalStatus;
  /** By node id, in their order: the key epoch by which it was approved. */
  readonly approvals: ReadonlyMap<string, number>;
  /** Height of the block that decided it. */
  readonly decidedAt?: number | undefined;
  /** From which height it holds. */
  readonly effectiveAt?: number | undefined;
  /** Height of the block with which it was over. */
  readonly endedAt?: number | undefined;
  /** E3: why it is void. */
  readonly why?: string | undefined;
}

/** A proposal as the chain tells of it. */
export interface ProposalState {
  /** SHA-256 of its signed bytes (hex). */
  readonly id: string;
  readonly proposal: Proposal;
  readonly status: ProposalStatus;
  /** Node ids: of one that is open those that count now, and otherwise all. */
  readonly approvals: readonly string[];
  readonly effectiveAt?: number | undefined;
  readonly why?: string | undefined;
}

export interface ProposalContext {
  readonly draft: RosterDraft;
  readonly registers: RegistersDraft;
  readonly height: number;
  /** Of the block. */
  readonly time: number;
}

type Outcome = 'done' | 'unchanged' | ProposalRefusal;

/** Clocks of custodians differ: how much longer than it may be a proposal may seem. */
const SLACK_MS = LIMITS.aheadMs;

/** E4: whether what a member has signed with the key of this epoch counts. */
function countsOf(before: Roster, nodeId: string, keyEpoch: number): boolean {
  const member = before.get(nodeId);
  const isCustodian = member?.role === 'custodian' && member.status === 'member';
  return isCustodian && !member.isFrozen && member.keys.keyEpoch === keyEpoch;
}

/** E2, E4. */
function countedApprovals(before: Roster, { approvals }: ProposalRecord): string[] {
  const nodeIds: string[] = [];
  for (const [nodeId, keyEpoch] of approvals) {
    if (countsOf(before, nodeId, keyEpoch)) nodeIds.push(nodeId);
  }
  return nodeIds;
}

export function proposalState(roster: Roster, record: ProposalRecord): ProposalState {
  const { signed, status, approvals, effectiveAt, why } = record;
  return {
    id: signed.digest,
    proposal: signed.proposal,
    status,
    approvals: status === 'open' ? countedApprovals(roster, record) : [...approvals.keys()],
    effectiveAt,
    why,
  };
}

const isOver = ({ status }: ProposalRecord): boolean => status !== 'open' && status !== 'decided';

/** Whose authority it is, or why it has none. */
function authority(
  { draft }: ProposalContext,
  nodeId: string,
  keyEpoch: number,
): 'frozen' | 'not-a-custodian' | undefined {
  const member = draft.before.get(nodeId);
  if (member?.role !== 'custodian' || member.status === 'left') return 'not-a-custodian';
  if (member.isFrozen) return 'frozen';
  // A1
  return member.keys.keyEpoch === keyEpoch ? undefined : 'not-a-custodian';
}

/** E2. */
export function propose(context: ProposalContext, signed: SignedProposal): Outcome {
  const { registers, time } = context;
  const { proposer, keyEpoch, expiresAt } = signed.proposal;
  if (registers.proposals.get(signed.digest) !== undefined) return 'unchanged';
  const fault = authority(context, proposer, keyEpoch);
  if (fault !== undefined) return fault;
  if (expiresAt <= time) return 'expired';
  // E4: whoever could name a time far ahead could propose for ever.
  if (expiresAt > time + PROPOSAL_LIFETIME_MAX_MS + SLACK_MS) return 'bad-proposal';
  if (openOf(registers, proposer) >= LIMITS.openProposals) return 'too-many-proposals';
  const approvals = new Map([[proposer, keyEpoch]]);
  return settle(context, { signed, status: 'open', approvals });
}

/** Those that wait for approvals or for their height. */
function openOf({ proposals }: ReadRegisters, proposer: string): number {
  let count = 0;
  for (const record of proposals.values()) {
    if (!isOver(record) && record.signed.proposal.proposer === proposer) count += 1;
  }
  return count;
}

/** E2. */
export function approve(context: ProposalContext, approval: Approval): Outcome {
  const { registers, time } = context;
  const { nodeId, keyEpoch } = approval;
  const record = registers.proposals.get(approval.proposal);
  if (record === undefined) return 'no-such-proposal';
  if (record.status !== 'open') return record.status === 'expired' ? 'expired' : 'unchanged';
  const fault = authority(context, nodeId, keyEpoch);
  if (fault !== undefined) return fault;
  if (record.signed.proposal.expiresAt <= time) return 'expired';
  const isNew = record.approvals.get(nodeId) !== keyEpoch;
  const all: [string, number][] = [...record.approvals, [nodeId, keyEpoch]];
  const approvals = new Map([...new Map(all)].toSorted(([one], [other]) => (one < other ? -1 : 1)));
  return settle(context, { ...record, approvals }, isNew);
}

/**
 * E2: decides it when the approvals that count are those of a quorum.
 * @param isNew whether it is to be kept even if that decides nothing.
 */
function settle(
  { draft, registers, height }: ProposalContext,
  record: ProposalRecord,
  isNew = true,
): Outcome {
  const { digest, proposal } = record.signed;
  const { before } = draft;
  const isDecided = countedApprovals(before, record).length >= quorumOf(custodianCount(before));
  if (!isDecided && !isNew) return 'unchanged';
  const decision = {
    status: 'decided',
    decidedAt: height,
    effectiveAt: Math.max(proposal.at, height + 1),
  } as const;
  registers.proposals.set(digest, isDecided ? { ...record, ...decision } : record);
  return 'done';
}

const custodianCount = (roster: Roster): number => {
  let count = 0;
  for (const { role, status } of roster.all()) {
    if (role === 'custodian' && status === 'member') count += 1;
  }
  return count;
};

/** V2. */
export function ready(context: ProposalContext, readiness: Readiness): Outcome {
  const { draft } = context;
  const { nodeId, keyEpoch, protocol, time } = readiness;
  const fault = authority(context, nodeId, keyEpoch);
  if (fault !== undefined) return fault;
  const member = draft.get(nodeId)!;
  const { readiness: before } = member;
  if (before?.protocol === protocol) return 'unchanged';
  // An old one that is handed in again says nothing.
  if (before !== undefined && time <= before.time) return 'bad-readiness';
  draft.put({ ...member, readiness: { protocol, time }, hasLeaf: true });
  return 'done';
}

/** E4: those whose time is over when a block of this height and time ends. */
export function expire({ registers, height, time }: ProposalContext): void {
  if (registers.proposals.size === 0) return;
  for (const record of registers.proposals.values()) {
    if (record.status !== 'open' || record.signed.proposal.expiresAt > time) continue;
    registers.proposals.set(record.signed.digest, {
      ...record,
      status: 'expired',
      endedAt: height,
    });
  }
}

/**
 * Of those that are over, only the latest are kept, and those whose time is not over: handed in
 * once more, with the approvals that they had, they would be decided again.
 */
export function forgetEnded({ registers: { proposals }, time }: ProposalContext): void {
  if (proposals.size <= LIMITS.endedProposals) return;
  const ended = [...proposals.values()].filter(isOver);
  const byEnd = ended.toSorted(
    (a, b) => b.endedAt! - a.endedAt! || (a.signed.digest < b.signed.digest ? -1 : 1),
  );
  for (const { signed } of byEnd.slice(LIMITS.endedProposals)) {
    if (signed.proposal.expiresAt <= time) proposals.set(signed.digest, undefined);
  }
}
