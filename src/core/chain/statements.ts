/**
 * What statements do to the roster and to proposals. A function of both as they were before, of the
 * statements and of the time of the block, and of nothing else. Their signatures have been
 * verified; who may have handed them in does not matter.
 */
import { unreachable } from '../assert.ts';
import { isAegisError } from '../errors.ts';
import {
  admissionFault,
  type Departure,
  type Invitation,
  NO_ADMISSION,
  type SignedAdmission,
} from '../model/membership.ts';
import type { Statement } from '../model/statement.ts';
import {
  type KeyState,
  originOf,
  type SignedSuccession,
  type Succession,
  successionFault,
} from '../model/succession.ts';
import { type Verified, verified } from '../units.ts';
import { LIMITS } from './limits.ts';
import {
  approve,
  type ProposalContext,
  type ProposalRefusal,
  propose,
  ready,
} from './proposals.ts';
import { hasRun, historyOf, type RosterMember } from './roster.ts';
import type { RosterDraft } from './roster-draft.ts';

export type StatementRefusal =
  | ProposalRefusal
  | 'bad-succession'
  | 'key-taken'
  | 'name-taken'
  | 'bad-invitation'
  | 'not-a-member'
  | 'already-a-member'
  | 'bad-departure';

export type StatementResult = 'done' | 'unchanged' | StatementRefusal;

/** What a statement is executed upon. */
export interface StatementContext extends ProposalContext {
  /** Digest (hex) of the admission that has used an invitation. */
  usedBy(invitationId: string): string | undefined;
  use(invitationId: string, admission: string): void;
}

export function executeStatement(context: StatementContext, statement: Statement): StatementResult {
  switch (statement.type) {
    case 'succession':
      return succeed(context, statement.signed);
    case 'duplicity':
      return freezeFor(context, statement.nodeId, [statement.a, statement.b]);
    case 'admission':
      return admit(context, statement.signed);
    case 'departure':
      return depart(context, statement.signed.departure);
    case 'proposal':
      return propose(context, statement.signed);
    case 'approval':
      return approve(context, statement.signed.approval);
    case 'readiness':
      return ready(context, statement.signed.readiness);
    default:
      return unreachable(statement);
  }
}

function succeed({ draft, time }: StatementContext, signed: SignedSuccession): StatementResult {
  const { succession, digest } = signed;
  const { nodeId, number } = succession;
  const member = draft.get(nodeId);
  if (member?.history[number]?.digest === digest) return 'unchanged';
  if (member === undefined || member.status === 'left') return 'not-a-member';
  if (member.isFrozen) return 'frozen';
  if (number <= member.keys.number) {
    // S8: the one that is final counts; this one is evidence, if it would have followed.
    if (isFork(draft, member, succession)) draft.put({ ...member, isFrozen: true, hasLeaf: true });
    return 'bad-succession';
  }
  if (number > LIMITS.entries || successionFault(member.keys, succession) !== undefined) {
    return 'bad-succession';
  }
  // S6, and none of its own past.
  const isBack = succession.replaced.includes('identity') && hasRun(member, succession.revealed);
  if (isBack || draft.owners.isTaken(succession)) return 'key-taken';
  draft.put({
    ...member,
    ...followed(member, [verified(signed)]),
    ...retired(member, signed, time),
  });
  return 'done';
}

/**
 * S8: whether an entry speaks against its node when there is another one in its place. It does not
 * when whoever has the running home could have signed it, nor when S6 keeps it from ever counting:
 * then the owner had to make another one.
 */
function isFork(draft: RosterDraft, member: RosterMember, entry: Succession): boolean {
  const before = member.history[entry.number - 1];
  // Until what it follows is final here, nobody can say whether it does.
  if (before === undefined || hasRun(member, entry.revealed)) return false;
  return !draft.owners.isOfOther(entry) && successionFault(before, entry) === undefined;
}

type RetiredKeys = Pick<RosterMember, 'retiredNetworkKey' | 'retiredOnionKey'>;

const NOTHING_RETIRED: RetiredKeys = { retiredNetworkKey: undefined, retiredOnionKey: undefined };

/** H2, O18: the time of the block is that of the whole cluster. */
function retired(
  { keys: { keys }, retiredNetworkKey, retiredOnionKey }: RosterMember,
  { succession: { replaced, graceMs } }: SignedSuccession,
  time: number,
): RetiredKeys {
  const until = time + graceMs;
  return {
    retiredNetworkKey: replaced.includes('network')
      ? { key: keys.networkKey, until }
      : retiredNetworkKey,
    retiredOnionKey: replaced.includes('onion') ? { key: keys.onionKey, until } : retiredOnionKey,
  };
}

function followed(
  member: Pick<RosterMember, 'history' | 'succession'>,
  entries: readonly Verified<SignedSuccession>[],
): Pick<RosterMember, 'history' | 'succession' | 'keys'> {
  const added = historyOf(member.history.at(-1)!, entries).slice(1);
  const history = [...member.history, ...added];
  return { history, keys: history.at(-1)!, succession: [...member.succession, ...entries] };
}

/** S8. */
function freezeFor(
  { draft }: StatementContext,
  nodeId: string,
  [a, b]: readonly [SignedSuccession, SignedSuccession],
): StatementResult {
  const member = draft.get(nodeId);
  if (member === undefined) return 'not-a-member';
  if (member.isFrozen) return 'unchanged';
  if (![a, b].every(({ succession }) => isFork(draft, member, succession))) return 'bad-succession';
  draft.put({ ...member, isFrozen: true, hasLeaf: true });
  return 'done';
}

/** M3. */
function depart({ draft }: StatementContext, departure: Departure): StatementResult {
  const { nodeId, keyEpoch } = departure;
  const member = draft.get(nodeId);
  if (member === undefined || member.status === 'left') return 'not-a-member';
  if (member.isFrozen) return 'frozen';
  // A1: by the key that was in force before the block.
  const isInForce = keyEpoch === draft.before.keyEpochOf(nodeId);
  const isOfThisStay = departure.admission === (member.admission ?? NO_ADMISSION);
  if (member.role === 'custodian' || !isInForce || !isOfThisStay) return 'bad-departure';
  draft.put({ ...member, status: 'left', hasLeaf: true, ...NOTHING_RETIRED });
  return 'done';
}

/** M2. */
function admit(context: StatementContext, signed: SignedAdmission): StatementResult {
  const { draft } = context;
  const { nodeId } = signed.admission;
  const { invitation } = signed.invitation;
  const known = draft.get(nodeId);
  if (context.usedBy(invitation.id) === signed.digest) return 'unchanged';
  if (known?.isFrozen === true) return 'frozen';
  if (known?.status === 'member') return 'already-a-member';
  if (!isInviting(context, invitation)) return 'bad-invitation';
  // Proofs of possession cost most, so they come last.
  const past = pastOf(known, signed);
  if (past === undefined) return 'bad-succession';
  if (draft.owners.isAnyOfOther(nodeId, past.history)) return 'key-taken';
  const { name, zone, region } = signed.bundle.inception;
  for (const member of draft.all()) {
    const isOther = member.nodeId !== nodeId && member.status === 'member';
    if (isOther && member.name === name) return 'name-taken';
  }
  if (admissionFault(signed) !== undefined) return 'bad-succession';
  const { inception, addresses, storageWeight } = signed.bundle.bundle;
  context.use(invitation.id, signed.digest);
  draft.put({
    nodeId,
    name,
    zone,
    region,
    role: 'agent',
    ...past,
    firstEntries: known?.firstEntries ?? past.succession.length,
    inception: known?.inception ?? inception,
    addresses,
    storageWeight,
    since: context.height + 1,
    isFrozen: false,
    status: 'member',
    admission: signed.digest,
    inviter: invitation.inviter,
    readiness: known?.readiness,
    hasLeaf: true,
    bundle: known === undefined ? signed.bundle.bytes : known.bundle,
  });
  return 'done';
}

/** M1. */
function isInviting(context: StatementContext, invitation: Invitation): boolean {
  const { draft, time } = context;
  const inviter = draft.get(invitation.inviter);
  if (inviter?.role !== 'custodian' || inviter.isFrozen) return false;
  if (invitation.keyEpoch !== inviter.keys.keyEpoch) return false;
  if (time >= invitation.expiresAt || context.usedBy(invitation.id) !== undefined) return false;
  return hasRoom(draft, invitation);
}

/** Guests that are members now, and all that ever were: their records stay. */
function hasRoom(draft: RosterDraft, { inviter, nodeId }: Invitation): boolean {
  let [now, ever] = [0, 0];
  for (const member of draft.all()) {
    if (member.inviter !== inviter || member.nodeId === nodeId) continue;
    ever += 1;
    if (member.status === 'member') now += 1;
  }
  return now < LIMITS.guests && ever < LIMITS.guestsEver;
}

/** All keys that the joiner has had. Of one that comes back, those that are known stay. */
function pastOf(
  known: RosterMember | undefined,
  { bundle }: SignedAdmission,
): Pick<RosterMember, 'history' | 'succession' | 'keys'> | undefined {
  const entries = bundle.succession.map((entry) => verified(entry));
  if (known !== undefined) {
    const isSame = known.succession.every(({ digest }, at) => entries[at]?.digest === digest);
    return isSame ? tryFollow(known, entries.slice(known.succession.length)) : undefined;
  }
  const { consensusKey, possession, vrfKey, inception: inceptionBytes } = bundle.bundle;
  const { nodeId, inception } = bundle;
  const origin = originOf({ nodeId, inception, inceptionBytes, consensusKey, possession, vrfKey });
  return tryFollow({ history: [origin], succession: [] }, entries);
}

/** What a bundle follows need not be what is known here: its first keys of consensus may differ. */
function tryFollow(
  before: {
    readonly history: readonly KeyState[];
    readonly succession: RosterMember['succession'];
  },
  entries: readonly Verified<SignedSuccession>[],
): Pick<RosterMember, 'history' | 'succession' | 'keys'> | undefined {
  try {
    return followed(before, entries);
  } catch (error) {
    if (isAegisError(error)) return undefined;
    throw error;
  }
}
