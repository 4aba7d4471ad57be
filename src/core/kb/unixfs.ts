/**
 * Files as DAGs of objects, by the profile `unixfs-v1-2025` (IPIP-499): raw leaves of 1 MiB,
 * 1,024 links a node, balanced. The same content and hash give the same CID as
 * `ipfs-unixfs-importer` and kubo.
 */
import { encode as encodePb } from '@ipld/dag-pb';
import type { CID } from 'multiformats/cid';
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';
import type { Hasher } from '../ports.ts';
import { type Block, blockOf, DAG_PB, RAW } from './block.ts';
import { FILE_WIDTH, LIMITS } from './limits.ts';
import { encodeUnixfs, UNIXFS_TYPE } from './unixfs-data.ts';

/** A finished DAG. */
export interface BuiltDag {
  readonly root: CID;
  /** Bytes of content. */
  readonly sizeBytes: number;
  /** Bytes of all objects of the DAG, as dag-pb links count them. */
  readonly tsize: number;
  /** The objects above the leaves, children before parents; for an empty file its one leaf. */
  readonly blocks: readonly Block[];
}

interface Part {
  readonly cid: CID;
  readonly sizeBytes: number;
  readonly tsize: number;
}

export class FileDag {
  readonly #leaves: Part[] = [];
  #sizeBytes = 0;

  /**
   * Adds the next leaf: a raw object of 1 to 2^20 bytes; all but the last are full.
   * @throws {AegisError} `TOO_LARGE` beyond the limit of a root.
   */
  addLeaf(cid: CID, sizeBytes: number): void {
    assert(cid.code === RAW, 'leaves of files are raw objects');
    this.#sizeBytes += sizeBytes;
    if (this.#sizeBytes > LIMITS.rootBytes) {
      throw new AegisError('TOO_LARGE', `a file of more than ${LIMITS.rootBytes} bytes`);
    }
    this.#leaves.push({ cid, sizeBytes, tsize: sizeBytes });
  }

  /** Builds the nodes above the leaves. `hasher` is the one that named the leaves. */
  finish(hasher: Hasher): BuiltDag {
    const blocks: Block[] = [];
    let level = this.#leaves;
    if (level.length === 0) {
      const empty = blockOf(RAW, new Uint8Array(), hasher);
      blocks.push(empty);
      level = [{ cid: empty.cid, sizeBytes: 0, tsize: 0 }];
    }
    while (level.length > 1) {
      const above: Part[] = [];
      for (let i = 0; i < level.length; i += FILE_WIDTH) {
        above.push(parentOf(level.slice(i, i + FILE_WIDTH), hasher, blocks));
      }
      level = above;
    }
    const { cid: root, tsize } = level[0]!;
    return { root, sizeBytes: this.#sizeBytes, tsize, blocks };
  }
}

function parentOf(children: readonly Part[], hasher: Hasher, blocks: Block[]): Part {
  const sizeBytes = children.reduce((sum, child) => sum + child.sizeBytes, 0);
  const data = encodeUnixfs({
    type: UNIXFS_TYPE.file,
    fileSize: sizeBytes,
    blockSizes: children.map((child) => child.sizeBytes),
  });
  const links = children.map(({ cid, tsize }) => ({ Name: '', Tsize: tsize, Hash: cid }));
  const block = blockOf(DAG_PB, encodePb({ Data: data, Links: links }), hasher);
  blocks.push(block);
  const tsize = children.reduce((sum, child) => sum + child.tsize, block.bytes.length);
  return { cid: block.cid, sizeBytes, tsize };
}
