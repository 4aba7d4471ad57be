/** What a custodian can do wrong with its votes and timeouts. */
import type { VoteMessage } from '../../consensus/messages.ts';
import { digestMessage } from '../../consensus/signed-bytes.ts';
import type { Certificate, Phase } from '../../consensus/types.ts';
import { otherDigest } from './attack.ts';
import { type Behaviour, behaviour, foundOut, perhaps, UNPROVABLE } from './behaviour.ts';
import { consensusOf } from './hear.ts';

/** P6 broken before everybody's eyes. */
const doubleVote = (phase: Phase): Behaviour =>
  behaviour(`double-${phase}`, foundOut(phase), (attacker) => ({
    say(message) {
      if (message.type !== 'vote' || message.phase !== phase) return [message];
      attacker.strike();
      return [message, attacker.vote(phase, message, otherDigest(message.digest))];
    },
  }));

/** P6 broken in secret: one half is told this, the other that. */
const twoFacedVotes = behaviour('two-faced-votes', perhaps('prepare', 'commit'), (attacker) => ({
  say(message, to) {
    if (message.type !== 'vote' || attacker.isInHalf(to)) return [message];
    attacker.strike();
    return [attacker.vote(message.phase, message, otherDigest(message.digest), message.proposal)];
  },
}));

/** P4 and T2 broken: it never tells what it is locked on. */
const hiddenLock = behaviour('hidden-lock', UNPROVABLE, (attacker) => ({
  say(message) {
    if (message.type === 'status') return [{ ...message, high: undefined }];
    if (message.type !== 'timeout') return [message];
    attacker.strike();
    return [attacker.timeout(message.height, message.view, undefined)];
  },
}));

/** Two timeouts of one view that name different certificates. */
const doubleTimeout = behaviour('double-timeout', foundOut('timeout'), (attacker) => {
  let high: Certificate | undefined;
  return {
    hear(input) {
      const heard = consensusOf(input);
      if (heard?.type === 'timeout' || heard?.type === 'status') high = heard.high ?? high;
      return [input];
    },
    say(message) {
      if (message.type !== 'timeout') return [message];
      const known = high?.height === message.height && high.view <= message.view ? high : undefined;
      const other = message.high === undefined ? known : undefined;
      if (message.high === other) return [message];
      attacker.strike();
      return [message, attacker.timeout(message.height, message.view, other)];
    },
  };
});

/** T2 broken: it commits in a view that it has given up. */
const voteAfterTimeout = behaviour('vote-after-timeout', UNPROVABLE, (attacker) => {
  const votes = new Map<string, VoteMessage>();
  return {
    hear(input) {
      const heard = consensusOf(input);
      if (heard?.type === 'vote') votes.set(`${heard.height}/${heard.view}`, heard);
      if (votes.size > 100) votes.clear();
      return [input];
    },
    say(message) {
      if (message.type !== 'timeout') return [message];
      const vote = votes.get(`${message.height}/${message.view}`);
      if (vote === undefined) return [message];
      attacker.strike();
      return [message, attacker.vote('commit', vote, vote.digest)];
    },
  };
});

/** Signatures that are broken, or made for another cluster. */
const invalidShares = behaviour('invalid-shares', UNPROVABLE, (attacker) => ({
  say(message) {
    if (message.type !== 'vote' && message.type !== 'timeout') return [message];
    attacker.strike();
    if (message.type === 'vote' && attacker.tools.random.chance(0.5)) {
      const { phase, height, view, digest } = message;
      const foreign = digestMessage('another cluster', phase, height, view, digest);
      return [{ ...message, signature: attacker.sign(height, foreign) }];
    }
    const signature = Uint8Array.from(message.signature);
    signature[0]! ^= 1;
    return [{ ...message, signature }];
  },
}));

/** Says everything three times, and hopes to be counted as often. */
const repeatedVotes = behaviour('repeated-votes', UNPROVABLE, (attacker) => ({
  say(message) {
    if (message.type !== 'vote' && message.type !== 'timeout') return [message];
    attacker.strike();
    return [message, message, message];
  },
}));

export const VOTE_BEHAVIOURS: readonly Behaviour[] = [
  doubleVote('prepare'),
  doubleVote('commit'),
  twoFacedVotes,
  hiddenLock,
  doubleTimeout,
  voteAfterTimeout,
  invalidShares,
  repeatedVotes,
];
