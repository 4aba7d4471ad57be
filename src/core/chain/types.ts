/** What goes into the chain machine and what comes out of it. */
import type { ReplicaOutcome } from '../consensus/contract.ts';
import type { CustodianKeys } from '../consensus/custodian-keys.ts';
import type { VoteScheme } from '../consensus/scheme.ts';
import type { Certificate, ReplicaStatus, Timing } from '../consensus/types.ts';
import type { AegisError } from '../errors.ts';
import type { BlockHeader } from '../model/block.ts';
import type { SignedIntent } from '../model/intent.ts';
import type { Verified } from '../units.ts';
import type { Receipt } from './execution.ts';
import type { ChainMessage } from './messages.ts';
import type { FirstMember } from './roster.ts';
import type { SeedScheme } from './seeds.ts';
import type { StateProof } from './state-proof.ts';

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
}

/** What the chain needs of a genesis. */
export interface ChainGenesis {
  /** In the order of their consensus index: sorted by node id. Each is one of the members. */
  readonly custodians: readonly { readonly nodeId: string }[];
  readonly members: readonly FirstMember[];
  /** R2: the state from which this cluster goes on. */
  readonly origin?: ChainOrigin | undefined;
}

export interface ChainOrigin {
  readonly clusterId: string;
  readonly height: number;
  readonly stateRoot: Uint8Array;
  /** The id of the oldest cluster, by which the keys of refs and accounts are made. */
  readonly namespace: string;
}

export interface ChainDeps {
  readonly scheme: VoteScheme;
  readonly seeds: SeedScheme;
  /** Those of the genesis, in the order of the custodians; the chain changes them. */
  readonly keys: CustodianKeys;
}

/** One durable row, as the owner found it. */
export interface StoredRow {
  readonly table: string;
  readonly key: string;
  readonly value: Uint8Array;
}

/** A final block as it is kept and travels. */
export interface FinalBlock {
  readonly block: Uint8Array;
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
  /** The answer to `serve`: final blocks from the store, in the order of their heights. */
  | { readonly type: 'rows'; readonly to: string; readonly blocks: readonly FinalBlock[] };

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
}

export interface Tip {
  /** 0 before the first block. */
  readonly height: number;
  readonly digest: string;
  readonly header?: BlockHeader;
}

export interface ProvenRef {
  readonly height: number;
  /** 32 bytes. */
  readonly stateRoot: Uint8Array;
  readonly proof: StateProof;
  readonly value: Uint8Array | undefined;
}
