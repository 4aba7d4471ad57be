/**
 * What the main thread and the storage workers say to each other. Types only, and the list of
 * what each worker can be asked. Nothing here is written to disk or sent to another machine.
 */
import type { ErrorBody } from '../errors.ts';
import type { OpenOptions } from './database.ts';
import type { PackedEntries } from './packed-entries.ts';
import type { StandingOptions, StandingReport } from './standing.ts';

export type WorkerKind = 'chain' | 'content';

/** The `workerData` of a storage worker. */
export interface WorkerStart {
  readonly kind: WorkerKind;
  readonly path: string;
  readonly options: OpenOptions & StandingOptions;
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
}

/** Multihashes, one after the other: see `packKeys`. */
export type PackedKeys = Uint8Array;

export interface ContentOperations {
  put: {
    args: { keys: PackedKeys; blobs: readonly Uint8Array[]; verify: boolean };
    result: undefined;
  };
  /** Hashes and stores; the result holds one key a chunk. */
  addLeaves: {
    args: { chunks: readonly Uint8Array[]; hash: 'blake3' | 'sha2-256' };
    result: PackedKeys;
  };
  setRoot: { args: RootRow; result: undefined };
  delete: { args: PackedKeys; result: undefined };
  /**
   * Answers the first keys, at least one, up to `bytesMax` of content. With `verify` an object
   * that does not match its key is set aside, and the answer is BAD_HASH.
   */
  getMany: {
    args: { keys: PackedKeys; verify: boolean; bytesMax: number };
    result: (Uint8Array | undefined)[];
  };
  has: { args: PackedKeys; result: boolean[] };
  root: { args: Uint8Array; result: RootRow | undefined };
  roots: { args: undefined; result: RootRow[] };
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
