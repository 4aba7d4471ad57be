/** What goes into the replica and what comes out of it: its whole contract with the chain. */
import type { ConsensusMessage } from './messages.ts';
import type { Leaders } from './schedule.ts';
import type { VoteScheme } from './scheme.ts';
import type { Certificate, Evidence, Timing } from './types.ts';

/** Of one set of custodians: when other nodes become custodians, another replica begins (E5). */
export interface ReplicaOptions {
  readonly clusterId: string;
  /** Node ids, ascending; the place of each is its index everywhere else. */
  readonly custodians: readonly string[];
  /** Own index; undefined: an agent, which only follows. */
  readonly self: number | undefined;
  /** How votes travel. @default 'all' up to 7 custodians, else 'leader' */
  readonly fanout?: 'all' | 'leader' | undefined;
  readonly timing?: Partial<Timing> | undefined;
  /**
   * The own consensus keys, in hex, that the home held when it was started: a doubt is about these
   * (K1). Of a restored home those that it brought (K2), not the ones that it has made since.
   */
  readonly held: readonly string[];
}

export interface ReplicaDependencies {
  /**
   * Knows the keys of the first height that is not final. After `finalised` the owner brings it up
   * to the next one and says `keys-known` before anything else.
   */
  readonly scheme: VoteScheme;
  /**
   * As they were after the last final block. The replica makes the next ones with each; the owner
   * does the same, and keeps them in the same transaction.
   */
  readonly leaders: Leaders;
}

/**
 * Whether the home may have signed what is not in its rows (D3); `restored`: it was made from a
 * backup, and votes with no key that it brought (K2); `vouched`: an operator says that it has not,
 * which ends every doubt (D7).
 */
export type Standing = 'sound' | 'doubtful' | 'restored' | 'vouched';

/** The answer to `check`, and the chain's judgement of a block that it has fetched. */
export interface VerdictInput {
  readonly type: 'verdict';
  readonly height: number;
  readonly digest: string;
  /** Whether the block follows the final one, and the chain has executed it and would keep it. */
  readonly isValid: boolean;
  /** In which view its header says that it was first proposed. */
  readonly view: number;
  /** The next seed, when the height ends a seed epoch. */
  readonly seed?: Uint8Array | undefined;
}

/** The answer to `build` and to `reproposal-wanted`. */
export interface ProposalInput {
  readonly type: 'proposal';
  readonly height: number;
  /** Of the block's header: the view that was asked for, or where it was first proposed. */
  readonly view: number;
  readonly digest: string;
  /** The block, executed and, by the end of this transaction, durable. */
  readonly payload: Uint8Array;
  readonly seed?: Uint8Array | undefined;
}

export type ReplicaInput =
  | { readonly type: 'start' }
  | { readonly type: 'alarm'; readonly key: string }
  | { readonly type: 'peer-up' | 'peer-down'; readonly nodeId: string }
  | { readonly type: 'message'; readonly from: string; readonly message: ConsensusMessage }
  /** The scheme knows the keys of the height that began (C2): the owner's answer to `finalised`. */
  | { readonly type: 'keys-known' }
  /** Whether the chain has intents to decide. */
  | { readonly type: 'work'; readonly isWaiting: boolean }
  | ProposalInput
  /** There is nothing to propose after all: no work, until `work` says so again. */
  | {
      readonly type: 'no-proposal';
      readonly height: number;
      readonly view: number;
      /** There is work, but a signature that the block needs was refused: ask again (C4). */
      readonly isRefused?: boolean;
    }
  | VerdictInput
  /** The block of this digest was executed, and is not at hand any more: there were too many. */
  | { readonly type: 'forgotten'; readonly height: number; readonly digest: string }
  /** A commit certificate that came with a fetched block; the chain has verified it. */
  | { readonly type: 'certified'; readonly certificate: Certificate }
  /**
   * Y1: the chain has executed all blocks up to the height of this commit certificate, which it has
   * verified; the custodians of the height after it are the same nodes. No `finalised` is told.
   */
  | {
      readonly type: 'caught-up';
      readonly certificate: Certificate;
      /** As they are after that block. */
      readonly leaders: Leaders;
    };

/** Narrows the outcomes of `step`; the chain acts on them at once and in this order. */
export type ReplicaOutcome =
  /** P1: make a block upon the final one and answer `proposal`, or `no-proposal`. */
  | {
      readonly type: 'build';
      readonly height: number;
      readonly view: number;
      /** Digest of the block before; empty at height 1. */
      readonly previous: string;
    }
  /** P2, P6: only this digest may be proposed; answer `proposal` as soon as the block is here. */
  | { readonly type: 'reproposal-wanted'; readonly height: number; readonly digest: string }
  /** P3: is this the block of the digest, does it follow, does it execute? Answer `verdict`. */
  | {
      readonly type: 'check';
      readonly height: number;
      readonly view: number;
      readonly digest: string;
      readonly payload: Uint8Array;
      readonly proposer: number;
    }
  | {
      readonly type: 'finalised';
      readonly height: number;
      readonly digest: string;
      readonly certificate: Certificate;
      /** Of the block's header. */
      readonly view: number;
    }
  /** The blocks up to this height are final: get them, each with its certificate. */
  | {
      readonly type: 'fetch';
      readonly height: number;
      /** Of the block at that height, where known: it may be among the undecided ones here. */
      readonly digest: string | undefined;
      /** Node ids of those who should have them. */
      readonly from: readonly string[];
    }
  /** E6: `nodeId` was custodian at the height of it, whether or not it is one now. */
  | { readonly type: 'evidence'; readonly evidence: Evidence; readonly nodeId: string }
  | { readonly type: 'bad-share'; readonly from: string; readonly what: string }
  | { readonly type: 'doubt'; readonly reason: string }
  | { readonly type: 'key-elsewhere'; readonly what: string }
  /** A view begins; that of a new height once its custodians are known. */
  | {
      readonly type: 'entered';
      readonly height: number;
      readonly view: number;
      readonly leader: number;
    }
  | {
      readonly type: 'voted';
      readonly phase: 'prepare' | 'commit' | 'timeout';
      readonly height: number;
      readonly view: number;
      readonly digest: string | undefined;
    };
