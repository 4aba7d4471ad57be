/**
 * Computes merges from what is in the store (W8): awaits the objects that the merge asks for, and
 * stores those that it makes, or keeps them in memory where it only checks. What a merge is,
 * kb/merge/ says.
 */
import type { CID } from 'multiformats/cid';
import { AegisError, hasCode } from '../../errors.ts';
import { type Block, type Hashers, keyOf } from '../../kb/block.ts';
import { type MergeGraph, mergeHeads } from '../../kb/merge/heads.ts';
import {
  type MergeReply,
  type MergeRequest,
  type Opened,
  type Steps,
  unreadable,
} from '../../kb/merge/steps.ts';
import { encodeMerge, openMerge } from '../../model/merge.ts';
import type { SignedVersion } from '../../model/version.ts';
import type { ContentLease } from '../../storage/content-lease.ts';
import { MIB, type Verified } from '../../units.ts';
import type { ReadObjects } from '../export.ts';

export interface MergeContentDeps {
  readonly graph: MergeGraph;
  readonly hashers: Hashers;
  /** Objects below a root, each checked against its name; what is missing is fetched. */
  below(root: CID, signal: AbortSignal): ReadObjects;
  /** A sealed content. @throws {AegisError} `SEALED` when this node may not read it. */
  open(root: CID, signal: AbortSignal): Promise<Opened>;
}

/** Where the objects of a merge go. */
export interface MergeObjects {
  put(blocks: readonly Block[]): Promise<void>;
  /** One that was put; undefined: read it from the store. */
  get(cid: CID): Uint8Array | undefined;
}

/** What a check may keep in memory. */
const CHECK_BYTES_MAX = 64 * MIB;

export interface Computed {
  readonly merge: Verified<SignedVersion>;
  /** So long the thread was busy with it. */
  readonly busyMs: number;
}

/**
 * The merge of all these heads.
 * @throws {AegisError} `NOT_REACHABLE`, `BAD_HASH` for objects that nobody gives; `SEALED` when it
 * is for readers to merge; what `objects` throws; the reason of `signal`.
 */
export async function computeMerge(
  deps: MergeContentDeps,
  heads: readonly SignedVersion[],
  objects: MergeObjects,
  signal: AbortSignal,
): Promise<Computed> {
  const steps = mergeHeads(deps.graph, heads, deps.hashers);
  const { value, busyMs } = await driveMerge(deps, steps, objects, signal);
  return { merge: openMerge(encodeMerge(value)), busyMs };
}

/** Runs what asks for objects. @throws {AegisError} as `computeMerge`. */
export async function driveMerge<T>(
  deps: MergeContentDeps,
  steps: Steps<T>,
  objects: MergeObjects,
  signal: AbortSignal,
): Promise<{ readonly value: T; readonly busyMs: number }> {
  return await drive(steps, async (request) => {
    signal.throwIfAborted();
    if (request.type === 'open') return await openOf(deps, request.root, signal);
    if (request.type === 'put') {
      await objects.put(request.blocks);
      return [];
    }
    const { root, cids } = request;
    const own = cids.map((cid) => objects.get(cid));
    const missing = cids.filter((_, n) => own[n] === undefined);
    const read = missing.length === 0 ? [] : await deps.below(root, signal)(missing);
    let next = 0;
    return own.map((bytes) => bytes ?? read[next++]!);
  });
}

/** What nobody can open is so on every node; what this one may not open, others can. */
async function openOf({ open }: MergeContentDeps, root: CID, signal: AbortSignal): Promise<Opened> {
  try {
    return await open(root, signal);
  } catch (error) {
    if (hasCode(error, 'BAD_DATA', 'BAD_ENCODING', 'TOO_LARGE')) return unreadable(root);
    throw error;
  }
}

/** Durable, and held by the lease. */
export const storedObjects = (lease: Pick<ContentLease, 'put'>): MergeObjects => ({
  put: (blocks) => lease.put(blocks, { verify: false }),
  get: () => undefined,
});

/** In memory, for who only wants to know what it comes to. */
export function checkedObjects(): MergeObjects {
  const made = new Map<string, Uint8Array>();
  let left = CHECK_BYTES_MAX;
  return {
    put: (blocks) => {
      for (const { cid, bytes } of blocks) {
        left -= bytes.length;
        made.set(keyOf(cid), bytes);
      }
      return left >= 0 ? Promise.resolve() : Promise.reject(tooLarge());
    },
    get: (cid) => made.get(keyOf(cid)),
  };
}

const tooLarge = (): AegisError =>
  new AegisError('TOO_LARGE', `the merge makes more than ${CHECK_BYTES_MAX} bytes of objects`);

async function drive<T>(
  steps: Steps<T>,
  answer: (request: MergeRequest) => Promise<MergeReply>,
): Promise<{ readonly value: T; readonly busyMs: number }> {
  let busyMs = 0;
  const step = (reply: MergeReply) => {
    const began = performance.now();
    const next = steps.next(reply);
    busyMs += performance.now() - began;
    return next;
  };
  let next = step([]);
  while (next.done !== true) next = step(await answer(next.value));
  return { value: next.value, busyMs };
}
