/**
 * What others say, checked and written down. Nothing is done about it here: the rules look at the
 * state afterwards. Whatever a message holds, it costs a bounded number of verifications, and none
 * where what it proves is known already.
 */
import { unreachable } from '../assert.ts';
import { verifyCertificate, verifyTimeoutCertificate } from './certificate.ts';
import { createEvidence, verifyEvidence } from './evidence.ts';
import { LIMITS } from './limits.ts';
import type { ConsensusMessage, ProposalMessage, TimeoutMessage, VoteMessage } from './messages.ts';
import { comparePlaces } from './pen.ts';
import { digestMessage } from './signed-bytes.ts';
import type { State } from './state.ts';
import type { Sender } from './trust.ts';
import type { Certificate, Share, TimeoutCertificate } from './types.ts';

/** What the sender of a message may need from us. */
export type Need = 'nothing' | 'help' | 'our-place';

/** @param from index of the custodian at the other end of the link. */
export function take(
  state: State,
  from: number,
  message: Exclude<ConsensusMessage, { readonly type: 'status' }>,
): Need {
  switch (message.type) {
    case 'proposal':
      return takeProposal(state, from, message);
    case 'vote':
      return takeVote(state, from, message);
    case 'timeout':
      return takeTimeout(state, from, message);
    case 'certificate':
      takeCertificate(state, from, message.certificate);
      return 'nothing';
    case 'timeout-certificate':
      return takeTimeouts(state, from, message.certificate);
    case 'evidence':
      takeEvidence(state, from, message);
      return 'nothing';
    default:
      return unreachable(message);
  }
}

/** E6: whoever tells it, and whether or not the accused is a custodian still. */
export function takeEvidence(
  state: State,
  from: Sender,
  message: Extract<ConsensusMessage, { readonly type: 'evidence' }>,
): void {
  const { evidence } = message;
  const { scheme, clusterId } = state.setting;
  if (!state.evidenceBook.isNews(evidence)) return;
  if (!scheme.knows(evidence.height)) {
    // C3: what a retired key signs later accuses nobody, so the keys must be known.
    const isNext = evidence.height === state.height + 1;
    if (isNext && typeof from === 'number') state.ahead.keep(state.nameOf(from), message);
    return;
  }
  if (evidence.custodian >= (scheme.custodiansAt(evidence.height) ?? 0)) return;
  const isSound = state.holds(from, 'evidence', evidence.height, () =>
    verifyEvidence(evidence, scheme, clusterId),
  );
  if (isSound) state.keepEvidence(evidence);
}

/** Keeps what comes early; says what the sender needs if it is not in our height. */
function otherHeight(state: State, from: number, message: ConsensusMessage, height: number): Need {
  if (height < state.height) return 'help';
  if (height === state.height + 1) state.ahead.keep(state.nameOf(from), message);
  return 'our-place';
}

function takeProposal(state: State, from: number, message: ProposalMessage): Need {
  const { height, view, previous } = message;
  if (previous !== undefined) takeCertificate(state, from, previous);
  if (height !== state.height) return otherHeight(state, from, message, height);
  if (view < state.view) return 'help';
  if (from !== state.leaders.leaderOf(height, view) || state.trust.isMuted(from)) {
    return 'nothing';
  }
  if (view > 0 !== (message.timeout !== undefined)) return 'nothing';
  const timeout = message.timeout && withKnownHigh(state, message.timeout);
  if (timeout !== undefined && timeout.view !== view - 1) return 'nothing';
  if (view > state.view) takeTimeouts(state, from, timeout!);
  if (view !== state.view) return 'nothing';
  if (state.proposal !== undefined) compareProposals(state, from, message);
  else if (mayPropose(state, from, { ...message, timeout })) noteProposal(state, from, message);
  return 'nothing';
}

/** P3: signed by the leader, and in agreement with P2. */
function mayPropose(state: State, from: number, message: ProposalMessage): boolean {
  const { height, timeout, signature } = message;
  const { clusterId, scheme } = state.setting;
  const bytes = digestMessage(clusterId, 'proposal', height, message.view, message.digest);
  if (!scheme.verifyProposal(from, height, bytes, signature)) {
    state.lied(from, 'proposal');
    return false;
  }
  if (timeout === undefined) return true;
  if (timeout.height !== height || !holdTimeouts(state, timeout)) {
    state.lied(from, 'timeout certificate of a proposal');
    return false;
  }
  // T5: what its leader was told may be news to us.
  if (timeout.high !== undefined) state.learnPrepared(timeout.high);
  // P2: in view v > 0 the digest of the certificate that the timeout certificate names.
  if (timeout.high === undefined || timeout.high.digest === message.digest) return true;
  state.lied(from, 'proposal of another digest than the certified one');
  return false;
}

function noteProposal(state: State, from: number, message: ProposalMessage): void {
  const { height, view, digest, payload, signature, timeout } = message;
  const isBound = timeout?.high !== undefined;
  const approval = state.approved.get(digest);
  const isApproved = approval === undefined ? undefined : isBound || approval.view === view;
  state.proposal = { digest, signature, isBound, isApproved };
  // Once the height is decided only the block that it was decided for is of use, and with this very
  // step the leaders of the height, by which the chain judges, may be over.
  const isDecided = state.commit !== undefined && state.commit.digest !== digest;
  if (approval === undefined && !isDecided) {
    state.out.tell({ type: 'check', height, view, digest, payload, proposer: from });
  }
}

/** Two proposals of one view are evidence against its leader. */
function compareProposals(
  state: State,
  from: number,
  { digest, signature }: { readonly digest: string; readonly signature: Uint8Array },
): void {
  const { setting, proposal, height, view, leader } = state;
  if (proposal === undefined || proposal.digest === digest) return;
  const slot = { kind: 'proposal', custodian: leader, height, view } as const;
  if (!state.evidenceBook.isNews(slot) || state.trust.isMuted(from)) return;
  const bytes = digestMessage(setting.clusterId, 'proposal', height, view, digest);
  if (!setting.scheme.verifyProposal(leader, height, bytes, signature)) {
    state.lied(from, 'proposal');
    return;
  }
  const claims = [proposal, { digest, signature }].map((claim) => {
    return { digest: claim.digest, highView: undefined, signature: claim.signature };
  });
  state.evidence(createEvidence(slot, claims[0]!, claims[1]!));
}

function takeVote(state: State, from: number, message: VoteMessage): Need {
  const { phase, height, view, digest, signature } = message;
  const share = { kind: phase, height, view, digest, highView: undefined, signature };
  if (height < state.height) {
    // Votes that come after a quorum are no surprise; one that is repeated shows a laggard.
    return isRepeated(state, from, share) ? 'help' : 'nothing';
  }
  if (height > state.height) return otherHeight(state, from, message, height);
  if (!isNear(state, view)) return 'our-place';
  const { proposal } = message;
  if (proposal !== undefined && phase === 'prepare' && view === state.view) {
    compareProposals(state, from, { digest, signature: proposal });
  }
  state.noteSeen(from, share);
  state.tally.add(from, share);
  return 'nothing';
}

function isRepeated(state: State, from: number, share: Share): boolean {
  const last = state.seen.get(from);
  state.noteSeen(from, share);
  return last !== undefined && comparePlaces(share, last) <= 0;
}

const isNear = (state: State, view: number): boolean =>
  view <= state.view + LIMITS.viewsAhead && view >= state.view - LIMITS.viewsBehind;

function takeTimeout(state: State, from: number, message: TimeoutMessage): Need {
  const { height, view, high, signature } = message;
  if (height !== state.height) return otherHeight(state, from, message, height);
  if (high !== undefined) {
    // It names the certificate by its view alone, which must not be a lie.
    const isNamed = high.phase === 'prepare' && high.height === height && high.view <= view;
    if (!isNamed || !takeCertificate(state, from, high)) return 'nothing';
  }
  const share = { kind: 'timeout', height, view, digest: undefined, highView: high?.view } as const;
  state.noteSeen(from, { ...share, signature });
  if (view < state.view) return 'help';
  if (!isNear(state, view)) return 'our-place';
  state.tally.add(from, { ...share, signature });
  // The height is final, though its block is still on the way: the sender may stop waiting.
  return state.commit === undefined ? 'nothing' : 'help';
}

/**
 * @param from undefined: it came with a block, and the chain has verified it.
 * @returns whether what it says is true, as far as that matters here.
 */
export function takeCertificate(
  state: State,
  from: Sender | undefined,
  certificate: Certificate,
): boolean {
  const { phase, height, view, digest } = certificate;
  if (height < state.height) return true;
  if (height > state.height) return takeHigher(state, from, certificate);
  const known = phase === 'prepare' ? state.prepared.get(view) : state.commit;
  if (known?.digest === digest) return true;
  if (!holds(state, from, certificate)) return false;
  if (phase === 'prepare') state.learnPrepared(certificate);
  else state.learnCommitted(certificate);
  return true;
}

/**
 * A certificate of a height shows that the height before is final; of `commit`, it itself. C3:
 * where the keys may have changed since, it may hold and show nothing; then the chain hears of it
 * first.
 */
function takeHigher(state: State, from: Sender | undefined, certificate: Certificate): boolean {
  const { phase, height, digest, signers } = certificate;
  const isCommit = phase === 'commit';
  const proven = isCommit ? height : height - 1;
  if (typeof from === 'number' && height === state.height + 1) {
    state.ahead.keep(state.nameOf(from), { type: 'certificate', certificate });
  }
  if (proven <= Math.max(state.target?.height ?? 0, state.commit?.height ?? 0)) return true;
  if (!holds(state, from, certificate)) return false;
  const others = state.nodeIdsOf(signers.filter((signer) => signer !== from));
  const sources = from === undefined ? others : [state.nameOf(from), ...others];
  state.learnTarget({ height: proven, digest: isCommit ? digest : undefined, from: sources });
  return true;
}

function holds(state: State, from: Sender | undefined, certificate: Certificate): boolean {
  if (from === undefined) return true;
  const { scheme, clusterId } = state.setting;
  const { phase, height } = certificate;
  return state.holds(from, `${phase} certificate`, height, () =>
    verifyCertificate(certificate, scheme, clusterId),
  );
}

export function takeTimeouts(state: State, from: number, received: TimeoutCertificate): Need {
  const certificate = withKnownHigh(state, received);
  const { height, view } = certificate;
  if (height !== state.height) {
    return otherHeight(state, from, { type: 'timeout-certificate', certificate }, height);
  }
  if (view < state.view || state.trust.isMuted(from)) return 'nothing';
  if (holdTimeouts(state, certificate)) state.learnTimeouts(certificate, from);
  else state.lied(from, 'timeout certificate');
  return 'nothing';
}

/**
 * What is known is not verified again; so it is not passed on in the form in which it came either,
 * or a liar could have us show a spoilt certificate to those who do not know it.
 */
function withKnownHigh(state: State, certificate: TimeoutCertificate): TimeoutCertificate {
  const { high, height } = certificate;
  const known = high && height === state.height ? state.prepared.get(high.view) : undefined;
  if (known === undefined || known === high || known.digest !== high?.digest) return certificate;
  return { ...certificate, high: known };
}

function holdTimeouts(state: State, certificate: TimeoutCertificate): boolean {
  if (state.entry === certificate) return true;
  const { scheme, clusterId } = state.setting;
  const isKnown = (high: Certificate): boolean =>
    state.prepared.get(high.view)?.digest === high.digest;
  return verifyTimeoutCertificate(certificate, scheme, clusterId, isKnown);
}
