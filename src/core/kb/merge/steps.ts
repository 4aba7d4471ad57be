/**
 * What a merge asks of the store, as values: the merge itself is a generator that asks for objects
 * and hands over new ones, so that the same one runs in a node, which awaits them, and in the
 * simulator, which does not. What an object is here follows from its bytes alone: those that are
 * none, or not what their parents say, are `other` on every node.
 */
import type { CID } from 'multiformats/cid';
import { assert } from '../../assert.ts';
import { isAegisError } from '../../errors.ts';
import type { Hasher } from '../../ports.ts';
import { type Block, blockOf, RAW } from '../block.ts';
import { buildDirectory } from '../directory.ts';
import { CHUNK_BYTES, LIMITS } from '../limits.ts';
import { type Link, type Node, parseNode } from '../reader.ts';
import { type BuiltDag, FileDag } from '../unixfs.ts';

export type ObjectRequest =
  /** Answered by the bytes of each, checked against its name. */
  | { readonly type: 'get'; readonly root: CID; readonly cids: readonly CID[] }
  /** Answered, by nothing, once they are stored. */
  | { readonly type: 'put'; readonly blocks: readonly Block[] };

export type ObjectReply = readonly Uint8Array[];

/** A part of a merge: yields what it asks for, and returns what it comes to. */
export type Steps<T> = Generator<ObjectRequest, T, ObjectReply>;

/** Something that stands in a directory, or at the root. */
export interface Piece {
  /** The content of which it is a part. */
  readonly root: CID;
  readonly cid: CID;
  /** Bytes of all objects below and including it, as the link to it claims; 0 of a root. */
  readonly tsize: number;
}

export interface NamedPiece extends Piece {
  readonly name: string;
}

/** What stands at some place of a content. */
export type Looked =
  | { readonly kind: 'file'; readonly sizeBytes: number }
  /** Undefined: there are more entries than were asked for. */
  | { readonly kind: 'directory'; readonly entries: readonly NamedPiece[] | undefined }
  /** A symbolic link, another codec, or bytes that are none of all these. */
  | { readonly kind: 'other' };

/** Objects that are asked for together. */
const BATCH = 256;

export function* look(piece: Piece, entriesMax: number): Steps<Looked> {
  const { root, cid } = piece;
  const [loaded] = yield* load(root, [{ cid }]);
  const node = loaded?.node;
  if (node?.kind === 'raw' || node?.kind === 'file') {
    return { kind: 'file', sizeBytes: node.sizeBytes };
  }
  if (node?.kind !== 'directory' && node?.kind !== 'shard') return { kind: 'other' };
  const entries: NamedPiece[] = [];
  const seen = new Set<string>();
  for (let level: readonly Node[] = [node], depth = 0; level.length > 0; depth += 1) {
    const shards: Link[] = [];
    for (const { links } of level) {
      for (const link of links) {
        if (link.name === undefined) shards.push(link);
        else entries.push({ root, cid: link.cid, tsize: link.tsize, name: link.name });
      }
      if (entries.length + shards.length > entriesMax) {
        return { kind: 'directory', entries: undefined };
      }
    }
    // As when it is read for people: a shard stands in one place.
    if (depth > LIMITS.depth || shards.some((shard) => !isNew(shard, seen))) {
      return { kind: 'other' };
    }
    const below = yield* load(root, shards);
    if (below.some((one) => one?.node.kind !== 'shard')) return { kind: 'other' };
    level = below.map((one) => one!.node);
  }
  const names = new Set(entries.map(({ name }) => name));
  return names.size === entries.length ? { kind: 'directory', entries } : { kind: 'other' };
}

/** The content of a file; undefined when its parts do not fit, or are more than `maxBytes`. */
export function* read({ root, cid }: Piece, maxBytes: number): Steps<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let left = maxBytes;
  const below = function* (links: readonly Part[], depth: number): Steps<boolean> {
    if (depth > LIMITS.depth) return false;
    for (const [n, loaded] of (yield* load(root, links)).entries()) {
      if (loaded === undefined) return false;
      const { node, bytes } = loaded;
      if (node.kind !== 'raw' && node.kind !== 'file') return false;
      const { sizeBytes = node.sizeBytes } = links[n]!;
      if (node.sizeBytes !== sizeBytes || sizeBytes > left) return false;
      const data = node.kind === 'raw' ? bytes : node.data;
      parts.push(data);
      left -= data.length;
      if (node.kind === 'file' && !(yield* below(node.links, depth + 1))) return false;
    }
    return true;
  };
  const isWhole = yield* below([{ cid }], 0);
  return isWhole ? new Uint8Array(Buffer.concat(parts)) : undefined;
}

/** Stores a file, cut as any that is put. */
export function* writeFile(bytes: Uint8Array, hasher: Hasher): Steps<Piece> {
  const dag = new FileDag();
  const leaves: Block[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    const leaf = blockOf(RAW, bytes.subarray(at, at + CHUNK_BYTES), hasher);
    leaves.push(leaf);
    dag.addLeaf(leaf.cid, leaf.bytes.length);
  }
  return yield* store(dag.finish(hasher), leaves);
}

export const writeDirectory = (entries: readonly NamedPiece[], hasher: Hasher): Steps<Piece> => {
  const all = entries.map(({ name, cid, tsize }) => ({ name, cid, tsize, sizeBytes: 0 }));
  return store(buildDirectory(all, hasher), []);
};

/** Runs a merge where objects are there at once. */
export function runSteps<T>(steps: Steps<T>, answer: (request: ObjectRequest) => ObjectReply): T {
  let next = steps.next();
  while (next.done !== true) next = steps.next(answer(next.value));
  return next.value;
}

function* store({ root, tsize, blocks }: BuiltDag, leaves: readonly Block[]): Steps<Piece> {
  yield { type: 'put', blocks: [...leaves, ...blocks] };
  return { root, cid: root, tsize };
}

type Part = Pick<Link, 'cid' | 'sizeBytes'>;

interface Loaded {
  readonly node: Node;
  readonly bytes: Uint8Array;
}

function* load(root: CID, parts: readonly Part[]): Steps<(Loaded | undefined)[]> {
  const all: (Loaded | undefined)[] = [];
  for (let at = 0; at < parts.length; at += BATCH) {
    const cids = parts.slice(at, at + BATCH).map(({ cid }) => cid);
    const found = yield { type: 'get', root, cids };
    assert(found.length === cids.length, 'every object that is asked for is given');
    for (const [n, cid] of cids.entries()) all.push(parsed(cid, found[n]!));
  }
  return all;
}

/** The author of a root chooses its bytes; what cannot be read is so on every node. */
function parsed(cid: CID, bytes: Uint8Array): Loaded | undefined {
  try {
    return { node: parseNode(cid, bytes), bytes };
  } catch (error) {
    if (isAegisError(error)) return undefined;
    throw error;
  }
}

function isNew({ cid }: Link, seen: Set<string>): boolean {
  const name = cid.toString();
  if (seen.has(name)) return false;
  seen.add(name);
  return true;
}
