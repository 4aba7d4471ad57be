/** The signatures that consensus rests on, as a port: real ones, or those of the simulator. */

/** Signers of one message. */
export interface SignerGroup {
  readonly signers: readonly number[];
  readonly message: Uint8Array;
}

/** Pure functions over the keys of the custodians, who are named by their indices. */
export interface VoteScheme {
  /** Own share (BLS, 96 bytes). The same message gives the same bytes. */
  sign(message: Uint8Array): Uint8Array;
  /** False for anything malformed. */
  verify(signer: number, message: Uint8Array, signature: Uint8Array): boolean;
  /** Undefined when one of them is malformed. */
  aggregate(signatures: readonly Uint8Array[]): Uint8Array | undefined;
  /** Whether the aggregate holds one share of every signer of every group over its message. */
  verifyAggregate(groups: readonly SignerGroup[], signature: Uint8Array): boolean;
  /** With the identity key (Ed25519, 64 bytes). The same message gives the same bytes. */
  signProposal(message: Uint8Array): Uint8Array;
  verifyProposal(signer: number, message: Uint8Array, signature: Uint8Array): boolean;
}
