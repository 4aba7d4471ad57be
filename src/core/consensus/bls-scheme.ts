/** The real signatures: BLS shares with the consensus keys, Ed25519 with the identity keys. */
import { assert } from '../assert.ts';
import {
  aggregateBls,
  aggregateVerify,
  type BlsPublicKey,
  fastAggregateVerify,
  openBlsKey,
  signBls,
  verifyBls,
} from '../crypto/bls.ts';
import { verifyEd25519 } from '../crypto/sign.ts';
import { hasCode } from '../errors.ts';
import type { Signer } from '../ports.ts';
import type { VoteScheme } from './scheme.ts';

export interface BlsSchemeOptions {
  /** What this node signs with; undefined: an agent, which verifies only. */
  readonly self?: {
    readonly index: number;
    readonly consensusSecret: Uint8Array;
    readonly identity: Signer;
  };
  /** Every consensus key has proved its possession when the genesis was read. */
  readonly custodians: readonly {
    readonly consensusKey: Uint8Array;
    readonly identityKey: Uint8Array;
  }[];
}

export function blsScheme({ self, custodians }: BlsSchemeOptions): VoteScheme {
  // Decoded and group-checked when first needed, since that costs as much as a verification.
  const opened = new Map<number, BlsPublicKey | undefined>();
  const keyOf = (signer: number): BlsPublicKey | undefined => {
    const member = custodians[signer];
    if (member === undefined) return undefined;
    if (!opened.has(signer)) opened.set(signer, openBlsKey(member.consensusKey));
    return opened.get(signer);
  };
  const keysOf = (signers: readonly number[]): BlsPublicKey[] | undefined => {
    const keys = signers.map(keyOf).filter((key) => key !== undefined);
    return keys.length === signers.length ? keys : undefined;
  };
  return {
    sign: (message) => {
      assert(self !== undefined, 'an agent signs no votes');
      return signBls(self.consensusSecret, message);
    },
    verify: (signer, message, signature) => {
      const key = keyOf(signer);
      return key !== undefined && verifyBls(key, message, signature);
    },
    aggregate: (signatures) => {
      try {
        return aggregateBls(signatures);
      } catch (error) {
        if (hasCode(error, 'BAD_SIGNATURE')) return undefined;
        throw error;
      }
    },
    verifyAggregate: (groups, signature) => {
      const keys = keysOf(groups.flatMap(({ signers }) => signers));
      if (keys === undefined || keys.length === 0) return false;
      const [first] = groups;
      if (groups.length === 1) return fastAggregateVerify(keys, first!.message, signature);
      const messages = groups.flatMap(({ signers, message }) => signers.map(() => message));
      return aggregateVerify(keys, messages, signature);
    },
    signProposal: (message) => {
      assert(self !== undefined, 'an agent signs no proposals');
      return self.identity.sign(message);
    },
    verifyProposal: (signer, message, signature) => {
      const member = custodians[signer];
      return member !== undefined && verifyEd25519(member.identityKey, message, signature);
    },
  };
}
