/** What goes into the chain machine and what comes out of it. */
import type { ReplicaOutcome } from '../consensus/contract.ts';
import type { CustodianSets } from '../consensus/custodian-sets.ts';
import type { VoteScheme } from '../consensus/scheme.ts';
import type { Certificate, ReplicaStatus, Timing } from '../consensus/types.ts';
import type { AegisError } from '../errors.ts';
import type { BlockHeader } from '../model/block.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import type { CustodianEntry } from '../model/custodians.ts';
import type { SignedIntent } from '../model/intent.ts';
import type { Names } from '../model/names.ts';
import type { Verified } from '../units.ts';
import type { Receipt } from './execution.ts';
import type { ChainMessage } from './messages.ts';
import type { ProposalState } from './proposals.ts';
import type { FirstMember } from './roster.ts';
import type { SeedScheme } from './seeds.ts';
import type { RangeProof, StateProof } from './state-proof.ts';
import type { StateStore } from './state-store.ts';

export interface ChainOptions {
  readonly clusterId: string;
  readonly genesis: ChainGenesis;
  /** Node id of this node. It may be no custodian: then it follows. */
  readonly self: string;
  /** The own consensus keys, in hex, that the home held when it was started (K1). */
  readonly held: readonly string[];
  /** @default 'all' for up to 7 custodians */
  readonly fanout?: 'all' | 'leader' | undefined;
  readonly timing?: Partial<Timing> | undefined;
  /** Heights of a seed epoch. @default 64 */
  readonly epochHeights?: number | undefined;
  /** V3, V4: the highest version by which this node executes. @default all that it knows */
  readonly protocolMax?: number | undefined;
  /** Y5: a header that must be in the history. */
  readonly checkpoint?: Checkpoint | undefined;
  /** Y4: `never` takes blocks, as long as somebody has them. @default 'auto' */
  readonly snapshots?: 'auto' | 'never' | undefined;
}

/** What the chain needs of a genesis. */
export interface ChainGenesis {
  /** In the order of their consensus index: sorted by node id. Each is one of the members. */
  readonly custodians: readonly { readonly nodeId: string }[];
  readonly members: readonly FirstMember[];
  /** By which the state and the blocks call paths. */
  readonly names: Names;
  /** V1: the version by which the first block is executed. */
  readonly protocol: number;
  /** R2: the state from which this cluster goes on. */
  readonly origin?: ChainOrigin | undefined;
}

export interface ChainOrigin {
  readonly clusterId: string;
  readonly height: number;
  readonly stateRoot: Uint8Array;
  /** The key of names of the oldest cluster: what is not of one cluster alone lies under it. */
  readonly names: Uint8Array;
}

export interface ChainDeps {
  readonly scheme: VoteScheme;
  readonly seeds: SeedScheme;
  /** Begins with those of the genesis; the chain changes them. */
  readonly sets: CustodianSets;
  /** W40: where the state lies, as of the last step; without it all of it is in memory. */
  readonly state?: StateStore | undefined;
  /** Verifies by these custodians alone, for what leads to a snapshot (Y4). It signs nothing. */
  schemeOf?(sets: CustodianSets): VoteScheme;
  /** Ed25519, for what is signed with keys that came with the same window (Y1). @default real */
  verify?(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/** One durable row, as the owner found it. */
export interface StoredRow {
  readonly table: string;
  readonly key: string;
  readonly value: Uint8Array;
}

/** Y1: final blocks as they travel: the certificate is that of the last of them. */
export interface BlockWindow {
  /** In the order of their heights, without a gap. */
  readonly blocks: readonly Uint8Array[];
  readonly certificate: Uint8Array;
}

export type ChainInput =
  | { readonly type: 'start' }
  | { readonly type: 'alarm'; readonly key: string }
  | { readonly type: 'peer-up' | 'peer-down'; readonly nodeId: string }
  | {
      readonly type: 'message';
      readonly from: string;
      readonly message: Verified<ChainMessage>;
    }
  /** Intents of this node, and statements of whomever. */
  | {
      readonly type: 'submit';
      readonly intents: readonly Verified<SignedIntent>[];
      /** A2: own intents signed anew, in the place of those with the same sequences. */
      readonly replaces?: boolean;
    }
  /** A linearizable read begins. */
  | { readonly type: 'read-index'; readonly id: string }
  /** The answer to `serve`: final blocks from the store; undefined: they are not there. */
  | {
      readonly type: 'rows';
      readonly to: string;
      readonly from: number;
      readonly window: BlockWindow | undefined;
    }
  /** Z2: the blocks below this height are not kept any more. */
  | { readonly type: 'pruned'; readonly base: number }
  /** So long a peer may take to answer a question of this node; 3,000 ms from the start. */
  | { readonly type: 'patience'; readonly answerMs: number }
  /** A peer has sent what cannot be read, or a signature that does not hold. */
  | { readonly type: 'unreadable'; readonly from: string }
  /** Y7: the operator takes the state anew from the others. */
  | { readonly type: 'take-anew' };

export interface Finalised {
  readonly type: 'finalised';
  readonly height: number;
  readonly digest: string;
  /** In which it was first proposed. */
  readonly view: number;
  readonly time: number;
  readonly proposer: string;
  readonly intents: number;
  /** Of the block. */
  readonly sizeBytes: number;
  readonly receipts: readonly Receipt[];
  /** In the order of the receipts. */
  readonly signed: readonly SignedIntent[];
  readonly certificate: Certificate;
  /** Paths whose refs it changed. */
  readonly paths: readonly string[];
  /** Of namespaces that came, went, or have other owners or writers. */
  readonly namespaces: readonly string[];
  /** Made by it. */
  readonly anchors: readonly { readonly nodeId: string; readonly label: string }[];
}

/** What the replica tells and the owner may want to know. */
type PassedOn = Extract<
  ReplicaOutcome,
  { type: 'evidence' | 'bad-share' | 'doubt' | 'key-elsewhere' | 'entered' | 'voted' }
>;

export type ChainOutcome =
  /** Durable here; it will be final unless it is refused when it is executed. */
  | {
      readonly type: 'accepted';
      readonly id: string;
      readonly digest: string;
      readonly sequence: number;
    }
  | {
      readonly type: 'refused';
      readonly id: string;
      readonly digest: string;
      readonly error: AegisError;
    }
  | Finalised
  /** Members or their keys have changed with the block of this height, which was told before. */
  | { readonly type: 'roster'; readonly height: number; readonly nodeIds: readonly string[] }
  /** E1: from this height on others are custodians, or one has another consensus key. */
  | { readonly type: 'custodians'; readonly height: number; readonly nodeIds: readonly string[] }
  /** E2: one was made or approved, or has come to its end, in the block of this height. */
  | { readonly type: 'proposal'; readonly height: number; readonly proposal: ProposalState }
  /** V3: the block of this height is executed by a version that this node does not take part in. */
  | { readonly type: 'too-old'; readonly height: number; readonly protocol: number }
  /** A2: own intents that wait and must be signed anew, in the order of their sequence. */
  | { readonly type: 'retired-epoch'; readonly intents: readonly SignedIntent[] }
  /** Read the final blocks `from` to `upTo` and answer with `rows`. */
  | {
      readonly type: 'serve';
      readonly to: string;
      readonly from: number;
      readonly upTo: number;
    }
  /** Every write that was final when the read began is in the state at `height`. */
  | { readonly type: 'read-index'; readonly id: string; readonly height: number }
  | { readonly type: 'read-failed'; readonly id: string; readonly error: AegisError }
  | Divergence
  | Liar
  | Conflict
  | SnapshotProgress
  /** A peer claims blocks and sends nothing: what it claims is not believed any more. */
  | { readonly type: 'slow'; readonly nodeId: string; readonly height: number }
  /** This node does not vote for what was proposed. */
  | {
      readonly type: 'proposal-refused';
      readonly height: number;
      readonly view: number;
      /** Node id of the leader of the view. */
      readonly proposer: string;
      /** `time`: its clock or ours is wrong. `state`: this node comes to another state. */
      readonly reason: 'time' | 'state' | 'invalid';
      readonly detail: string;
    }
  | PassedOn;

/** A final block whose state root is not what this node computed: it votes no more. */
export interface Divergence {
  readonly type: 'divergence';
  readonly height: number;
  /** State roots, in hex. */
  readonly ours: string;
  readonly theirs: string;
  readonly proposer: string;
  /** Y7: the first key of the state (hex) that differs, once it has been found. */
  readonly key?: string | undefined;
  /** What the key stands for, where that has a name. */
  readonly path?: string | undefined;
}

/** Y2: a peer has sent what nobody who follows the rules sends. */
export interface Liar {
  readonly type: 'liar';
  readonly nodeId: string;
  readonly what: string;
  readonly height: number;
}

/** Y3: more than f custodians are faulty. The block that is final here stays so. */
export interface Conflict {
  readonly type: 'conflict';
  readonly height: number;
  /** Digests, in hex. */
  readonly ours: string;
  readonly theirs: string;
  /** Who has shown it. */
  readonly from: string;
}

/** Y4. */
export interface SnapshotProgress {
  readonly type: 'snapshot';
  readonly state: 'begun' | 'installed' | 'failed';
  readonly height: number;
  /** Who sent its manifest. */
  readonly from?: string | undefined;
}

export interface PendingIntent {
  readonly signed: SignedIntent;
  /** When it came, by the clock of this node. */
  readonly since: number;
}

export interface ChainStatus extends ReplicaStatus {
  readonly mempool: { readonly intents: number; readonly bytes: number };
  /** Heights that others have said to be final and this node lacks. */
  readonly lag: number;
  readonly undecided: number;
  readonly divergence: Divergence | undefined;
  /** V1: the version by which the next block is executed. */
  readonly protocol: number;
  /** V3. */
  readonly isTooOld: boolean;
}

export interface Tip {
  /** 0 before the first block. */
  readonly height: number;
  readonly digest: string;
  readonly header?: BlockHeader;
  /** Of which the digest is. */
  readonly headerBytes?: Uint8Array;
}

export interface ProvenRef {
  readonly height: number;
  /** 32 bytes. */
  readonly stateRoot: Uint8Array;
  readonly proof: StateProof;
  readonly value: Uint8Array | undefined;
}

/** Everything that lies in a directory (docs/proofs.md, claim `directory`). */
export interface ProvenDirectory {
  readonly height: number;
  /** 32 bytes. */
  readonly stateRoot: Uint8Array;
  readonly proof: RangeProof;
}

/** E1: the last block of an epoch; whoever trusts its custodians can trust those after it. */
export interface Handover {
  readonly height: number;
  readonly header: Uint8Array;
  /** An encoded commit certificate. */
  readonly certificate: Uint8Array;
  /** Those of the height after. */
  readonly custodians: readonly CustodianEntry[];
}
