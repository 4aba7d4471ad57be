/**
 * What decided proposals do when their height has come (docs/history.md, E3, V1, V2): at the end of
 * the block before it, all changes of one or none.
 */
import { unreachable } from '../assert.ts';
import { quorumOf } from '../consensus/quorum.ts';
import { CUSTODIANS_MAX } from '../model/custodians.ts';
import type { ProposedChange } from '../model/proposed-change.ts';
import { LIMITS } from './limits.ts';
import type { ProposalContext, ProposalRecord } from './proposals.ts';
import { RegistersDraft } from './registers.ts';
import type { RosterMember } from './roster.ts';
import type { RosterDraft } from './roster-draft.ts';

/** Upon which a proposal is tried; it is thrown away when one of its changes is impossible. */
interface Trial {
  readonly registers: RegistersDraft;
  readonly members: Map<string, RosterMember>;
  get(nodeId: string): RosterMember | undefined;
}

/** E2, E3: those that hold from the height after the block. */
export function makeDecided(context: ProposalContext): void {
  const { registers, height } = context;
  for (const record of dueAt(registers, height + 1)) {
    const why = tryAll(context, record);
    registers.proposals.set(record.signed.digest, {
      ...record,
      status: why === undefined ? 'done' : 'void',
      endedAt: height,
      ...(why === undefined ? {} : { why }),
    });
  }
}

/** In the order in which they were to hold, and were decided. */
function dueAt({ proposals }: RegistersDraft, height: number): ProposalRecord[] {
  if (proposals.size === 0) return [];
  const due: ProposalRecord[] = [];
  for (const record of proposals.values()) {
    if (record.status === 'decided' && record.effectiveAt! <= height) due.push(record);
  }
  return due.toSorted(
    (a, b) =>
      a.effectiveAt! - b.effectiveAt! ||
      a.decidedAt! - b.decidedAt! ||
      (a.signed.digest < b.signed.digest ? -1 : 1),
  );
}

/** @returns why nothing of it was made. */
function tryAll({ draft, registers }: ProposalContext, record: ProposalRecord): string | undefined {
  const members = new Map<string, RosterMember>();
  const trial: Trial = {
    registers: new RegistersDraft(registers),
    members,
    get: (nodeId) => members.get(nodeId) ?? draft.get(nodeId),
  };
  for (const change of record.signed.proposal.changes) {
    const why = tryChange(trial, change);
    if (why !== undefined) return why;
  }
  const why = custodiansFault(draft, trial);
  if (why !== undefined) return why;
  for (const member of members.values()) draft.put(member);
  registers.absorb(trial.registers);
  return undefined;
}

/** E3: a cluster has 1 to 256 custodians, counted when all of it is made. */
function custodiansFault(draft: RosterDraft, trial: Trial): string | undefined {
  if (trial.members.size === 0) return undefined;
  let count = 0;
  for (const { nodeId } of draft.all()) if (isCustodian(trial.get(nodeId)!)) count += 1;
  if (count === 0) return 'it would leave no custodian';
  return count > CUSTODIANS_MAX
    ? `it would make more than ${CUSTODIANS_MAX} custodians`
    : undefined;
}

const isCustodian = ({ role, status }: RosterMember): boolean =>
  role === 'custodian' && status === 'member';

/** @returns why it is impossible. */
function tryChange(trial: Trial, change: ProposedChange): string | undefined {
  const { registers } = trial;
  switch (change.op) {
    case 'add':
    case 'remove':
    case 'expel':
    case 'zone':
    case 'weight':
      return tryMember(trial, change);
    case 'parameter':
      registers.parameters = { ...registers.parameters, [change.name]: change.value };
      return undefined;
    case 'quota': {
      const { op: _, ...quota } = change;
      if (trial.get(change.nodeId)?.status !== 'member') return nobody(change.nodeId);
      registers.quotas.set(change.nodeId, quota);
      return undefined;
    }
    case 'namespace': {
      const { path, owners, writers } = change;
      const stranger = [...owners, ...writers].find(
        (nodeId) => trial.get(nodeId)?.status !== 'member',
      );
      if (stranger !== undefined) return nobody(stranger);
      const isNew = registers.namespaces.get(path) === undefined;
      if (isNew && registers.namespaces.size >= LIMITS.namespaces) return 'too many namespaces';
      registers.namespaces.set(path, { path, owners, writers });
      return undefined;
    }
    case 'protocol': {
      const { version, raise } = registers.protocol;
      // V1: one by one.
      if (change.version !== version + 1) return `the protocol version is ${version}`;
      if (raise !== undefined) return `the protocol version ${raise} is decided already`;
      registers.protocol = { version, raise: change.version };
      return undefined;
    }
    default:
      return unreachable(change);
  }
}

const nobody = (nodeId: string): string => `${nodeId} is no member`;

function tryMember(
  { members, get }: Trial,
  change: Extract<ProposedChange, { op: 'add' | 'remove' | 'expel' | 'zone' | 'weight' }>,
): string | undefined {
  const { nodeId } = change;
  const member = get(nodeId);
  if (member?.status !== 'member') return nobody(nodeId);
  const put = (changed: Partial<RosterMember>): undefined => {
    members.set(nodeId, { ...member, ...changed, hasLeaf: true });
  };
  switch (change.op) {
    case 'add':
      if (member.role === 'custodian') return `${nodeId} is a custodian already`;
      // S8
      if (member.isFrozen) return `${nodeId} is frozen`;
      return put({ role: 'custodian' });
    case 'remove':
      if (member.role !== 'custodian') return `${nodeId} is no custodian`;
      return put({ role: 'agent' });
    case 'expel':
      return put({
        role: 'agent',
        status: 'left',
        retiredNetworkKey: undefined,
        retiredOnionKey: undefined,
      });
    case 'zone':
      return put({ zone: change.zone });
    case 'weight':
      return put({ storageWeight: change.storageWeight });
    default:
      return unreachable(change);
  }
}

/** V2: the version of the next block; by those who are custodians then. */
export function raiseProtocol({ draft, registers }: ProposalContext): void {
  const { raise } = registers.protocol;
  if (raise === undefined) return;
  let [count, ready] = [0, 0];
  for (const member of draft.all()) {
    if (!isCustodian(member)) continue;
    count += 1;
    if (!member.isFrozen && (member.readiness?.protocol ?? 0) >= raise) ready += 1;
  }
  if (ready >= quorumOf(count)) registers.protocol = { version: raise };
}
