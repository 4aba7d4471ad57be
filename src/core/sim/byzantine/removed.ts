/** A custodian that was removed, and goes on as if it had not been: it signs at heights to come. */
import { type Attacker, envelopeOf } from './attack.ts';
import { type Behaviour, behaviour, UNPROVABLE } from './behaviour.ts';
import { consensusOf } from './hear.ts';

const REMOVED = { ...UNPROVABLE, needs: ['member-change'] } as const;

const isRemoved = ({ index }: Attacker): boolean => index === -1;

/** Votes for whatever is proposed, gives every view up, and claims to be behind a false block. */
const removedSigner = behaviour('removed-signer', REMOVED, (attacker) => {
  let heard:
    | { readonly height: number; readonly view: number; readonly digest: string }
    | undefined;
  return {
    hear(input) {
      const message = consensusOf(input);
      if (message?.type === 'proposal') heard = message;
      return [input];
    },
    tick() {
      if (!isRemoved(attacker) || heard === undefined) return [];
      attacker.strike();
      const { height, view, digest } = heard;
      const { random } = attacker.tools;
      const place = { height: height + random.between(0, 1), view: view + random.between(0, 1) };
      const said = [
        attacker.vote('prepare', place, digest),
        attacker.vote('commit', place, digest),
        attacker.timeout(place.height, place.view, undefined),
      ];
      return attacker.others.flatMap((to) => said.map((message) => envelopeOf(to, message)));
    },
  };
});

export const REMOVED_BEHAVIOURS: readonly Behaviour[] = [removedSigner];
