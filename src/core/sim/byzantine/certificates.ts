/** Certificates that certify nothing. */
import type { ConsensusMessage, VoteMessage } from '../../consensus/messages.ts';
import type { Certificate, TimeoutCertificate } from '../../consensus/types.ts';
import { type Attacker, envelopeOf, otherDigest } from './attack.ts';
import { type Behaviour, behaviour, UNPROVABLE } from './behaviour.ts';
import { certificatesIn, consensusOf } from './hear.ts';

const SHARE_BYTES = 96;

/** The first custodians: as many as a certificate needs, or fewer. */
const signersOf = (attacker: Attacker, missing = 0): number[] => {
  const { custodians, faultyMax } = attacker;
  return Array.from({ length: custodians.size - faultyMax - missing }, (_, index) => index);
};

/** With each vote a certificate that nobody has signed, for what is being voted on or not. */
const forgedCertificates = behaviour('forged-certificates', UNPROVABLE, (attacker) => ({
  say(message) {
    if (message.type !== 'vote') return [message];
    attacker.strike();
    const { random } = attacker.tools;
    const { phase, height, view } = message;
    const digest = random.chance(0.5) ? message.digest : otherDigest(message.digest);
    const signature = random.bytes(SHARE_BYTES);
    const certificate = { phase, height, view, digest, signers: signersOf(attacker), signature };
    return [{ type: 'certificate', certificate }, message];
  },
}));

/** Its own share, counted as often as a quorum needs. */
const repeatedSigner = behaviour('repeated-signer', UNPROVABLE, (attacker) => ({
  say(message) {
    if (message.type !== 'vote') return [message];
    attacker.strike();
    const signers = signersOf(attacker);
    const shares = signers.map(() => message.signature);
    const signature = attacker.tools.keys.votes.aggregate(shares)!;
    const { phase, height, view, digest } = message;
    return [
      { type: 'certificate', certificate: { phase, height, view, digest, signers, signature } },
      message,
    ];
  },
}));

/** Real shares, one too few of them. */
const thinCertificates = behaviour('thin-certificates', UNPROVABLE, (attacker) => {
  const heard = new Map<string, Map<number, VoteMessage>>();
  const slotOf = ({ phase, height, view, digest }: VoteMessage): string =>
    `${phase} ${height} ${view} ${digest}`;
  return {
    hear(input) {
      const message = consensusOf(input);
      if (input.type !== 'message' || message?.type !== 'vote') return [input];
      if (heard.size > 100) heard.clear();
      const slot = slotOf(message);
      const votes = heard.get(slot) ?? new Map<number, VoteMessage>();
      heard.set(slot, votes.set(attacker.custodians.indexOf(input.from), message));
      return [input];
    },
    say(message) {
      const { custodians, faultyMax, index } = attacker;
      if (message.type !== 'vote' || index === -1) return [message];
      const { phase, height, view, digest } = message;
      const known = [...(heard.get(slotOf(message)) ?? []), [index, message]] as [
        number,
        VoteMessage,
      ][];
      const few = known.slice(-(custodians.size - faultyMax - 1)).toSorted(([a], [b]) => a - b);
      const signers = few.map(([signer]) => signer);
      const signature = attacker.tools.keys.votes.aggregate(few.map(([, vote]) => vote.signature))!;
      attacker.strike();
      const certificate = { phase, height, view, digest, signers, signature };
      return [{ type: 'certificate', certificate }, message];
    },
  };
});

/** Real certificates with another phase, view, height or digest on them. */
const relabelledCertificates = behaviour('relabelled-certificates', UNPROVABLE, (attacker) => {
  let real: Certificate | undefined;
  return {
    hear(input) {
      const message = consensusOf(input);
      if (message !== undefined) real = certificatesIn(message).at(-1) ?? real;
      return [input];
    },
    say(message) {
      if (message.type !== 'vote' || real === undefined) return [message];
      attacker.strike();
      const { height, view, digest } = message;
      const labels: readonly Partial<Certificate>[] = [
        { phase: real.phase === 'prepare' ? 'commit' : 'prepare' },
        { height, view, digest, phase: 'prepare' },
        { height, view, digest, phase: 'commit' },
        { view: real.view + 1 },
        { digest: otherDigest(real.digest) },
      ];
      const certificate = { ...real, ...attacker.tools.random.pick(labels) };
      return [{ type: 'certificate', certificate }, message];
    },
  };
});

/** Timeout certificates from nobody, from too few, or with a lock that does not exist. */
const forgedTimeouts = behaviour('forged-timeouts', UNPROVABLE, (attacker) => {
  const forge = (height: number, view: number, groups: TimeoutCertificate['groups']) => {
    const signature = attacker.timeout(height, view, undefined).signature;
    return { height, view, groups, signature, high: undefined };
  };
  const lieOf = (message: VoteMessage): ConsensusMessage => {
    const { height, view, digest } = message;
    const { index } = attacker;
    const { random } = attacker.tools;
    const all = [{ highView: undefined, signers: signersOf(attacker) }];
    const alone = [{ highView: undefined, signers: [index] }];
    const signature = random.bytes(SHARE_BYTES);
    const signers = signersOf(attacker);
    const high: Certificate = { phase: 'prepare', height, view, digest, signers, signature };
    const lies: readonly ConsensusMessage[] = [
      { type: 'timeout-certificate', certificate: forge(height, view, all) },
      { type: 'timeout-certificate', certificate: forge(height, view, alone) },
      { ...attacker.timeout(height, view + 1, high) },
    ];
    return random.pick(lies)!;
  };
  return {
    say(message) {
      if (message.type !== 'vote') return [message];
      attacker.strike();
      return [lieOf(message), message];
    },
  };
});

/** Accuses others of what they have not done. */
const falseEvidence = behaviour('false-evidence', UNPROVABLE, (attacker) => {
  let heard: VoteMessage | undefined;
  let custodian = 0;
  return {
    hear(input) {
      const message = consensusOf(input);
      if (input.type === 'message' && message?.type === 'vote') {
        heard = message;
        custodian = attacker.custodians.indexOf(input.from);
      }
      return [input];
    },
    tick() {
      if (heard === undefined) return [];
      attacker.strike();
      const { phase, height, view, digest, signature } = heard;
      const other = otherDigest(digest);
      const real = { digest, highView: undefined, signature };
      const mine = attacker.vote(phase, heard, other).signature;
      const claims = [mine, signature].map((forged) => {
        const fake = { digest: other, highView: undefined, signature: forged };
        return other < digest ? ([fake, real] as const) : ([real, fake] as const);
      });
      return attacker.others.flatMap((to) =>
        [...claims, [real, real] as const].map((pair) =>
          envelopeOf(to, {
            type: 'evidence',
            evidence: { kind: phase, custodian, height, view, claims: pair },
          }),
        ),
      );
    },
  };
});

export const CERTIFICATE_BEHAVIOURS: readonly Behaviour[] = [
  forgedCertificates,
  repeatedSigner,
  thinCertificates,
  relabelledCertificates,
  forgedTimeouts,
  falseEvidence,
];
