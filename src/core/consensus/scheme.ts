/**
 * The signatures that consensus rests on, as a port: real ones, or those of the simulator. The
 * custodians and their keys change by height (C1), so every question names the height that the
 * signature is for, and an index is that of the height's set.
 */
import { hasCode } from '../errors.ts';
import type { Signer } from '../ports.ts';

/** Signers of one message. */
export interface SignerGroup {
  readonly signers: readonly number[];
  readonly message: Uint8Array;
}

/** Functions over the keys of the custodians, who are named by their indices at a height. */
export interface VoteScheme {
  /**
   * Own share (BLS, 96 bytes) with the key in force. The same message gives the same bytes.
   * Undefined: refused, out of reach, or no custodian, and no vote is cast (G2, C4).
   */
  sign(height: number, message: Uint8Array): Uint8Array | undefined;
  /** False for anything malformed. */
  verify(signer: number, height: number, message: Uint8Array, signature: Uint8Array): boolean;
  /** Undefined when one of them is malformed. */
  aggregate(signatures: readonly Uint8Array[]): Uint8Array | undefined;
  /** Whether the aggregate holds one share of every signer of every group over its message. */
  verifyAggregate(height: number, groups: readonly SignerGroup[], signature: Uint8Array): boolean;
  /** With the identity key in force (Ed25519, 64 bytes). Undefined as in `sign`. */
  signProposal(height: number, message: Uint8Array): Uint8Array | undefined;
  verifyProposal(
    signer: number,
    height: number,
    message: Uint8Array,
    signature: Uint8Array,
  ): boolean;
  /**
   * Whether the custodians of this height and their keys are known for good. Of other heights a
   * signature that verifies does so by the keys known here, and one that does not is nobody's lie
   * (C3).
   */
  knows(height: number): boolean;
  /** How many custodians the height has: of those to come, the latest known ones (C3). */
  custodiansAt(height: number): number | undefined;
  /** Who has this index at the height. */
  nodeIdOf(custodian: number, height: number): string | undefined;
  /** The own index at the height; undefined: no custodian there. */
  ownIndex(height: number): number | undefined;
  /** The own consensus key in force, in hex, if its secret is at hand (K3). */
  ownKey(height: number): string | undefined;
  /** The own consensus key in force, in hex, whether or not its secret is at hand. */
  keyInForce(height: number): string | undefined;
  /** All own consensus keys of which the secret is at hand, in hex (K1). */
  heldKeys(): readonly string[];
}

/** C4: a signer that is not there, refuses or is out of reach costs what was to be signed. */
export function signOrNot(signer: Signer | undefined, message: Uint8Array): Uint8Array | undefined {
  try {
    return signer?.sign(message);
  } catch (error) {
    if (hasCode(error, 'SIGNER_REFUSED', 'SIGNER_UNREACHABLE')) return undefined;
    throw error;
  }
}
