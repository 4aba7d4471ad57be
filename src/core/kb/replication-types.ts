/** What the replication machine is given and what it tells. */
import type { CID } from 'multiformats/cid';
import type { AegisError } from '../errors.ts';
import type { SignedVersion } from '../model/version.ts';
import type { Verified } from '../units.ts';
import type { Conflicted } from './conflicted.ts';
import type { Doubts } from './doubts.ts';
import type { PlacementMember } from './placement.ts';
import type { Replicas } from './replicas.ts';
import type { Retention } from './retention.ts';
import type { KbStore } from './store.ts';
import type { Turn } from './turn.ts';
import type { UnwellVersions } from './unwell.ts';
import type { Equivocation, VersionGraph, VersionGraphOptions } from './versions.ts';

export interface ReplicationOptions {
  readonly nodeId: string;
  readonly members: readonly PlacementMember[];
  /** Copies of a root that the placement asks for. */
  readonly replicas: number;
  /** Nodes with a copy at which an own version counts as replicated. @default 2 */
  readonly minReplicas?: number;
  /** How much the graph keeps. */
  readonly limits?: VersionGraphOptions;
  /** @default 30 s */
  readonly antiEntropyMs?: number;
  /** Fetches that run at a time. @default 8 */
  readonly maxFetches?: number;
  /** W30. @default all versions keep their content */
  readonly retention?: Retention;
  /** W20: without a connection for so long a custodian is absent. @default 5 min */
  readonly graceMs?: number;
}

/**
 * The identity key that a version of an author counts with, by the key epoch and the sequence in
 * it; undefined for strangers, and for what their succession has not sealed (A3).
 */
export type IdentityKeyOf = (
  author: string,
  keyEpoch: number,
  sequence: number,
) => Uint8Array | undefined;

export interface ReplicationDeps {
  readonly keyOf: IdentityKeyOf;
}

/** What the parts of the machine share. */
export interface ReplicationShared {
  readonly options: Required<ReplicationOptions>;
  readonly deps: ReplicationDeps;
  /** The tables of this room within the step that runs; what is set is made durable with it. */
  readonly store: KbStore;
  readonly graph: VersionGraph;
  readonly conflicted: Conflicted;
  readonly replicas: Replicas;
  readonly doubts: Doubts;
  readonly unwell: UnwellVersions;
  /** Peers that are connected. */
  readonly up: Set<string>;
  /** The step that runs. */
  readonly turn: Turn;
}

/** Inputs of upkeep.ts. */
export type UpkeepInput =
  /** Who keeps the cluster has changed, or their zones and weights. */
  | { readonly type: 'members'; readonly members: readonly PlacementMember[] }
  /** W26: this node wants to hold nothing any more, or takes that back. */
  | { readonly type: 'drain'; readonly isDraining: boolean }
  /** W22: whether a node could prove that it holds a root that it has confirmed. */
  | {
      readonly type: 'audited';
      readonly nodeId: string;
      readonly root: CID;
      readonly isHeld: boolean;
    }
  /** An operator wants a root repaired, or all. `isNow`: who is not connected is absent (W20). */
  | { readonly type: 'repair'; readonly root: CID | undefined; readonly isNow: boolean };

export type ReplicationInput =
  /** Once, after `recover`: arms the alarms. */
  | { readonly type: 'start' }
  /** A version that this node wrote. All objects of its root are durable here. */
  | { readonly type: 'local'; readonly version: Verified<SignedVersion> }
  | { readonly type: 'message'; readonly from: string; readonly body: Uint8Array }
  | { readonly type: 'peer-up'; readonly nodeId: string }
  | { readonly type: 'peer-down'; readonly nodeId: string }
  /** All objects of a root are durable here. */
  | { readonly type: 'stored'; readonly root: CID }
  /** Objects of a root are gone or damaged. */
  | { readonly type: 'lost'; readonly root: CID }
  /** W40: the roots that are complete here are those of the content store with this id. */
  | { readonly type: 'content'; readonly id: string }
  /** Versions are known by name only: asks peers for them, and for what they have more. */
  | { readonly type: 'missing'; readonly versions: readonly string[] }
  /** W11: records of merges that final blocks have brought. */
  | { readonly type: 'merges'; readonly records: readonly Uint8Array[] }
  | UpkeepInput
  /** W30: the content of these versions may go, by what retention said of them. */
  | { readonly type: 'release'; readonly versions: readonly string[] }
  /** W29: nothing is known that keeps these roots here. Answered by the outcome of that name. */
  | { readonly type: 'let-go'; readonly roots: readonly CID[]; readonly isDry: boolean }
  /** A fetch that was asked for came to nothing. */
  | { readonly type: 'fetch-failed'; readonly root: CID }
  /** Tell once when the version has this many copies. */
  | { readonly type: 'want'; readonly version: string; readonly copies: number }
  | { readonly type: 'alarm'; readonly key: string };

export type ReplicationOutcome =
  /** A version is new in the graph. */
  | { readonly type: 'version-added'; readonly version: SignedVersion }
  | ({ readonly type: 'equivocation' } & Equivocation)
  /** Fetch this root; answer with `stored` or `fetch-failed`. Sources are best first. */
  | {
      readonly type: 'fetchWanted';
      readonly root: CID;
      readonly sizeBytes: number;
      readonly sources: readonly string[];
      /** W24: it is not new, and can wait for its turn. */
      readonly isRepair: boolean;
    }
  /** A version has all of its copies, after so long a time without (W25). */
  | { readonly type: 'mended'; readonly root: CID; readonly forMs: number }
  /** A node says again that it has what it could not prove (W22). */
  | { readonly type: 'auditWanted'; readonly nodeId: string; readonly root: CID }
  | {
      readonly type: 'replicated';
      readonly version: string;
      readonly root: CID;
      readonly copies: number;
      /** Nodes at which the version and all objects of its root are durable. */
      readonly nodes: readonly string[];
    }
  /** Of the roots that were asked for, those that are not here from now on, or would not be. */
  | { readonly type: 'let-go'; readonly asked: readonly CID[]; readonly roots: readonly CID[] }
  /** A peer sent something that it must not send. */
  | { readonly type: 'refused'; readonly from: string; readonly error: AegisError };

/** Who keeps a root. */
export interface Holders {
  /** By placement, best first. */
  readonly placed: readonly string[];
  /** Nodes that have said so, and this one if it has it. Complete only where it concerns us. */
  readonly confirmed: readonly string[];
}
