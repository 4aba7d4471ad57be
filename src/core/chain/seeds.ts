/**
 * Rule L1 of docs/consensus.md: from one seed of leaders to the next. It verifies the proof that a
 * block carries and does not choose leaders, which is for `consensus/`.
 */

import { assert } from '../assert.ts';
import { sha256 } from '../crypto/hash.ts';
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
