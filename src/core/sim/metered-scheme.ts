/** The signatures of a simulated node, each of which takes the time that a real one takes. */
import type { SeedScheme } from '../chain/seeds.ts';
import type { VoteScheme } from '../consensus/scheme.ts';
import type { Core } from './core.ts';

const PHASE = 'votes and certificates';

export function meteredVotes(scheme: VoteScheme, core: Core): VoteScheme {
  const { prices } = core;
  const pay = (ms: number): void => core.charge(PHASE, ms);
  return {
    ...scheme,
    sign: (height, message) => {
      pay(prices.blsSign);
      return scheme.sign(height, message);
    },
    verify: (signer, height, message, signature) => {
      pay(prices.blsVerify);
      return scheme.verify(signer, height, message, signature);
    },
    aggregate: (signatures) => {
      pay(signatures.length * prices.blsAdd);
      return scheme.aggregate(signatures);
    },
    verifyAggregate: (height, groups, signature) => {
      const signers = groups.reduce((count, group) => count + group.signers.length, 0);
      const { blsCertificate, blsSigner, blsMessage } = prices;
      pay(blsCertificate + signers * (groups.length > 1 ? blsMessage : blsSigner));
      return scheme.verifyAggregate(height, groups, signature);
    },
    signProposal: (height, message) => {
      pay(prices.ed25519Sign);
      return scheme.signProposal(height, message);
    },
    verifyProposal: (signer, height, message, signature) => {
      pay(prices.ed25519Verify);
      return scheme.verifyProposal(signer, height, message, signature);
    },
  };
}

export function meteredSeeds(scheme: SeedScheme, core: Core): SeedScheme {
  const { prices } = core;
  return {
    prove: (height, alpha) => {
      core.charge(PHASE, prices.seedProve);
      return scheme.prove(height, alpha);
    },
    verify: (custodian, height, alpha, proof) => {
      core.charge(PHASE, prices.seedVerify);
      return scheme.verify(custodian, height, alpha, proof);
    },
    output: (proof) => scheme.output(proof),
  };
}
