/** What a leader can do wrong. */
import type { ChainMessage } from '../../chain/messages.ts';
import type { ProposalMessage } from '../../consensus/messages.ts';
import type { Block } from '../../model/block.ts';
import { MINUTE } from '../../units.ts';
import { type Attacker, alter } from './attack.ts';
import { type Behaviour, behaviour, foundOut, perhaps, UNPROVABLE } from './behaviour.ts';

/** Sends another block than its own machine has made; undefined: this one is left alone. */
const badBlock = (
  name: string,
  make: (proposal: ProposalMessage, attacker: Attacker) => Block | undefined,
): Behaviour =>
  behaviour(name, perhaps('proposal'), (attacker) => {
    /** By digest of the block that the machine has made: all get the same one instead. */
    const made = new Map<string, Block | undefined>();
    return {
      say(message) {
        if (message.type !== 'proposal') return [message];
        if (!made.has(message.digest)) made.set(message.digest, make(message, attacker));
        const block = made.get(message.digest);
        // What is proposed again is not wrong where the lie is the truth by chance.
        if (block === undefined || block.digest === message.digest) return [message];
        attacker.strike();
        return [attacker.propose(message, attacker.poison(block))];
      },
    };
  });

/** Execution is not what it says. */
const wrongStateRoot = badBlock('wrong-state-root', (proposal) =>
  alter(proposal, { stateRoot: new Uint8Array(32).fill(7) }),
);

/** L1: a proof that proves nothing. */
const wrongSeedProof = badBlock('wrong-seed-proof', (proposal, { tools }) => {
  const { header } = alter(proposal, {});
  if (header.seedProof === undefined) return undefined;
  return alter(proposal, { seedProof: tools.random.bytes(header.seedProof.length) });
});

/** A block from the far future, or from before the one that it follows. */
const wrongTime = badBlock('wrong-time', (proposal, { tools }) => {
  const { header } = alter(proposal, {});
  const isAhead = header.height === 1 || tools.random.chance(0.5);
  return alter(proposal, { time: isAhead ? header.time + 60 * MINUTE : 1 });
});

/** A header that claims to be from someone, somewhere or some view else. */
const falseHeader = badBlock('false-header', (proposal, { tools, others }) => {
  const { header } = alter(proposal, {});
  const lies = [
    { proposer: others[0]! },
    { previous: new Uint8Array(32).fill(7) },
    { view: header.view + 1 },
    { clusterId: 'another cluster' },
  ];
  return alter(proposal, tools.random.pick(lies)!);
});

/** Intents twice, or in a wrong order: sequences that are not the next ones. */
const wrongIntents = badBlock('wrong-intents', (proposal) => {
  const { intents } = alter(proposal, {});
  return intents.length === 0 ? undefined : alter(proposal, {}, [...intents, intents[0]!]);
});

/** P2 broken: another digest than the timeout certificate names. */
const unboundProposal = badBlock('unbound-proposal', (proposal) => {
  if (proposal.timeout?.high === undefined) return undefined;
  return alter(proposal, { time: alter(proposal, {}).header.time + 1 });
});

/** P6 broken: two blocks in one view, and votes for both. Each half gets one, or all get both. */
const conflictingProposals = (name: string, isSplit: boolean): Behaviour =>
  behaviour(name, foundOut('proposal', 'prepare', 'commit'), (attacker) => {
    /** By digest of the block that the machine has made. */
    const others = new Map<string, ProposalMessage>();
    return {
      say(message, to) {
        if (message.type !== 'proposal' && message.type !== 'vote') return [message];
        if (message.type === 'proposal' && !others.has(message.digest)) {
          attacker.strike();
          const block = alter(message, { time: alter(message, {}).header.time + 1 });
          others.set(message.digest, attacker.propose(message, block));
        }
        const other = others.get(message.digest);
        if (other === undefined) return [message];
        const changed =
          message.type === 'proposal'
            ? { ...message, ...pick(other) }
            : attacker.vote(
                message.phase,
                message,
                other.digest,
                message.proposal && other.signature,
              );
        if (isSplit) return attacker.isInHalf(to) ? [changed] : [message];
        return attacker.isInHalf(to) ? [changed, message] : [message, changed];
      },
    };
  });

const pick = ({ digest, payload, signature }: ProposalMessage) => ({ digest, payload, signature });

/** The block goes to as few as can make it final; the others hear of it by votes. */
const withheldBlock = behaviour('withheld-block', UNPROVABLE, (attacker) => ({
  say(message, to) {
    const { custodians, faultyMax } = attacker;
    const enough = custodians.size - faultyMax - 1;
    if (message.type !== 'proposal' || attacker.others.indexOf(to) < enough) return [message];
    attacker.strike();
    return [];
  },
  // Whoever asks for it gets nothing either.
  tell: (envelope) => (isAnswer(attacker.read(envelope)) ? [] : [envelope]),
}));

const isAnswer = ({ type }: ChainMessage): boolean => type === 'blocks' || type === 'candidate';

/** Proposes nothing; else it is honest. */
const lazyLeader = behaviour('lazy-leader', UNPROVABLE, (attacker) => ({
  say(message) {
    if (message.type !== 'proposal') return [message];
    attacker.strike();
    return [];
  },
}));

export const PROPOSAL_BEHAVIOURS: readonly Behaviour[] = [
  wrongStateRoot,
  wrongSeedProof,
  wrongTime,
  falseHeader,
  wrongIntents,
  unboundProposal,
  conflictingProposals('split-proposals', true),
  conflictingProposals('double-proposals', false),
  withheldBlock,
  lazyLeader,
];
