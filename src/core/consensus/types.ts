/**
 * The nouns of consensus. This room knows blocks by their digests only: it neither sees what is in
 * a block nor what it changes. `docs/consensus.md` is its specification; the code quotes the
 * numbers of its rules.
 */
import type { Instant } from '../units.ts';

/** The two votes of a view, in their order. */
export type Phase = 'prepare' | 'commit';

/** Custodians that a cluster may have; a bitmap of signers has as many bits. */
export const CUSTODIANS_MAX = 256;
/** Far more than a cluster lives to see, and exact in 48 bits. */
export const HEIGHT_MAX = 2 ** 48 - 1;
export const VIEW_MAX = 2 ** 32 - 1;

/** That a quorum has voted for one digest in one phase of one view. */
export interface Certificate {
  readonly phase: Phase;
  readonly height: number;
  readonly view: number;
  /** Of the block: 32 bytes in lower-case hex. */
  readonly digest: string;
  /** Indices of custodians, ascending, each once. */
  readonly signers: readonly number[];
  /** Their BLS shares, aggregated: 96 bytes. */
  readonly signature: Uint8Array;
}

/** Signers of a timeout certificate who named a prepare certificate of the same view. */
export interface TimeoutGroup {
  /** View of the highest prepare certificate that they know of the height; undefined: none. */
  readonly highView: number | undefined;
  readonly signers: readonly number[];
}

/** That a quorum has given up one view, and what each of them knew then. */
export interface TimeoutCertificate {
  readonly height: number;
  readonly view: number;
  /** By ascending `highView`, first those who knew none; no signer twice. */
  readonly groups: readonly TimeoutGroup[];
  readonly signature: Uint8Array;
  /** The prepare certificate of the highest view that a group names. */
  readonly high: Certificate | undefined;
}

/** What a custodian signs with its consensus key, least first within a view. */
export type SlotKind = Phase | 'timeout';

/** One BLS share and what it is over. */
export interface Share {
  readonly kind: SlotKind;
  readonly height: number;
  readonly view: number;
  /** What the vote is for; undefined in a timeout. */
  readonly digest: string | undefined;
  /** What the timeout names; undefined in votes, and where it names none. */
  readonly highView: number | undefined;
  readonly signature: Uint8Array;
}

/** One of two statements of which a custodian may sign only one. */
export interface SignedClaim {
  /** Digest of the block; undefined in timeouts. */
  readonly digest: string | undefined;
  /** What a timeout names; undefined in others, and where it names none. */
  readonly highView: number | undefined;
  readonly signature: Uint8Array;
}

/** Two signed messages of one custodian for one slot. Anyone with the genesis can verify it. */
export interface Evidence {
  readonly kind: 'proposal' | SlotKind;
  readonly custodian: number;
  readonly height: number;
  readonly view: number;
  /** In the order of their encodings, so that one crime has one name. */
  readonly claims: readonly [SignedClaim, SignedClaim];
}

/** What the replica waits for. */
export type ReplicaPhase = 'idle' | 'propose' | 'prepare' | 'commit' | 'timeout' | 'catch-up';

/** For `consensus status --why`. Custodians are named by their indices. */
export interface ReplicaStatus {
  /** The first height that is not final. */
  readonly height: number;
  readonly view: number;
  /** When the view began to count: with work; undefined while idle. */
  readonly viewSince: Instant | undefined;
  readonly leader: number;
  readonly phase: ReplicaPhase;
  readonly timeoutMs: number;
  readonly quorum: number;
  readonly faultyMax: number;
  /** Whether this node votes: it is a custodian, not in doubt, and its key in force is at hand. */
  readonly isVoting: boolean;
  readonly doubt: string | undefined;
  /** K3: it is a custodian whose consensus key in force is not in its home. */
  readonly keyMissing: boolean;
  readonly keyElsewhere: string | undefined;
  /** Who has voted in this view, for whatever digest; ascending. */
  readonly votes: Readonly<Record<Phase, readonly number[]>>;
  readonly timeouts: readonly number[];
  readonly high: { readonly view: number; readonly digest: string } | undefined;
  readonly passedOver: readonly number[];
  readonly lastFinalised: { readonly height: number; readonly digest: string } | undefined;
  /** The highest height that a certificate has shown to be final elsewhere, if above ours. */
  readonly behindTo: number | undefined;
}

/** When views end. All in milliseconds. */
export interface Timing {
  /** First timer of a node that has measured nothing. @default 1000 */
  readonly firstMs: number;
  /** @default 300 */
  readonly minMs: number;
  /** Before it grows with failed views. @default 60000 */
  readonly maxMs: number;
  /** After it has grown. @default 120000 */
  readonly grownMaxMs: number;
  /** When the connection to the leader is lost. @default 50 */
  readonly leaderLostMs: number;
  /** Longest time between two repetitions of what was said. @default 2000 */
  readonly repeatMs: number;
}

export const TIMING_DEFAULT: Timing = {
  firstMs: 1000,
  minMs: 300,
  maxMs: 60_000,
  grownMaxMs: 120_000,
  leaderLostMs: 50,
  repeatMs: 2000,
};
