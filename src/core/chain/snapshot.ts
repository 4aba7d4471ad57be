/**
 * Y4: a snapshot, as it travels and lies in a file: a manifest with the header and certificate of
 * one height, the leaves of the state in parts, and pages with the rows that prove themselves.
 * Whether it leads there from the genesis is judged elsewhere; nothing here asks anybody.
 */
import { Fields, orNull } from '../consensus/fields.ts';
import { sha256 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { HEADER_BYTES_MAX } from '../model/block.ts';
import { decode, encode } from '../model/cbor.ts';
import { LIMITS } from './limits.ts';
import { TABLES } from './rows.ts';
import {
  EMPTY_HASH,
  nodeHash,
  type Part,
  type StateRow,
  StateTree,
  type Subtree,
  startsWith,
} from './state-tree.ts';
import type { StoredRow } from './types.ts';

export interface Manifest {
  readonly height: number;
  /** Of the block after which this is the state. */
  readonly header: Uint8Array;
  /** Its encoded commit certificate. */
  readonly certificate: Uint8Array;
  /** The schedule of leaders after it, which the header names by its digest. */
  readonly leaders: Uint8Array;
  /** In the order of their keys. */
  readonly parts: readonly Subtree[];
  /** How many pages of rows there are. */
  readonly pages: number;
  /** Y5: the header of the height that was asked for. */
  readonly checkpoint?: Uint8Array | undefined;
}

const CERTIFICATE_BYTES_MAX = 512;
const LEADERS_BYTES_MAX = 8 * 1024;
const PREFIX = /^[01]{0,256}$/;
const HEX_KEY_BYTES = 32;

/** Tables of rows that leaves, certificates or signatures commit to, in the order of pages. */
const PAGE_TABLES: readonly string[] = [
  TABLES.handovers,
  TABLES.members,
  TABLES.successions,
  TABLES.former,
];

const bad = (why: string): AegisError => new AegisError('BAD_DATA', `the snapshot ${why}`);

/** The cuts of a state, so that each part and the list of them fit into messages. */
export const cutsOf = (tree: StateTree): Subtree[] =>
  tree.cut(Math.max(LIMITS.partBytes, Math.ceil(tree.weight / LIMITS.snapshotParts) * 2));

/** Cuts rows into pages that fit into messages. */
export function pagesOf(rows: readonly StoredRow[]): StoredRow[][] {
  const pages: StoredRow[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  const sorted = PAGE_TABLES.flatMap((name) => rows.filter(({ table }) => table === name));
  for (const row of sorted) {
    const size = row.key.length + row.value.length + 64;
    if (bytes + size > LIMITS.partBytes) {
      pages.push([]);
      bytes = 0;
    }
    pages.at(-1)!.push(row);
    bytes += size;
  }
  return pages;
}

export const manifestValue = (manifest: Manifest): unknown => [
  manifest.height,
  manifest.header,
  manifest.certificate,
  manifest.leaders,
  manifest.parts.map(({ prefix, hash }) => [prefix, hash]),
  manifest.pages,
  orNull(manifest.checkpoint),
];

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. Whether it holds is another question. */
export function readManifest(value: unknown): Manifest {
  const fields = new Fields(value, 7, 'manifest');
  return {
    height: fields.height(),
    header: fields.blob(HEADER_BYTES_MAX),
    certificate: fields.blob(CERTIFICATE_BYTES_MAX),
    leaders: fields.blob(LEADERS_BYTES_MAX),
    parts: fields.list(LIMITS.snapshotParts, (item) => {
      const part = new Fields(item, 2, 'part of a manifest');
      return { prefix: part.read(readPrefix), hash: part.bytes(32) };
    }),
    pages: fields.integer(0, LIMITS.snapshotPages),
    checkpoint: fields.optional((item) => new Fields([item], 1, 'manifest').blob(HEADER_BYTES_MAX)),
  };
}

/** Bits from the root down, as a text of 0 and 1. @throws {AegisError} `BAD_ENCODING`. */
export function readPrefix(value: unknown): string {
  if (typeof value === 'string' && PREFIX.test(value)) return value;
  throw new AegisError('BAD_ENCODING', 'a part of the state has no prefix');
}

export const encodeManifest = (manifest: Manifest): Uint8Array =>
  encode(['aegis/snapshot/1', manifestValue(manifest)]);

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const fields = new Fields(decode(bytes, { maxBytes: LIMITS.messageBytes }), 2, 'snapshot');
  fields.word(['aegis/snapshot/1']);
  return fields.read(readManifest);
}

/** Whether the parts, whatever is in them, are together the state with this root. */
export function arePartsOf(root: Uint8Array, parts: readonly Subtree[]): boolean {
  const fold = (from: number, to: number, depth: number): string | undefined => {
    if (from === to) return EMPTY_HASH;
    const only = parts[from]!;
    if (to - from === 1 && only.prefix.length === depth) return textOf(only.hash);
    let middle = from;
    for (let at = from; at < to; at += 1) {
      const bit = parts[at]!.prefix[depth];
      // One lies within another, or they are out of order.
      if (bit === undefined || (bit === '0' && at > middle)) return undefined;
      if (bit === '0') middle = at + 1;
    }
    const left = fold(from, middle, depth + 1);
    const right = fold(middle, to, depth + 1);
    return left === undefined || right === undefined ? undefined : nodeHash(left, right);
  };
  return fold(0, parts.length, 0) === textOf(root);
}

export const leavesValue = (leaves: readonly StateRow[]): unknown =>
  leaves.map(({ key, value }) => [new Uint8Array(Buffer.from(key, 'hex')), value]);

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function readLeaves(value: unknown): StateRow[] {
  return new Fields([value], 1, 'part of the state').list(LIMITS.partLeaves, (item) => {
    const leaf = new Fields(item, 2, 'leaf');
    const key = Buffer.from(leaf.bytes(HEX_KEY_BYTES)).toString('hex');
    return { key, value: leaf.blob(LIMITS.leafBytes) };
  });
}

/** The part of the leaves, if they are the ones with this hash; undefined: they are not. */
export function partOf({ prefix, hash }: Subtree, leaves: readonly StateRow[]): Part | undefined {
  const areThere = leaves.every(
    ({ key }, at) => startsWith(key, prefix) && (at === 0 || leaves[at - 1]!.key < key),
  );
  if (!areThere || leaves.length === 0) return undefined;
  const part = StateTree.part(prefix, leaves);
  return Buffer.compare(part.hash, hash) === 0 ? part : undefined;
}

export const pageValue = (rows: readonly StoredRow[]): unknown =>
  rows.map(({ table, key, value }) => [PAGE_TABLES.indexOf(table), key, value]);

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function readPage(value: unknown): StoredRow[] {
  return new Fields([value], 1, 'page of a snapshot').list(LIMITS.pageRows, (item) => {
    const row = new Fields(item, 3, 'row of a snapshot');
    const table = PAGE_TABLES[row.integer(0, PAGE_TABLES.length - 1)]!;
    return { table, key: row.read(readKey), value: row.blob(LIMITS.messageBytes) };
  });
}

function readKey(value: unknown): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= 512) return value;
  throw new AegisError('BAD_ENCODING', 'a row of a snapshot has no key');
}

/** @throws {AegisError} `BAD_DATA` when the schedule is not the one that the header names. */
export function checkLeaders(digest: Uint8Array, leaders: Uint8Array): void {
  if (Buffer.compare(sha256(leaders), digest) !== 0) throw bad('has other leaders than its block');
}

const textOf = (hash: Uint8Array): string => Buffer.from(hash).toString('latin1');
