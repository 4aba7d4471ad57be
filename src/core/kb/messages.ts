/**
 * The messages of the replication protocol (`kb`), in dag-cbor. Decoding checks shapes and limits;
 * signatures of versions are checked by the machine, which knows the members.
 */
import { CID } from 'multiformats/cid';
import { unreachable } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { MERGE_BYTES_MAX } from '../model/merge.ts';
import { VERSION_BYTES_MAX } from '../model/version.ts';
import { LIMITS } from './limits.ts';
import { DIGEST_BYTES } from './set-digest.ts';

/** How far the versions of an author are known, and a digest of them. */
export interface VectorEntry {
  readonly author: string;
  readonly sequence: number;
  readonly digest: Uint8Array;
}

export interface DigestRange {
  readonly from: number;
  readonly to: number;
  readonly digest: Uint8Array;
}

/** Of the keys of accounts: by the hash of the root, then by version. */
export interface KeyRange {
  /** Inclusive. */
  readonly from: string;
  /** Exclusive; undefined: to the end. */
  readonly to?: string;
}

export type KbMessage =
  /** What I know, and the digest of the versions that I believe to be durable at your node. */
  | {
      readonly type: 'vector';
      readonly entries: readonly VectorEntry[];
      readonly held: Uint8Array;
      /** W26: the sender wants to hold nothing. */
      readonly isDraining?: boolean;
      /** Not to be answered with a vector. */
      readonly isReply: boolean;
    }
  /** Signed versions. `isMore`: send me a vector when you have them. */
  | {
      readonly type: 'versions';
      readonly versions: readonly Uint8Array[];
      readonly isMore: boolean;
    }
  /** These and their roots are durable here; the placement names you: tell me when at yours. */
  | { readonly type: 'offer'; readonly versions: readonly CID[] }
  /** These and their roots are durable here. `within`: of what is there, and nothing else. */
  | { readonly type: 'stored'; readonly versions: readonly CID[]; readonly within?: KeyRange }
  /** Send me these records, if you have them. */
  | { readonly type: 'wanted'; readonly versions: readonly CID[] }
  /** Signed versions and merges that you want, as many as fit. */
  | { readonly type: 'records'; readonly records: readonly Uint8Array[] }
  /** Which of these roots are durable there? */
  | { readonly type: 'asked'; readonly roots: readonly CID[] }
  /** Of the roots that I was asked for: these are durable here. */
  | { readonly type: 'here'; readonly roots: readonly CID[] }
  /** Digests of my versions of an author that must differ from yours somewhere. */
  | {
      readonly type: 'ranges';
      readonly author: string;
      readonly ranges: readonly DigestRange[];
      /** Answers that may follow; each has one less. */
      readonly hops: number;
    };

/** Ranges in one message, and so the parts into which a range is cut. */
export const RANGES_MAX = 16;
export const HOPS_MAX = 24;
/** Of the key of an account. */
const KEY_CHARACTERS_MAX = 256;

export function encodeMessage(message: KbMessage): Uint8Array {
  const type = `kb-${message.type}`;
  switch (message.type) {
    case 'vector': {
      const entries = message.entries.map((entry) => [entry.author, entry.sequence, entry.digest]);
      const { held, isReply, isDraining } = message;
      return encode({ v: 1, type, entries, held, isReply, ...(isDraining && { isDraining }) });
    }
    case 'versions':
      return encode({ v: 1, type, versions: message.versions, isMore: message.isMore });
    case 'offer':
    case 'wanted':
      return encode({ v: 1, type, versions: message.versions });
    case 'asked':
    case 'here':
      return encode({ v: 1, type, roots: message.roots });
    case 'records':
      return encode({ v: 1, type, records: message.records });
    case 'stored': {
      const { versions, within } = message;
      const range = within && [within.from, within.to ?? ''];
      return encode({ v: 1, type, versions, ...(range && { within: range }) });
    }
    case 'ranges': {
      const ranges = message.ranges.map((range) => [range.from, range.to, range.digest]);
      return encode({ v: 1, type, author: message.author, ranges, hops: message.hops });
    }
    default:
      return unreachable(message);
  }
}

const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `a message of kb ${why}`);

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeMessage(body: Uint8Array): KbMessage {
  const value = decode(body, { maxBytes: LIMITS.messageBytes });
  if (typeof value !== 'object' || value === null) throw bad('is not a map');
  const fields = value as Record<string, unknown>;
  if (fields['v'] !== 1) throw bad('has an unknown version');
  switch (fields['type']) {
    case 'kb-vector': {
      const entries = list(fields['entries'], LIMITS.vectorAuthors).map(readEntry);
      const held = digest(fields['held']);
      const isDraining = flag(fields['isDraining'] ?? false);
      const isReply = flag(fields['isReply']);
      return { type: 'vector', entries, held, isReply, ...(isDraining && { isDraining }) };
    }
    case 'kb-versions': {
      const versions = list(fields['versions'], LIMITS.messageVersions).map(signedBytes);
      return { type: 'versions', versions, isMore: flag(fields['isMore']) };
    }
    case 'kb-offer':
      return { type: 'offer', versions: cids(fields['versions']) };
    case 'kb-wanted':
      return { type: 'wanted', versions: cids(fields['versions']) };
    case 'kb-asked':
      return { type: 'asked', roots: cids(fields['roots']) };
    case 'kb-here':
      return { type: 'here', roots: cids(fields['roots']) };
    case 'kb-records': {
      const records = list(fields['records'], LIMITS.messageVersions).map(recordBytes);
      return { type: 'records', records };
    }
    case 'kb-stored': {
      const versions = cids(fields['versions']);
      const { within } = fields;
      return {
        type: 'stored',
        versions,
        ...(within !== undefined && { within: readKeys(within) }),
      };
    }
    case 'kb-ranges': {
      const ranges = list(fields['ranges'], RANGES_MAX).map(readRange);
      const author = name(fields['author']);
      return { type: 'ranges', author, ranges, hops: integer(fields['hops'], 0, HOPS_MAX) };
    }
    default:
      throw bad('has an unknown type');
  }
}

function list(value: unknown, max: number): unknown[] {
  if (!Array.isArray(value)) throw bad('has something else in place of a list');
  if (value.length > max) throw new AegisError('TOO_LARGE', `a list of more than ${max} items`);
  return value;
}

function flag(value: unknown): boolean {
  if (typeof value !== 'boolean') throw bad('has something else in place of a boolean');
  return value;
}

function integer(value: unknown, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || Number(value) < min || Number(value) > max) {
    throw bad(`has something else in place of a number from ${min} to ${max}`);
  }
  return Number(value);
}

function name(value: unknown): string {
  if (typeof value !== 'string' || value.length > 64) throw bad('has a bad node id');
  return value;
}

function digest(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== DIGEST_BYTES)
    throw bad('has a bad digest');
  return value;
}

function signedBytes(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw bad('has something else in place of a version');
  if (value.length > VERSION_BYTES_MAX) throw new AegisError('TOO_LARGE', 'a version is too long');
  return value;
}

/** Of a signed version or of a merge. */
function recordBytes(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw bad('has something else in place of a record');
  if (value.length > MERGE_BYTES_MAX) throw new AegisError('TOO_LARGE', 'a record is too long');
  return value;
}

function cids(value: unknown): CID[] {
  return list(value, LIMITS.messageItems).map((item) => {
    if (!(item instanceof CID) || item.byteLength > 64) {
      throw bad('has something else in place of a CID');
    }
    return item;
  });
}

function readEntry(value: unknown): VectorEntry {
  const [author, sequence, bytes] = list(value, 3);
  return {
    author: name(author),
    sequence: integer(sequence, 0, Number.MAX_SAFE_INTEGER),
    digest: digest(bytes),
  };
}

function readKeys(value: unknown): KeyRange {
  const [from, to] = list(value, 2).map((key) => {
    if (typeof key !== 'string' || key.length > KEY_CHARACTERS_MAX) throw bad('has a bad key');
    return key;
  });
  if (from === undefined || to === undefined) throw bad('has half a range of keys');
  return to === '' ? { from } : { from, to };
}

function readRange(value: unknown): DigestRange {
  const [from, to, bytes] = list(value, 3);
  const first = integer(from, 1, Number.MAX_SAFE_INTEGER);
  return {
    from: first,
    to: integer(to, first, Number.MAX_SAFE_INTEGER),
    digest: digest(bytes),
  };
}

/** CIDs by what a message holds; at least one page. */
export function pagesOf(versions: readonly CID[]): (readonly CID[])[] {
  const pages = [versions.slice(0, LIMITS.messageItems)];
  for (let i = LIMITS.messageItems; i < versions.length; i += LIMITS.messageItems) {
    pages.push(versions.slice(i, i + LIMITS.messageItems));
  }
  return pages;
}
