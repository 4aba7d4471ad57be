/**
 * Directories as objects: flat, or sharded when the flat encoding is longer than 256 KiB
 * (profile `unixfs-v1-2025`: the exact length of the encoded node decides).
 */
import { encode as encodePb, prepare } from '@ipld/dag-pb';
import type { CID } from 'multiformats/cid';
import { AegisError } from '../errors.ts';
import type { Hasher } from '../ports.ts';
import { type Block, blockOf, DAG_PB } from './block.ts';
import { type Leaf, type Shard, shardOf } from './hamt.ts';
import { LIMITS, SHARD_ABOVE_BYTES } from './limits.ts';
import { nameProblem } from './name.ts';
import type { BuiltDag } from './unixfs.ts';
import { encodeUnixfs, MURMUR3, UNIXFS_TYPE } from './unixfs-data.ts';

export interface DirectoryEntry {
  readonly name: string;
  readonly cid: CID;
  /** Bytes of all objects of the entry, as `BuiltDag.tsize`. */
  readonly tsize: number;
  /** Bytes of content. */
  readonly sizeBytes: number;
}

const FANOUT = 256;

/**
 * Builds one directory. The order of `entries` does not matter.
 * @throws {AegisError} `BAD_DATA` for bad or equal names, `TOO_LARGE` for too many.
 */
export function buildDirectory(entries: readonly DirectoryEntry[], hasher: Hasher): BuiltDag {
  checkNames(entries);
  const sizeBytes = entries.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  if (flatBytesAtLeast(entries) <= SHARD_ABOVE_BYTES) {
    const flat = encodeNode({ type: UNIXFS_TYPE.directory, blockSizes: [] }, entries);
    if (flat.length <= SHARD_ABOVE_BYTES) {
      const block = blockOf(DAG_PB, flat, hasher);
      const tsize = entries.reduce((sum, entry) => sum + entry.tsize, flat.length);
      return { root: block.cid, sizeBytes, tsize, blocks: [block] };
    }
  }
  const blocks: Block[] = [];
  const { cid, tsize } = buildShard(shardOf(entries), hasher, blocks);
  return { root: cid, sizeBytes, tsize, blocks };
}

function checkNames(entries: readonly DirectoryEntry[]): void {
  if (entries.length > LIMITS.directoryEntries) {
    const count = LIMITS.directoryEntries;
    throw new AegisError('TOO_LARGE', `a directory of more than ${count} entries`);
  }
  const names = new Set<string>();
  for (const { name } of entries) {
    const problem = nameProblem(name);
    if (problem !== undefined) {
      throw new AegisError('BAD_DATA', `the name ${JSON.stringify(name)} ${problem}`);
    }
    if (names.has(name)) {
      throw new AegisError('BAD_DATA', `two entries are named ${JSON.stringify(name)}`);
    }
    names.add(name);
  }
}

/** A lower bound of the flat encoding, so that a huge directory is not encoded twice. */
function flatBytesAtLeast(entries: readonly DirectoryEntry[]): number {
  let bytes = 0;
  for (const { name, cid } of entries) bytes += 8 + Buffer.byteLength(name) + cid.byteLength;
  return bytes;
}

function encodeNode(
  data: Parameters<typeof encodeUnixfs>[0],
  links: readonly { name: string; cid: CID; tsize: number }[],
): Uint8Array {
  const Links = links.map(({ name, cid, tsize }) => ({ Name: name, Tsize: tsize, Hash: cid }));
  return encodePb(prepare({ Data: encodeUnixfs(data), Links }));
}

const isShard = (slot: Leaf | Shard): slot is Shard => 'slots' in slot;

function buildShard(shard: Shard, hasher: Hasher, blocks: Block[]): { cid: CID; tsize: number } {
  const links: { name: string; cid: CID; tsize: number }[] = [];
  // The bit field is big-endian in the message: the last byte holds slots 0 to 7. Leading zero
  // bytes are left out, as the reference implementations do.
  const bits = new Uint8Array(FANOUT / 8);
  for (const [slot, child] of shard.slots) {
    bits[bits.length - 1 - (slot >> 3)]! |= 1 << (slot & 7);
    const prefix = slot.toString(16).toUpperCase().padStart(2, '0');
    if (isShard(child)) links.push({ name: prefix, ...buildShard(child, hasher, blocks) });
    else links.push({ name: prefix + child.name, cid: child.cid, tsize: child.tsize });
  }
  const first = bits.findIndex((byte) => byte !== 0);
  const data = {
    type: UNIXFS_TYPE.hamt,
    data: bits.subarray(Math.max(first, 0)),
    blockSizes: [],
    hashType: MURMUR3,
    fanout: FANOUT,
  };
  const block = blockOf(DAG_PB, encodeNode(data, links), hasher);
  blocks.push(block);
  const tsize = links.reduce((sum, link) => sum + link.tsize, block.bytes.length);
  return { cid: block.cid, tsize };
}
