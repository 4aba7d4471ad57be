/**
 * Rule L1 of docs/consensus.md: from one seed of leaders to the next. It verifies the proof that a
 * block carries and does not choose leaders, which is for `consensus/`.
 */

import { assert } from '../assert.ts';
import { proveVrf, verifyVrf } from '../crypto/vrf.ts';

export interface SeedScheme {
  /** Own ECVRF proof, 80 bytes. */
  prove(alpha: Uint8Array): Uint8Array;
  /** The output of a custodian's proof (beta, 64 bytes), or undefined when it does not hold. */
  verify(custodian: number, alpha: Uint8Array, proof: Uint8Array): Uint8Array | undefined;
}

/** The scheme over `crypto/vrf.ts`. */
export const vrfScheme = (options: {
  /** Undefined for a node that does not propose. */
  readonly self?: { readonly vrfSeed: Uint8Array } | undefined;
  /** In the order of their consensus index. */
  readonly custodians: readonly { readonly vrfKey: Uint8Array }[];
}): SeedScheme => ({
  prove(alpha) {
    assert(options.self !== undefined, 'only a custodian proves a seed');
    return proveVrf(options.self.vrfSeed, alpha);
  },
  verify(custodian, alpha, proof) {
    const key = options.custodians[custodian]?.vrfKey;
    return key === undefined ? undefined : verifyVrf(key, alpha, proof);
  },
});
