/**
 * What a merge asks of the store, as values: the merge itself is a generator that asks for objects
 * and hands over new ones, so that the same one runs in a node, which awaits them, and in the
 * simulator, which does not. What an object is here follows from its bytes alone: those that are
 * none, or not what their parents say, are `other` on every node.
 */
import type { CID } from 'multiformats/cid';
import { assert } from '../../assert.ts';
import { type LeafKeys, sealLeaf, sealName } from '../../crypto/sealed-leaf.ts';
import { isAegisError } from '../../errors.ts';
import { encodeSealedRoot, isSealedRoot, SEALED_CODEC } from '../../model/sealed.ts';
import type { Hasher } from '../../ports.ts';
import { type Block, blockOf, RAW } from '../block.ts';
import { buildDirectory } from '../directory.ts';
import { CHUNK_BYTES, LIMITS } from '../limits.ts';
import { type Link, type Node, parseNode } from '../reader.ts';
import { PLAIN, type View } from '../sealed-view.ts';
import { type BuiltDag, FileDag } from '../unixfs.ts';

/** How the new parts of a content are sealed (W43). */
export interface Seal {
  readonly keys: LeafKeys;
  /** The key object. */
  readonly key: Block;
  /** Recipients of age. */
  readonly to: readonly string[];
}

/** A content as who may read it sees it. */
export interface Opened {
  /** Of the DAG; the root itself, unless that is sealed. */
  readonly content: CID;
  readonly view: View;
  readonly seal: Seal | undefined;
}

export type MergeRequest =
  /** Answered by a sealed content, opened. */
  | { readonly type: 'open'; readonly root: CID }
  /** Answered by the bytes of each, checked against its name. */
  | { readonly type: 'get'; readonly root: CID; readonly cids: readonly CID[] }
  /** Answered, by nothing, once they are stored. */
  | { readonly type: 'put'; readonly blocks: readonly Block[] };

export type MergeReply = readonly Uint8Array[] | Opened;

/** A part of a merge: yields what it asks for, and returns what it comes to. */
export type Steps<T> = Generator<MergeRequest, T, MergeReply>;

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

/** One that is sealed and cannot be read by anybody, as its bytes are none, counts as plain. */
export const unreadable = (root: CID): Opened => ({ content: root, view: PLAIN, seal: undefined });

/** @throws what the driver throws when this node may not read it. */
export function* open(root: CID): Steps<Opened> {
  if (!isSealedRoot(root)) return { content: root, view: PLAIN, seal: undefined };
  const opened = yield { type: 'open', root };
  assert(!isObjects(opened), 'a question is answered by its reply');
  return opened;
}

const cidIn = ({ root, cid }: Piece, { content }: Opened): CID =>
  cid.equals(root) ? content : cid;

export function* look(piece: Piece, opened: Opened, entriesMax: number): Steps<Looked> {
  const { root } = piece;
  const [loaded] = yield* load(root, opened.view, [{ cid: cidIn(piece, opened) }]);
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
    const below = yield* load(root, opened.view, shards);
    if (below.some((one) => one?.node.kind !== 'shard')) return { kind: 'other' };
    level = below.map((one) => one!.node);
  }
  const names = new Set(entries.map(({ name }) => name));
  return names.size === entries.length ? { kind: 'directory', entries } : { kind: 'other' };
}

/** The content of a file; undefined when its parts do not fit, or are more than `maxBytes`. */
export function* read(
  piece: Piece,
  opened: Opened,
  maxBytes: number,
): Steps<Uint8Array | undefined> {
  const { root } = piece;
  const parts: Uint8Array[] = [];
  let left = maxBytes;
  const below = function* (links: readonly Part[], depth: number): Steps<boolean> {
    if (depth > LIMITS.depth) return false;
    for (const [n, loaded] of (yield* load(root, opened.view, links)).entries()) {
      if (loaded === undefined) return false;
      const { node, bytes } = loaded;
      if (node.kind !== 'raw' && node.kind !== 'file') return false;
      const { sizeBytes = node.sizeBytes } = links[n]!;
      if (node.sizeBytes !== sizeBytes || sizeBytes > left) return false;
      const data = node.kind === 'raw' ? leafOf(opened.view, bytes) : node.data;
      if (data === undefined) return false;
      parts.push(data);
      left -= data.length;
      if (node.kind === 'file' && !(yield* below(node.links, depth + 1))) return false;
    }
    return true;
  };
  const isWhole = yield* below([{ cid: cidIn(piece, opened) }], 0);
  return isWhole ? new Uint8Array(Buffer.concat(parts)) : undefined;
}

/** Where new objects belong. */
export interface Writing {
  /** Of the content by whose key they are sealed. */
  readonly root: CID;
  readonly seal: Seal | undefined;
  readonly hasher: Hasher;
}

/** Stores a file, cut and sealed as any that is put. */
export function* writeFile(bytes: Uint8Array, writing: Writing): Steps<Piece> {
  const { seal, hasher } = writing;
  const dag = new FileDag();
  const leaves: Block[] = [];
  for (let at = 0; at < Math.max(bytes.length, 1); at += CHUNK_BYTES) {
    const chunk = bytes.subarray(at, at + CHUNK_BYTES);
    const leaf = blockOf(RAW, seal === undefined ? chunk : sealLeaf(seal.keys, chunk), hasher);
    leaves.push(leaf);
    dag.addLeaf(leaf.cid, leaf.bytes.length);
  }
  return yield* store(dag.finish(hasher), leaves, writing);
}

/** @throws {AegisError} `TOO_LARGE` for a name that cannot be sealed. */
export function* writeDirectory(entries: readonly NamedPiece[], writing: Writing): Steps<Piece> {
  const { seal, hasher } = writing;
  const all = entries.map(({ name, cid, tsize }) => ({
    name: seal === undefined ? name : sealName(seal.keys, name),
    ...{ cid, tsize, sizeBytes: 0 },
  }));
  return yield* store(buildDirectory(all, hasher), [], writing);
}

/** Stores the root above a sealed content. */
export function* writeSealedRoot(content: CID, seal: Seal, hasher: Hasher): Steps<CID> {
  const { key, to } = seal;
  const bytes = encodeSealedRoot({ key: key.cid, content, to });
  const root = blockOf(SEALED_CODEC, bytes, hasher);
  yield { type: 'put', blocks: [key, root] };
  return root.cid;
}

/** Runs a merge where objects are there at once. */
export function runSteps<T>(steps: Steps<T>, answer: (request: MergeRequest) => MergeReply): T {
  let next = steps.next();
  while (next.done !== true) next = steps.next(answer(next.value));
  return next.value;
}

function* store(
  { root: cid, tsize, blocks }: BuiltDag,
  leaves: readonly Block[],
  { root, seal }: Writing,
): Steps<Piece> {
  yield { type: 'put', blocks: [...leaves, ...blocks] };
  return { root: seal === undefined ? cid : root, cid, tsize };
}

const isObjects = (reply: MergeReply): reply is readonly Uint8Array[] => Array.isArray(reply);

type Part = Pick<Link, 'cid' | 'sizeBytes'>;

interface Loaded {
  readonly node: Node;
  readonly bytes: Uint8Array;
}

function* load(root: CID, view: View, parts: readonly Part[]): Steps<(Loaded | undefined)[]> {
  const all: (Loaded | undefined)[] = [];
  for (let at = 0; at < parts.length; at += BATCH) {
    const cids = parts.slice(at, at + BATCH).map(({ cid }) => cid);
    const found = yield { type: 'get', root, cids };
    assert(isObjects(found) && found.length === cids.length, 'every object is given');
    for (const [n, cid] of cids.entries()) all.push(parsed(cid, view, found[n]!));
  }
  return all;
}

/** The author of a root chooses its bytes; what cannot be read is so on every node. */
const parsed = (cid: CID, view: View, bytes: Uint8Array): Loaded | undefined =>
  orNothing(() => ({ node: view.node(cid, parseNode(cid, bytes)), bytes }));

const leafOf = (view: View, bytes: Uint8Array): Uint8Array | undefined =>
  orNothing(() => view.leaf(bytes));

function orNothing<T>(make: () => T): T | undefined {
  try {
    return make();
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
