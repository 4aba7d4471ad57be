/**
 * What the main thread and the storage workers say to each other. Types only, and the list of
 * what each worker can be asked. Nothing here is written to disk or sent to another machine.
 */
import type { LeafKeys } from '../crypto/sealed-leaf.ts';
import type { ErrorBody } from '../errors.ts';
import type { OpenOptions } from './database.ts';
import type { PackedEntries } from './packed-entries.ts';
import type { StandingOptions, StandingReport } from './standing.ts';

export type WorkerKind = 'chain' | 'content' | 'index';

/** The `workerData` of a storage worker. */
export interface WorkerStart {
  readonly kind: WorkerKind;
  readonly path: string;
  readonly options: OpenOptions & StandingOptions & KeyOptions;
}

export interface KeyOptions {
  /** Of the terms of the index. */
  readonly key?: Uint8Array | undefined;
}

/** Arguments and result of each question. */
export type Operations = Readonly<
  Record<string, { readonly args: unknown; readonly result: unknown }>
>;

export interface ChainOperations {
  commit: { args: PackedEntries; result: undefined };
  commitApart: { args: PackedEntries; result: undefined };
  shrink: { args: number; result: number };
  space: { args: undefined; result: StoreSpace };
  freeBytes: { args: undefined; result: number };
  scan: { args: string; result: TableRow[] };
  get: { args: { table: string; key: string }; result: Uint8Array | undefined };
  getMany: { args: { table: string; keys: readonly string[] }; result: (Uint8Array | undefined)[] };
  range: { args: RangeQuery; result: TableRow[] };
  standing: { args: undefined; result: StandingReport };
  settle: { args: undefined; result: undefined };
  close: { args: undefined; result: undefined };
}

/** What the file takes on its disk, with its log. */
export interface StoreSpace {
  readonly bytes: number;
  /** Of these, pages that hold nothing. */
  readonly freeBytes: number;
}

export interface RangeQuery {
  readonly table: string;
  /** The first key. */
  readonly from: string;
  /** The key before which it ends. */
  readonly to: string;
  readonly limit: number;
}

export interface TableRow {
  readonly key: string;
  readonly value: Uint8Array;
}

export interface RootRow {
  /** The bytes of the CID. */
  readonly cid: Uint8Array;
  readonly complete: boolean;
  readonly sizeBytes: number;
}

export interface Totals {
  readonly objects: number;
  readonly bytes: number;
  readonly roots: number;
  readonly pins: number;
}

/** Multihashes, one after the other: see `packKeys`. */
export type PackedKeys = Uint8Array;

/** W32 */
export interface PinRow {
  /** The bytes of the CID. */
  readonly cid: Uint8Array;
  readonly name: string | null;
  /** Where the root stood when it was pinned. */
  readonly path: string | null;
  /** W38 */
  readonly isPublic: boolean;
  readonly sizeBytes: number;
  readonly addedAt: number;
}

/** W28 */
export interface ContentLimits {
  /** Bytes of the file in use above which bound writes are refused. */
  readonly quotaBytes: number;
  /** Free bytes of the disk below which all writes are refused. */
  readonly reserveBytes: number;
}

/** W27: how far everything has been hashed again. */
export interface ScrubState {
  /** The row that was looked at last; 0 at the beginning. */
  readonly at: number;
  readonly objects: number;
  readonly bytes: number;
  readonly damaged: number;
  /** Milliseconds since the Unix epoch; undefined while none is under way. */
  readonly startedAt: number | undefined;
  /** When the last one ended, and what it had found. */
  readonly doneAt: number | undefined;
  readonly doneDamaged: number;
}

/** What `content.db` takes, and what there is. */
export interface ContentSpace extends StoreSpace {
  /** Pages that hold something. */
  readonly usedBytes: number;
  readonly diskBytes: number;
  readonly diskFreeBytes: number;
}

/** One slice of following what is kept. */
export interface Marked {
  /** Objects that wait to be followed. */
  readonly left: number;
  /** Roots that have to be whole and are not. */
  readonly broken: readonly Uint8Array[];
}

export interface UnkeptRoots {
  readonly roots: readonly Uint8Array[];
  /** Where to go on; undefined at the end. */
  readonly next: number | undefined;
}

/** W46 */
export interface SealedRoots {
  readonly roots: readonly Uint8Array[];
  /** Where to go on; undefined at the end. */
  readonly next: Uint8Array | undefined;
}

/** One slice of deleting. */
export interface Swept {
  readonly objects: number;
  readonly bytes: number;
  readonly isDone: boolean;
}

/** Under which lease something is written or counted on. */
interface UnderLease {
  readonly lease?: number | undefined;
}

export interface ContentOperations {
  put: {
    args: { keys: PackedKeys; blobs: readonly Uint8Array[]; verify: boolean } & UnderLease;
    result: undefined;
  };
  /** Seals if asked to, hashes and stores; the result holds one key a chunk. */
  addLeaves: {
    args: {
      chunks: readonly Uint8Array[];
      hash: 'blake3' | 'sha2-256';
      seal: LeafKeys | undefined;
    } & UnderLease;
    result: PackedKeys;
  };
  setRoots: { args: { roots: readonly RootRow[] } & UnderLease; result: undefined };
  delete: { args: PackedKeys; result: undefined };
  /**
   * Answers the first keys, at least one, up to `bytesMax` of content. With `verify` an object
   * that does not match its key is set aside, and the answer is BAD_HASH.
   */
  getMany: {
    args: { keys: PackedKeys; verify: boolean; bytesMax: number } & UnderLease;
    result: (Uint8Array | undefined)[];
  };
  has: { args: { keys: PackedKeys } & UnderLease; result: boolean[] };
  root: { args: Uint8Array; result: RootRow | undefined };
  areComplete: { args: readonly Uint8Array[]; result: boolean[] };
  identity: { args: undefined; result: string };
  lease: {
    args: { lease: number; root: Uint8Array | undefined; isBound: boolean };
    result: undefined;
  };
  release: { args: number; result: undefined };
  pin: { args: Uint8Array; result: PinRow | undefined };
  pins: { args: { after: Uint8Array; limit: number }; result: PinRow[] };
  setPin: { args: PinRow; result: undefined };
  removePin: { args: Uint8Array; result: boolean };
  beginCollection: { args: undefined; result: undefined };
  keep: { args: { roots: readonly Uint8Array[]; areWhole: boolean }; result: undefined };
  mark: { args: undefined; result: Marked };
  unkept: { args: { after: number; limit: number }; result: UnkeptRoots };
  forget: { args: readonly Uint8Array[]; result: undefined };
  sweep: { args: { isDry: boolean }; result: Swept };
  /** Gives free pages back; answers how many are left. */
  shrink: { args: number; result: number };
  endCollection: { args: undefined; result: undefined };
  /** Looks at the next objects; answers the keys of damaged ones, which are set aside. */
  scrub: {
    args: { bytesMax: number };
    result: { damaged: PackedKeys; bytes: number; isDone: boolean };
  };
  scrubState: { args: undefined; result: ScrubState };
  restartScrub: { args: undefined; result: undefined };
  /** Destroys objects, and refuses them from now on. */
  shred: { args: PackedKeys; result: undefined };
  /** Sealed roots that name an object by its CID. */
  sealedRoots: {
    args: { object: Uint8Array; after: Uint8Array | undefined; limit: number };
    result: SealedRoots;
  };
  limit: { args: ContentLimits; result: undefined };
  space: { args: undefined; result: ContentSpace };
  stat: { args: undefined; result: Totals };
  close: { args: undefined; result: undefined };
}

export interface Question {
  readonly id: number;
  readonly operation: string;
  readonly args: unknown;
}

export interface Failure extends ErrorBody {
  readonly details: Readonly<Record<string, unknown>>;
}

/** `fatal` failures end the process: the fate of a write is unknown. */
export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: Failure; readonly fatal: boolean };

/** A worker says this once, before any answer. Its id is 0. */
export const READY_ID = 0;
