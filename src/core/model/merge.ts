/**
 * The record of a merge (docs/knowledge-base.md, W10): a version that is nobody's, unsigned, and
 * computed from its parents, so that all who compute it make the same bytes and the same CID. Here
 * stands only whether the bytes are one; what a merge of two contents is, `kb/merge/` says.
 */
import type { CID } from 'multiformats/cid';
import { AegisError } from '../errors.ts';
import { type Verified, verified } from '../units.ts';
import { decode, encode } from './cbor.ts';
import { PATH_BYTES_MAX, parsePath } from './path.ts';
import { bytesOfText, RecordReader } from './record.ts';
import {
  checkParents,
  checkRoot,
  type MergeConflict,
  openVersion,
  PARENTS_MAX,
  readUnverifiedVersion,
  type SignedVersion,
  sortParents,
  type Version,
  versionCidOf,
} from './version.ts';

/** In the place of the author. No node id reads so. */
export const MERGE_AUTHOR = 'merge';
/** The rules W12 to W16. */
const MERGE_RULE = 1;
/** Longest record of a merge. */
export const MERGE_BYTES_MAX = 32 * 1024;
/** Conflicts that a record lists (W15), and what they have encoded, all together. */
export const CONFLICTS_MAX = 256;
export const CONFLICTS_BYTES_MAX = 24 * 1024;

export interface MergeFields {
  readonly path: string;
  readonly root: CID;
  readonly sizeBytes: number;
  readonly parents: readonly CID[];
  readonly generation: number;
  readonly time: number;
  readonly deleted?: boolean;
  readonly directory?: boolean;
  /** In any order; as many are listed as fit (W15). */
  readonly conflicts: readonly MergeConflict[];
  /** There are more conflicts than these. */
  readonly isMore?: boolean;
}

const NAMES = [
  'rule',
  'path',
  'root',
  'sizeBytes',
  'parents',
  'generation',
  'time',
  'deleted',
  'directory',
  'conflicts',
  'more',
];
const CONFLICT_NAMES = ['at', 'pointer', 'base', 'ours', 'theirs'];

const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `the merge ${why}`);

export const isMerge = ({ author }: Pick<Version, 'author'>): boolean => author === MERGE_AUTHOR;

/**
 * Whether bytes can be the record of a merge and no signed version: the first key of a canonical
 * map is the shortest, and that is `v` here, and never in an envelope.
 */
export const isMergeBytes = (bytes: Uint8Array): boolean => bytes[1] === 0x61 && bytes[2] === 0x76;

/** W10, W15. The same fields give the same bytes, in whatever order the conflicts were found. */
export function encodeMerge(fields: MergeFields): Uint8Array {
  const { path, root, sizeBytes, parents, generation, time, deleted, directory } = fields;
  const { conflicts, isMore } = listed(fields.conflicts);
  return encode({
    v: 1,
    type: 'merge',
    rule: MERGE_RULE,
    path,
    root,
    sizeBytes,
    parents: sortParents(parents),
    generation,
    time,
    ...(deleted === true ? { deleted } : {}),
    ...(directory === true ? { directory } : {}),
    ...(conflicts.length === 0 ? {} : { conflicts }),
    ...(isMore || fields.isMore === true ? { more: true } : {}),
  });
}

/**
 * In the clothes of a signed version, so that it is known, kept and followed like one: sequence 0,
 * its author `MERGE_AUTHOR`. There is no signature: whoever has its CID from the chain, or from a
 * version that follows it, has proof of its bytes.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `BAD_REQUEST` (path).
 */
export function openMerge(bytes: Uint8Array): Verified<SignedVersion> {
  const version = readMerge(decode(bytes, { maxBytes: MERGE_BYTES_MAX }));
  const cid = versionCidOf(bytes);
  return verified({ cid, cidText: cid.toString(), bytes, version });
}

/** A signed version or a merge. @throws {AegisError} as `openVersion` and `openMerge`. */
export const openRecord = (
  bytes: Uint8Array,
  keyOf: Parameters<typeof openVersion>[1],
): Verified<SignedVersion> => (isMergeBytes(bytes) ? openMerge(bytes) : openVersion(bytes, keyOf));

/** What the bytes of either say, for who knows them by their CID. @throws {AegisError} as above. */
export const readUnverifiedRecord = (
  bytes: Uint8Array,
): { readonly cid: CID; readonly version: Version } =>
  isMergeBytes(bytes) ? openMerge(bytes) : readUnverifiedVersion(bytes);

function readMerge(value: unknown): Version {
  const record = new RecordReader(value, 'merge', NAMES);
  const parents = checkParents(record.cids('parents', PARENTS_MAX), bad);
  if (parents.length < 2) throw bad('has fewer than two parents');
  const conflicts = record.has('conflicts') ? readConflicts(record) : [];
  return {
    path: parsePath(record.text('path', { maxBytes: PATH_BYTES_MAX })),
    root: checkRoot(record.cid('root'), bad),
    sizeBytes: record.integer('sizeBytes', 0),
    parents,
    generation: record.integer('generation', 2),
    sequence: 0,
    time: record.time('time'),
    author: MERGE_AUTHOR,
    rule: record.integer('rule', MERGE_RULE, MERGE_RULE),
    ...readTrue(record, 'deleted'),
    ...readTrue(record, 'directory'),
    ...(conflicts.length === 0 ? {} : { conflicts }),
    ...(readTrue(record, 'more').more === true ? { isMoreConflicts: true } : {}),
  };
}

/** What is false is left out, so that a record has one encoding. */
function readTrue<N extends string>(record: RecordReader, name: N): { readonly [K in N]?: true } {
  if (!record.has(name)) return {};
  if (!record.flag(name)) throw bad(`says that it is not "${name}", and must be silent`);
  return { [name]: true } as { [K in N]?: true };
}

function readConflicts(record: RecordReader): MergeConflict[] {
  const found = record.list('conflicts', CONFLICTS_MAX).map(readConflict);
  if (found.length === 0) throw bad('has an empty list of conflicts');
  for (const [n, conflict] of found.entries()) {
    if (n > 0 && compareConflicts(found[n - 1]!, conflict) >= 0) {
      throw bad('has conflicts out of order or twice');
    }
  }
  return found;
}

function readConflict(value: unknown): MergeConflict {
  const record = new RecordReader(value, 'conflict', CONFLICT_NAMES, null);
  const content = (name: 'base' | 'ours' | 'theirs') =>
    record.has(name) ? { [name]: checkRoot(record.cid(name), bad) } : {};
  const maxBytes = CONFLICTS_BYTES_MAX;
  return {
    at: record.text('at', { maxBytes }),
    ...(record.has('pointer') ? { pointer: record.text('pointer', { maxBytes }) } : {}),
    ...content('base'),
    ...content('ours'),
    ...content('theirs'),
  };
}

/** By where they are, the whole before its parts, and then by what has lost there. */
const compareConflicts = (a: MergeConflict, b: MergeConflict): number =>
  Buffer.compare(Buffer.from(a.at), Buffer.from(b.at)) ||
  compareBytes(textBytes(a.pointer), textBytes(b.pointer)) ||
  compareBytes(a.theirs?.bytes, b.theirs?.bytes);

const textBytes = (text: string | undefined): Uint8Array | undefined =>
  text === undefined ? undefined : bytesOfText(text);

/** None before any. */
const compareBytes = (a: Uint8Array | undefined, b: Uint8Array | undefined): number =>
  a === undefined || b === undefined
    ? Number(a !== undefined) - Number(b !== undefined)
    : Buffer.compare(a, b);

/** W15: in their order, as many as fit. */
function listed(all: readonly MergeConflict[]): {
  readonly conflicts: readonly MergeConflict[];
  readonly isMore: boolean;
} {
  const sorted = all.toSorted(compareConflicts);
  const conflicts: MergeConflict[] = [];
  let bytes = 0;
  for (const conflict of sorted) {
    const last = conflicts.at(-1);
    if (last !== undefined && compareConflicts(last, conflict) === 0) continue;
    bytes += encode(conflict).length;
    if (conflicts.length === CONFLICTS_MAX || bytes > CONFLICTS_BYTES_MAX) {
      return { conflicts, isMore: true };
    }
    conflicts.push(conflict);
  }
  return { conflicts, isMore: false };
}
