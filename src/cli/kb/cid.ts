/**
 * The CID that a file or a directory on disk would get, byte for byte as `kb put` would make it.
 * Nothing is stored, and no daemon is asked.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { CID } from 'multiformats/cid';
import { blockOf, RAW } from '../../core/kb/block.ts';
import { buildDirectory, type DirectoryEntry } from '../../core/kb/directory.ts';
import { FileDag } from '../../core/kb/unixfs.ts';
import type { Hasher } from '../../core/ports.ts';
import { MIB } from '../../core/units.ts';
import { unreadable, unsupported, walk } from './walk.ts';

/** As `kb put` cuts files. */
const LEAF_BYTES = MIB;

type Hashed = Omit<DirectoryEntry, 'name'>;
/** A directory: its children by name. */
type Tree = Map<string, Tree | Hashed>;

/** @throws {AegisError} `UNREADABLE`, `UNSUPPORTED_FILE`, `TOO_LARGE`. */
export async function cidOfPath(name: string, hasher: Hasher): Promise<CID> {
  const absolute = resolve(name);
  const stats = await stat(absolute).catch((error: unknown) => {
    throw unreadable(error, name);
  });
  if (stats.isFile()) return hashFile(absolute, name, hasher).cid;
  if (!stats.isDirectory()) throw unsupported(name, stats);
  const tree: Tree = new Map();
  for (const found of await walk(absolute)) {
    const parts = found.path.split('/');
    if (found.kind === 'directory') {
      descend(tree, parts);
    } else {
      const parent = descend(tree, parts.slice(0, -1));
      parent.set(parts.at(-1)!, hashFile(found.absolute, found.path, hasher));
    }
  }
  return hashTree(tree, hasher).cid;
}

function descend(tree: Tree, parts: readonly string[]): Tree {
  let at = tree;
  for (const part of parts) {
    const next = at.get(part);
    const below: Tree = next instanceof Map ? next : new Map();
    at.set(part, below);
    at = below;
  }
  return at;
}

function hashTree(tree: Tree, hasher: Hasher): Hashed {
  const entries = [...tree].map(([name, node]) => {
    return { name, ...(node instanceof Map ? hashTree(node, hasher) : node) };
  });
  const { root: cid, sizeBytes, tsize } = buildDirectory(entries, hasher);
  return { cid, sizeBytes, tsize };
}

function hashFile(absolute: string, name: string, hasher: Hasher): Hashed {
  const dag = new FileDag();
  try {
    // Without O_NONBLOCK, a fifo that has taken the file's place would hang the open for ever.
    const file = openSync(absolute, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      checkFile(fstatSync(file), name);
      for (let chunk = readChunk(file); chunk.length > 0; chunk = readChunk(file)) {
        dag.addLeaf(blockOf(RAW, chunk, hasher).cid, chunk.length);
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw unreadable(error, name);
  }
  const { root: cid, sizeBytes, tsize } = dag.finish(hasher);
  return { cid, sizeBytes, tsize };
}

function checkFile(stats: Stats, name: string): void {
  if (!stats.isFile()) throw unsupported(name, stats);
}

/** A full chunk, or what is left. */
function readChunk(file: number): Uint8Array {
  const chunk = new Uint8Array(LEAF_BYTES);
  let length = 0;
  for (let read = -1; read !== 0 && length < LEAF_BYTES; length += read) {
    read = readSync(file, chunk, length, LEAF_BYTES - length, null);
  }
  return chunk.subarray(0, length);
}
