/**
 * Rule L1 of docs/consensus.md: from one seed of leaders to the next. It verifies the proof that a
 * block carries and does not choose leaders, which is for `consensus/`.
 */

import type { CustodianKey, CustodianSets } from '../consensus/custodian-sets.ts';
import { sha256 } from '../crypto/hash.ts';
import { readVrfOutput, verifyVrf } from '../crypto/vrf.ts';
import type { KeyRing } from '../ports.ts';

export interface SeedScheme {
  /**
   * Own ECVRF proof, 80 bytes, with the key in force at a height. Undefined: that key is not at
   * hand, or its signer refuses; then this node makes no block that needs one.
   */
  prove(height: number, alpha: Uint8Array): Uint8Array | undefined;
  /**
   * The output of a custodian's proof (beta, 64 bytes), or undefined when it does not hold.
   * @param custodian its index at that height.
   */
  verify(
    custodian: number,
    height: number,
    alpha: Uint8Array,
    proof: Uint8Array,
  ): Uint8Array | undefined;
  /** The output of a proof that a quorum has verified; undefined for what is no proof. */
  output(proof: Uint8Array): Uint8Array | undefined;
}

/** The scheme over `crypto/vrf.ts`. */
export const vrfScheme = (options: {
  /** Undefined for a node that does not propose. */
  readonly self?: { readonly nodeId: string; readonly ring: Pick<KeyRing, 'seeds'> } | undefined;
  readonly sets: Pick<CustodianSets, 'at'>;
}): SeedScheme => {
  const { self, sets } = options;
  const keyAt = (custodian: number, height: number): CustodianKey | undefined =>
    sets.at(height)?.custodians[custodian];
  return {
    prove(height, alpha) {
      const index = self === undefined ? -1 : (sets.at(height)?.indexOf(self.nodeId) ?? -1);
      const own = keyAt(index, height);
      return own && self?.ring.seeds(own.vrfKey)?.prove(alpha);
    },
    verify(custodian, height, alpha, proof) {
      const key = keyAt(custodian, height)?.vrfKey;
      return key === undefined ? undefined : verifyVrf(key, alpha, proof);
    },
    output: readVrfOutput,
  };
};

/** What a proposer proves at the last height of seed epoch `epoch`. */
export const seedAlpha = (seed: Uint8Array, epoch: number): Uint8Array =>
  joined('aegis/seed/1\0', seed, [epoch]);

/**
 * L1: the seed after that of `epoch`, by the block at its last height, first proposed in `view`.
 * @param beta the output of the proof.
 */
export const nextSeed = (
  seed: Uint8Array,
  epoch: number,
  view: number,
  beta: Uint8Array,
): Uint8Array => sha256(view === 0 ? beta : joined('aegis/seed-failed/1\0', seed, [epoch, view]));

function joined(domain: string, seed: Uint8Array, numbers: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * numbers.length));
  for (const [at, number] of numbers.entries()) view.setBigUint64(8 * at, BigInt(number));
  return Buffer.concat([Buffer.from(domain), seed, new Uint8Array(view.buffer)]);
}
