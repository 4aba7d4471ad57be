/**
 * Merges two contents of one file (W13): bytes in, bytes or a conflict out, the same on every node.
 * Who wins where they conflict, and what is then written, is for the caller (W15).
 */
import { mergeJson } from './json.ts';
import { MERGE_LIMITS } from './limits.ts';
import { isLog, mergeLines } from './lines.ts';
import { mergeText } from './text.ts';

export interface MergeInput {
  /** Last part of the path. */
  readonly name: string;
  readonly base?: Uint8Array;
  /** Of the winner (W15). */
  readonly ours: Uint8Array;
  readonly theirs: Uint8Array;
  /** The side whose root CID is smaller. */
  readonly first: 'ours' | 'theirs';
}

export type FileMerge =
  | { readonly type: 'clean'; readonly bytes: Uint8Array }
  /** `pointers`: where in JSON; at most 256. */
  | { readonly type: 'conflict'; readonly pointers?: readonly string[] };

const CONFLICT: FileMerge = { type: 'conflict' };

export function mergeFile({ name, base, ours, theirs, first }: MergeInput): FileMerge {
  // W13 (a)
  if (isEqual(ours, theirs) || isEqual(base, theirs)) return { type: 'clean', bytes: ours };
  if (isEqual(base, ours)) return { type: 'clean', bytes: theirs };
  const texts = [base ?? new Uint8Array(), ours, theirs].map(textOf);
  const [from, one, other] = texts;
  // W13 (f)
  if (from === undefined || one === undefined || other === undefined) return CONFLICT;
  const [a, b] = first === 'ours' ? [one, other] : [other, one];
  // W13 (c)
  if (isLog(name)) return cleanOr(CONFLICT, mergeLines(from, a, b));
  // W13 (d)
  const json = mergeJson(from, a, b);
  if (json?.type === 'clean') return cleanOr(CONFLICT, json.text);
  if (json !== undefined) return { type: 'conflict', pointers: json.pointers };
  // W13 (e)
  return base === undefined ? CONFLICT : cleanOr(CONFLICT, mergeText(from, a, b));
}

function cleanOr(otherwise: FileMerge, text: string | undefined): FileMerge {
  if (text === undefined) return otherwise;
  return { type: 'clean', bytes: new TextEncoder().encode(text) };
}

/** What a content is read as; undefined for what is neither text nor short enough to be read. */
export function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.length > MERGE_LIMITS.bytes || bytes.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

const isEqual = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && Buffer.compare(a, b) === 0;
