/**
 * Reads one object of a DAG: what it is and what it links to. The bytes are hostile even when
 * their hash fits, since the author of a root chooses them.
 */
import { decode as decodePb } from '@ipld/dag-pb';
import type { CID } from 'multiformats/cid';
import { AegisError } from '../errors.ts';
import { isSealedRoot, readSealedRoot, type SealedRoot } from '../model/sealed.ts';
import { DAG_PB, RAW } from './block.ts';
import { LIMITS } from './limits.ts';
import { nameProblem } from './name.ts';
import { decodeUnixfs, FieldReader, MURMUR3, UNIXFS_TYPE, type UnixfsData } from './unixfs-data.ts';

export interface Link {
  readonly cid: CID;
  /** Bytes of all objects below and including the child, as its parent claims. */
  readonly tsize: number;
  /** Bytes of content of the child. Only in files. */
  readonly sizeBytes?: number;
  /** The name of the entry. Only in directories; a link of a shard without one is a sub-shard. */
  readonly name?: string;
}

export type Node =
  | { readonly kind: 'raw'; readonly sizeBytes: number; readonly links: readonly Link[] }
  | {
      readonly kind: 'file';
      /** Bytes of content of the whole file below this node. */
      readonly sizeBytes: number;
      /** Content that stands in the node itself, before that of its children. */
      readonly data: Uint8Array;
      readonly links: readonly Link[];
    }
  | { readonly kind: 'directory'; readonly links: readonly Link[] }
  | { readonly kind: 'shard'; readonly fanout: number; readonly links: readonly Link[] }
  | { readonly kind: 'symlink'; readonly target: string; readonly links: readonly Link[] }
  /** W42: the key object and the ciphertext. Only a root is one. */
  | ({ readonly kind: 'sealed'; readonly links: readonly Link[] } & SealedRoot);

const bad = (cid: CID, why: string, cause?: unknown): AegisError =>
  new AegisError('BAD_DATA', `the object ${cid.toString()} ${why}`, { cause });

const tooLarge = (cid: CID, why: string): AegisError =>
  new AegisError('TOO_LARGE', `the object ${cid.toString()} has ${why}`);

/** Whether objects under this CID have links at all. */
export const isNode = (cid: CID): boolean => cid.code === DAG_PB || isSealedRoot(cid);

/**
 * @throws {AegisError} `BAD_DATA`, `BAD_ENCODING`, `TOO_LARGE`.
 */
export function parseNode(cid: CID, bytes: Uint8Array): Node {
  if (bytes.length > LIMITS.blockBytes) throw tooLarge(cid, `${bytes.length} bytes`);
  if (cid.code === RAW) return { kind: 'raw', sizeBytes: bytes.length, links: [] };
  if (isSealedRoot(cid)) return readSealed(bytes);
  if (cid.code !== DAG_PB) throw bad(cid, `has the unsupported codec 0x${cid.code.toString(16)}`);
  const { data, links } = parsePb(cid, bytes);
  const unixfs = decodeUnixfs(data, { maxSizes: LIMITS.fileLinks });
  switch (unixfs.type) {
    case UNIXFS_TYPE.raw:
    case UNIXFS_TYPE.file:
      return readFile(cid, unixfs, links);
    case UNIXFS_TYPE.directory:
      return readDirectory(cid, links);
    case UNIXFS_TYPE.hamt:
      return readShard(cid, unixfs, links);
    case UNIXFS_TYPE.symlink:
      return readSymlink(cid, unixfs, links);
    default:
      throw bad(cid, `has the unsupported UnixFS type ${unixfs.type}`);
  }
}

function readSealed(bytes: Uint8Array): Node {
  const root = readSealedRoot(bytes);
  // It claims no sizes: those of the ciphertext stand in the nodes below.
  const links = [root.key, root.content].map((cid) => ({ cid, tsize: 0 }));
  return { kind: 'sealed', ...root, links };
}

interface PbLink {
  readonly cid: CID;
  readonly name: string;
  readonly tsize: number;
}

function parsePb(cid: CID, bytes: Uint8Array): { data: Uint8Array; links: PbLink[] } {
  countLinks(cid, bytes);
  let node: ReturnType<typeof decodePb>;
  try {
    node = decodePb(bytes);
  } catch (error) {
    throw bad(cid, 'is not dag-pb', error);
  }
  if (node.Data === undefined) throw bad(cid, 'is not UnixFS: it has no data');
  const links = node.Links.map(({ Hash, Name, Tsize }) => {
    const tsize = Tsize ?? 0;
    if (!Number.isSafeInteger(tsize)) throw bad(cid, 'claims a size beyond 2^53');
    return { cid: checkChild(cid, Hash), name: Name ?? '', tsize };
  });
  return { data: node.Data, links };
}

/** Counts the links before anything is built for them. */
function countLinks(cid: CID, bytes: Uint8Array): void {
  const reader = new FieldReader(bytes);
  let count = 0;
  while (!reader.done) {
    if (reader.varint() === 0x12) count += 1;
    reader.bytes();
    if (count > LIMITS.directoryLinks) throw tooLarge(cid, `more than ${count - 1} links`);
  }
}

function checkChild(cid: CID, child: CID): CID {
  if (child.code !== RAW && child.code !== DAG_PB) {
    throw bad(cid, `links to the unsupported codec 0x${child.code.toString(16)}`);
  }
  const { size } = child.multihash;
  if (size !== 32) throw bad(cid, `links to a hash of ${size} bytes`);
  return child;
}

function readFile(cid: CID, unixfs: UnixfsData, links: readonly PbLink[]): Node {
  if (links.length > LIMITS.fileLinks) throw tooLarge(cid, `${links.length} links`);
  if (links.length !== unixfs.blockSizes.length) throw bad(cid, 'has not one size for each link');
  const data = unixfs.data ?? new Uint8Array();
  const sizeBytes = unixfs.blockSizes.reduce((sum, size) => sum + size, data.length);
  if (sizeBytes > LIMITS.rootBytes) throw tooLarge(cid, `${sizeBytes} bytes of content`);
  if (unixfs.fileSize !== undefined && unixfs.fileSize !== sizeBytes) {
    throw bad(cid, 'has parts that do not add up to its size');
  }
  const children = links.map((link, i) => {
    const size = unixfs.blockSizes[i]!;
    return { cid: link.cid, tsize: link.tsize, sizeBytes: size };
  });
  return { kind: 'file', sizeBytes, data, links: children };
}

function readDirectory(cid: CID, links: readonly PbLink[]): Node {
  return { kind: 'directory', links: named(cid, links) };
}

function readShard(cid: CID, unixfs: UnixfsData, links: readonly PbLink[]): Node {
  const fanout = unixfs.fanout ?? 0;
  const isPower =
    fanout >= 8 && fanout <= LIMITS.shardFanout && Number.isInteger(Math.log2(fanout));
  if (!isPower) throw bad(cid, `is a shard with a fanout of ${fanout}`);
  if (unixfs.hashType !== MURMUR3) throw bad(cid, 'is a shard by an unknown hash');
  if (links.length > fanout) throw tooLarge(cid, `${links.length} links in a shard`);
  const prefix = (fanout - 1).toString(16).length;
  const entries = links.map((link) => {
    const slot = link.name.slice(0, prefix);
    if (!/^[0-9A-F]+$/.test(slot) || slot.length < prefix || Number.parseInt(slot, 16) >= fanout) {
      throw bad(cid, 'is a shard with a bad slot');
    }
    return { ...link, name: link.name.slice(prefix) };
  });
  const inner = entries
    .filter((link) => link.name === '')
    .map((link) => ({ cid: link.cid, tsize: link.tsize }));
  named(
    cid,
    entries.filter((link) => link.name !== ''),
  );
  if (inner.some((link) => link.cid.code !== DAG_PB))
    throw bad(cid, 'has a sub-shard without links');
  const out = entries.map(({ cid: child, name, tsize }) =>
    name === '' ? { cid: child, tsize } : { cid: child, name, tsize },
  );
  return { kind: 'shard', fanout, links: out };
}

/** Names are checked here, once, so that no caller can write outside its directory. */
function named(cid: CID, links: readonly PbLink[]): Link[] {
  const seen = new Set<string>();
  for (const { name } of links) {
    const problem = nameProblem(name);
    if (problem !== undefined) throw bad(cid, `has an entry whose name ${problem}`);
    if (seen.has(name)) throw bad(cid, 'has two entries of one name');
    seen.add(name);
  }
  return links.map(({ cid: child, name, tsize }) => ({ cid: child, name, tsize }));
}

function readSymlink(cid: CID, unixfs: UnixfsData, links: readonly PbLink[]): Node {
  if (links.length > 0) throw bad(cid, 'is a symbolic link with links');
  const bytes = unixfs.data ?? new Uint8Array();
  if (bytes.length > LIMITS.nameBytes * 4) throw tooLarge(cid, 'a target that is too long');
  return { kind: 'symlink', target: Buffer.from(bytes).toString('utf8'), links: [] };
}
