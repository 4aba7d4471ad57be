/**
 * The request for objects of one root: one round trip names a whole DAG, or the parts of it that
 * are missing. Answered by a CAR with the objects in depth-first order.
 */
import { CID } from 'multiformats/cid';
import { AegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { LIMITS } from './limits.ts';
import { comparePaths, type TreePath, type TreeRange } from './tree-range.ts';

/** Bytes of a digest that name an object on the skip list. */
const SKIP_BYTES = 16;

export interface FetchRequest {
  readonly root: CID;
  /** Sorted, apart, at least one. */
  readonly ranges: readonly TreeRange[];
  /** Objects that the asker has, each with all below it: 16 bytes of digest each, in one string. */
  readonly skip: Uint8Array;
  /** The holder stops after the object with which it reaches this. */
  readonly maxBytes: number;
}

/** The skip list for objects that the asker has with all below them; only the first 1,024. */
export const skipListOf = (have: readonly CID[]): Uint8Array =>
  Buffer.concat(
    have.slice(0, LIMITS.requestSkips).map((cid) => cid.multihash.digest.subarray(0, SKIP_BYTES)),
  );

/** Reads a skip list as a question. */
export function skipsOf(list: Uint8Array): (cid: CID) => boolean {
  const names = new Set<string>();
  for (let i = 0; i < list.length; i += SKIP_BYTES) {
    names.add(Buffer.from(list.subarray(i, i + SKIP_BYTES)).toString('latin1'));
  }
  if (names.size === 0) return () => false;
  return ({ multihash }) =>
    names.has(Buffer.from(multihash.digest.subarray(0, SKIP_BYTES)).toString('latin1'));
}

export function encodeFetchRequest(request: FetchRequest): Uint8Array {
  const ranges = request.ranges.map(({ from, to }) => [
    [...from],
    to === undefined ? null : [...to],
  ]);
  const { root, skip, maxBytes } = request;
  return encode({ v: 1, type: 'kb-fetch', root, ranges, skip: Uint8Array.from(skip), maxBytes });
}

const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `a fetch request ${why}`);

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeFetchRequest(bytes: Uint8Array): FetchRequest {
  return readFetchRequest(decode(bytes, { maxBytes: LIMITS.requestBytes }));
}

/** @throws {AegisError} `BAD_ENCODING`. */
export function readFetchRequest(value: unknown): FetchRequest {
  if (typeof value !== 'object' || value === null) throw bad('that is not a map');
  const { v, type, root, ranges, skip, maxBytes } = value as Record<string, unknown>;
  if (v !== 1 || type !== 'kb-fetch') throw bad('of an unknown version');
  if (!(root instanceof CID)) throw bad('without a root');
  if (!(skip instanceof Uint8Array) || skip.length % SKIP_BYTES !== 0)
    throw bad('with a bad skip list');
  if (skip.length > LIMITS.requestSkips * SKIP_BYTES)
    throw bad('with a skip list that is too long');
  if (!Number.isSafeInteger(maxBytes) || Number(maxBytes) < 1) throw bad('for no bytes');
  return {
    root,
    ranges: readRanges(ranges),
    skip,
    maxBytes: Math.min(Number(maxBytes), LIMITS.requestReplyBytes),
  };
}

function readRanges(value: unknown): TreeRange[] {
  if (!Array.isArray(value) || value.length === 0) throw bad('without ranges');
  if (value.length > LIMITS.requestRanges)
    throw bad(`with more than ${LIMITS.requestRanges} ranges`);
  const ranges = value.map((entry: unknown): TreeRange => {
    if (!Array.isArray(entry) || entry.length !== 2) throw bad('with a range that is none');
    const [from, to] = entry as [unknown, unknown];
    return { from: readPath(from), to: to === null ? undefined : readPath(to) };
  });
  for (const [i, { from, to }] of ranges.entries()) {
    if (to !== undefined && comparePaths(from, to) >= 0) throw bad('with an empty range');
    const next = ranges[i + 1];
    if (next === undefined) continue;
    if (to === undefined || comparePaths(to, next.from) > 0) throw bad('with ranges out of order');
  }
  return ranges;
}

function readPath(value: unknown): TreePath {
  if (!Array.isArray(value) || value.length > LIMITS.depth) throw bad('with a place that is none');
  for (const index of value) {
    if (!Number.isSafeInteger(index) || index < 0 || index > LIMITS.directoryLinks) {
      throw bad('with a place that is none');
    }
  }
  return value as number[];
}
