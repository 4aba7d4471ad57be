/**
 * The rules of a height, as guarded commands: each looks whether it applies, acts, and says whether
 * it did. They are tried in turn until none applies, so that the order of events does not matter.
 */
import { namedRow } from './journal.ts';
import type { ConsensusMessage } from './messages.ts';
import type { State } from './state.ts';
import type { Phase, Share } from './types.ts';

export type Rule = (state: State) => boolean;

/** P5: a commit certificate makes the block final once the chain has executed it. */
const finalise: Rule = (state) => {
  const { commit } = state;
  const approval = commit === undefined ? undefined : state.approved.get(commit.digest);
  if (commit === undefined || approval === undefined) return false;
  if (state.viewSince !== undefined && commit.view === state.view) {
    state.pace.observe(state.leader, Math.max(0, state.now - state.viewSince));
  }
  state.enterHeight(commit, approval);
  return true;
};

/** P5: a block that is final, but not here, is fetched. */
const fetchFinal: Rule = (state) => {
  const { commit, proposal, finalised } = state;
  if (commit === undefined || (state.target?.height ?? 0) > finalised) return false;
  const isChecking = proposal?.digest === commit.digest && proposal.isApproved === undefined;
  if (isChecking) return false;
  const from = state.nodeIdsOf(commit.signers);
  state.learnTarget({ height: commit.height, digest: commit.digest, from });
  return true;
};

/** P4, P5, T4: quorums of shares become certificates. */
const certify: Rule = (state) => {
  const quorum = state.tally.take();
  if (quorum === undefined) return false;
  if (quorum.kind === 'timeouts') {
    const { view, groups, signature } = quorum.timeouts;
    const highView = groups.at(-1)?.highView;
    const high = highView === undefined ? undefined : state.prepared.get(highView);
    if (view < state.view || (highView !== undefined && high === undefined)) return true;
    state.learnTimeouts({ height: state.height, view, groups, signature, high });
    return true;
  }
  const { certificate } = quorum;
  if (certificate.phase === 'prepare') state.learnPrepared(certificate);
  else state.learnCommitted(certificate);
  // Votes travel to the leader, who returns one certificate a phase.
  if (state.setting.fanout === 'leader') {
    state.out.broadcast({ type: 'certificate', certificate });
  }
  return true;
};

/** T4: a prepare certificate shows that a quorum is in its view. */
const followCertificate: Rule = (state) => {
  if (state.high === undefined || state.high.view <= state.view) return false;
  state.enterView(state.high.view, undefined);
  return true;
};

/** T3: what f + 1 custodians have given up, one of them has that follows the rules. */
const joinTimeouts: Rule = (state) => {
  const view = state.tally.givenUpByOthers();
  if (!state.isVoting || view === undefined || view < state.view) return false;
  if (view > state.view) {
    state.enterView(view, undefined);
    giveUp(state);
    return true;
  }
  if (state.hasShare('timeout') || state.refused.has('timeout')) return false;
  return giveUp(state);
};

/** P1, P2: the leader asks the chain for what it may propose, once a view. */
const propose: Rule = (state) => {
  const { entry, view, height, asked, pen } = state;
  if (asked !== undefined || !state.isVoting || !state.isLeader) return false;
  if (state.refused.has('proposal')) return false;
  if (view > 0 && entry === undefined) return false;
  if (state.hasGivenUp || state.commit !== undefined) return false;
  // P6: after a restart only what was proposed before may be proposed again.
  const bound = pen.proposed ?? entry?.high?.digest;
  if (bound !== undefined) {
    state.asked = 'reproposal';
    state.out.tell({ type: 'reproposal-wanted', height, digest: bound });
    return true;
  }
  if (!state.isWaiting) return false;
  state.asked = 'build';
  state.out.tell({ type: 'build', height, view, previous: state.final?.digest ?? '' });
  return true;
};

/** P3: vote `prepare` once a view, for the first proposal that agrees with all rules. */
const prepare: Rule = (state) => {
  const { proposal } = state;
  if (!state.isVoting || proposal?.isApproved !== true) return false;
  const kinds = ['prepare', 'commit'] as const;
  if (state.hasGivenUp || kinds.some((kind) => state.hasShare(kind))) return false;
  return vote(state, 'prepare', proposal.digest);
};

/** P4: lock. Vote `commit` for what a quorum has prepared in this view. */
const commit: Rule = (state) => {
  const { high } = state;
  if (!state.isVoting || high?.view !== state.view || !state.approved.has(high.digest)) {
    return false;
  }
  if (state.hasShare('commit') || state.hasGivenUp) return false;
  return vote(state, 'commit', high.digest);
};

/** In their order: what is final goes before what is still to be decided. */
export const RULES: readonly Rule[] = [
  certify,
  finalise,
  fetchFinal,
  followCertificate,
  joinTimeouts,
  propose,
  prepare,
  commit,
];

/** @returns whether it was signed. */
function vote(state: State, phase: Phase, digest: string): boolean {
  if (state.refused.has(phase)) return false;
  const share = state.pen.vote(phase, digest);
  if (share === undefined) {
    // C4: it costs this vote; it is asked for again when what was said is repeated.
    state.refuse(phase);
    return false;
  }
  say(state, share);
  state.out.tell({ type: 'voted', phase, height: state.height, view: state.view, digest });
  return true;
}

/**
 * T2: sign a timeout that names `high`; from then on the pen has no vote left in this view.
 * @returns whether it was signed.
 */
export function giveUp(state: State): boolean {
  // C4: asked again, it names what it named before.
  if (!state.hasGivenUp) state.named = state.high;
  const { named, height, view } = state;
  const share = state.pen.giveUp(named?.view);
  if (share === undefined) {
    // C4.
    state.refuse('timeout');
    return false;
  }
  if (named !== undefined) state.out.persist(namedRow(named));
  say(state, share);
  state.out.tell({ type: 'voted', phase: 'timeout', height, view, digest: undefined });
  return true;
}

/** The own share counts too; it is durable with this step, before anybody else sees it (D1). */
function say(state: State, share: Share): void {
  state.tally.add(state.setting.self!, share);
  state.saidAt = state.now;
  sendShare(state, share);
}

/** The own proposal, when its block is here. */
function proposalMessage(state: State): ConsensusMessage | undefined {
  const { payload, pen, height, view, final, entry } = state;
  const { proposal } = pen.slot;
  if (payload === undefined || proposal === undefined) return undefined;
  const { digest, signature } = proposal;
  const proof = { previous: final, timeout: entry };
  return { type: 'proposal', height, view, digest, payload, ...proof, signature };
}

export function sendProposal(state: State): void {
  const message = proposalMessage(state);
  if (message !== undefined) state.out.broadcast(message);
  state.saidAt = state.now;
}

function shareMessageOf(state: State, share: Share): ConsensusMessage {
  const { kind, height, view, signature } = share;
  if (kind === 'timeout') {
    return { type: 'timeout', height, view, high: state.named, signature };
  }
  const digest = share.digest!;
  // After a restart another proposal of the leader may have come than the one that was voted for.
  const isProposed = kind === 'prepare' && state.proposal?.digest === digest;
  const proposal = isProposed ? state.proposal?.signature : undefined;
  return { type: 'vote', phase: kind, height, view, digest, signature, proposal };
}

/** Timeouts go to all; votes to all in small clusters, in larger ones to the leader. */
function sendShare(state: State, share: Share): void {
  const message = shareMessageOf(state, share);
  if (share.kind === 'timeout' || state.setting.fanout === 'all') state.out.broadcast(message);
  else if (!state.isLeader) state.out.send(state.leader, message);
}

/** Says again what was said in this view: what has not ended it may have been lost. */
export function repeat(state: State): void {
  const { self, custodians, fanout } = state.setting;
  state.saidAt = state.now;
  state.retry();
  const proposal = state.hasGivenUp ? undefined : proposalMessage(state);
  if (proposal?.type === 'proposal') {
    for (const to of custodians.keys()) {
      const { view, digest } = proposal;
      const hasVoted = state.tally.hasVote('prepare', view, digest, to);
      if (to !== self && !hasVoted) state.out.send(to, proposal);
    }
  }
  if (fanout === 'leader' && state.isLeader && state.high?.view === state.view) {
    state.out.broadcast({ type: 'certificate', certificate: state.high });
  }
  for (const share of state.pen.shares) sendShare(state, share);
}

/** Says to one custodian what it has not seen of this view. */
export function repeatTo(state: State, to: number): void {
  const proposal = proposalMessage(state);
  if (proposal !== undefined) state.out.send(to, proposal);
  const votesTo = state.setting.fanout === 'all' ? to : state.leader;
  for (const share of state.pen.shares) {
    if (share.kind === 'timeout' || votesTo === to) {
      state.out.send(to, shareMessageOf(state, share));
    }
  }
}
