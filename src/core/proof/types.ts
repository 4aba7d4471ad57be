/** What a proof is made of, and what it shows (docs/proofs.md). */
import type { CID } from 'multiformats/cid';
import type { CustodianEntry } from '../model/custodians.ts';
import type { Version } from '../model/version.ts';

/** A block, what makes it final, and who the custodians after it are if they are others. */
export interface ProofLink {
  /** The bytes of a header. */
  readonly header: Uint8Array;
  /** The bytes of a commit certificate. Only a link that is a checkpoint can do without. */
  readonly certificate?: Uint8Array | undefined;
  readonly custodians?: readonly CustodianEntry[] | undefined;
}

/** The leaf of another key: its key, and the hash of its value. */
export interface OtherLeaf {
  readonly key: Uint8Array;
  readonly valueHash: Uint8Array;
}

export interface ProofLeaf {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

interface Placed {
  readonly path: string;
  /** Hashes beside the way from the root of the state down, 32 bytes each. */
  readonly siblings: readonly Uint8Array[];
}

export interface ValueClaim extends Placed {
  readonly type: 'value';
  readonly value: Uint8Array;
  /** Signed versions, from a head down by parents to the one that is meant. */
  readonly lineage: readonly Uint8Array[];
}

export interface AbsenceClaim extends Placed {
  readonly type: 'absence';
  readonly other?: OtherLeaf | undefined;
}

export interface DirectoryClaim extends Placed {
  readonly type: 'directory';
  readonly other?: OtherLeaf | undefined;
  /** In the order of their keys. */
  readonly leaves: readonly ProofLeaf[];
}

export type Claim = ValueClaim | AbsenceClaim | DirectoryClaim;

export interface Proof {
  readonly clusterId: string;
  /** Hand-overs, the checkpoint if there is one, and the block after which the claims hold. */
  readonly links: readonly ProofLink[];
  readonly claims: readonly Claim[];
}

export interface ProvenHead {
  readonly version: CID;
  readonly generation: number;
  readonly deleted: boolean;
}

/** What stands under a path. */
export interface ProvenValue {
  readonly path: string;
  /** The greatest that the path has ever had. */
  readonly generation: number;
  /** More than one: they contradict each other and nobody has merged them. */
  readonly heads: readonly ProvenHead[];
  /** Its name has left the state (N4). */
  readonly isErased: boolean;
}

export interface ProvenVersion {
  readonly cid: CID;
  /** Not: it is one that a head goes back to. */
  readonly isHead: boolean;
  readonly version: Version;
}

export type Finding =
  | ({ readonly type: 'value'; readonly version?: ProvenVersion } & ProvenValue)
  | { readonly type: 'absence'; readonly path: string }
  | {
      readonly type: 'directory';
      readonly path: string;
      /** In the order of their paths. */
      readonly values: readonly ProvenValue[];
      /** Paths of the directories in it. */
      readonly directories: readonly string[];
      /** How many paths in it have lost their names (N4). */
      readonly erased: number;
    };

export interface Verdict {
  readonly clusterId: string;
  /** Of the block after which the claims hold. */
  readonly height: number;
  /** Milliseconds since the Unix epoch, by the clock of its proposer. */
  readonly time: number;
  /** Hex. */
  readonly digest: string;
  readonly protocol: number;
  /** How many certificates led there. */
  readonly certificates: number;
  readonly claims: readonly Finding[];
}
