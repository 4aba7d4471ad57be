/** What the tests of kb share: hashers, made content, stores in memory. */
import { hash } from 'node:crypto';
import { blake3 } from '@noble/hashes/blake3.js';
import type { CID } from 'multiformats/cid';
import {
  BLAKE3,
  type Block,
  blockOf,
  type Hashers,
  keyOf,
  RAW,
  SHA2_256,
} from '../../../src/core/kb/block.ts';
import { buildDirectory, type DirectoryEntry } from '../../../src/core/kb/directory.ts';
import { CHUNK_BYTES } from '../../../src/core/kb/limits.ts';
import { type BuiltDag, FileDag } from '../../../src/core/kb/unixfs.ts';
import type { Hasher } from '../../../src/core/ports.ts';

export const sha256Hasher: Hasher = {
  code: SHA2_256,
  name: 'sha2-256',
  digest: (bytes) => new Uint8Array(hash('sha256', bytes, 'buffer')),
};

export const blake3Hasher: Hasher = { code: BLAKE3, name: 'blake3', digest: (b) => blake3(b) };

export const hashers: Hashers = (code) =>
  [sha256Hasher, blake3Hasher].find((hasher) => hasher.code === code);

/** Bytes that follow from a seed. */
export function bytesOf(length: number, seed = 1): Uint8Array {
  const out = new Uint8Array(length);
  const words = new Uint32Array(out.buffer, 0, length >> 2);
  let state = (seed * 2654435761) >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
  for (let i = 0; i < words.length; i += 1) words[i] = next();
  for (let i = words.length * 4; i < length; i += 1) out[i] = next() & 255;
  return out;
}

/** A store in memory, by CID. */
export class Objects {
  readonly #blocks = new Map<string, Uint8Array>();

  put(blocks: readonly Block[]): void {
    for (const { cid, bytes } of blocks) this.#blocks.set(keyOf(cid), Uint8Array.from(bytes));
  }

  get(cid: CID): Uint8Array | undefined {
    return this.#blocks.get(keyOf(cid));
  }

  delete(cid: CID): void {
    this.#blocks.delete(keyOf(cid));
  }

  get size(): number {
    return this.#blocks.size;
  }
}

export interface Made extends BuiltDag {
  /** All objects, leaves too. */
  readonly objects: readonly Block[];
}

/** A file by the builder under test. Smaller leaves than the profile's make deep DAGs cheap. */
export function fileOf(content: Uint8Array, hasher = sha256Hasher, chunk = CHUNK_BYTES): Made {
  const dag = new FileDag();
  const leaves: Block[] = [];
  for (let at = 0; at < content.length; at += chunk) {
    const leaf = blockOf(RAW, content.subarray(at, at + chunk), hasher);
    leaves.push(leaf);
    dag.addLeaf(leaf.cid, leaf.bytes.length);
  }
  const built = dag.finish(hasher);
  return { ...built, objects: [...leaves, ...built.blocks] };
}

export function directoryOf(children: Readonly<Record<string, Made>>, hasher = sha256Hasher): Made {
  const entries: DirectoryEntry[] = Object.entries(children).map(([name, child]) => ({
    name,
    cid: child.root,
    tsize: child.tsize,
    sizeBytes: child.sizeBytes,
  }));
  const built = buildDirectory(entries, hasher);
  const below = Object.values(children).flatMap((child) => child.objects);
  return { ...built, objects: [...below, ...built.blocks] };
}

/** The interface that the reference importer and exporter want of a store. */
export function ipfsStore(objects: Objects) {
  return {
    put: (cid: CID, bytes: Uint8Array): CID => {
      objects.put([{ cid, bytes }]);
      return cid;
    },
    get: function* (cid: CID): Generator<Uint8Array> {
      const bytes = objects.get(cid);
      if (bytes === undefined) throw new Error(`no object ${cid.toString()}`);
      yield bytes;
    },
  };
}
