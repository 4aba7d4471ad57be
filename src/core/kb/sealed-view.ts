/**
 * A sealed DAG as it was before it was sealed (W43): names and sizes. Leaves are opened where they
 * are read. What does not open is refused, and names are checked again: who has the key may have
 * sealed anything.
 */
import type { CID } from 'multiformats/cid';
import {
  type LeafKeys,
  openLeaf,
  openName,
  SEALED_LEAF_EXTRA_BYTES,
} from '../crypto/sealed-leaf.ts';
import { AegisError } from '../errors.ts';
import { CHUNK_BYTES } from './limits.ts';
import { nameProblem } from './name.ts';
import type { Link, Node } from './reader.ts';

const SEALED_CHUNK_BYTES = CHUNK_BYTES + SEALED_LEAF_EXTRA_BYTES;

/** What a reader of objects sees of them. */
export interface View {
  /** @throws {AegisError} `BAD_DATA`. */
  node(cid: CID, node: Node): Node;
  /** @throws {AegisError} `BAD_DATA`. */
  leaf(bytes: Uint8Array): Uint8Array;
}

/** Of what was never sealed. */
export const PLAIN: View = { node: (_, node) => node, leaf: (bytes) => bytes };

/** How much content a file, or a part of one at a boundary of leaves, has below its ciphertext. */
function openedSize(sealedBytes: number): number {
  const leaves = Math.max(1, Math.ceil(sealedBytes / SEALED_CHUNK_BYTES));
  return Math.max(0, sealedBytes - leaves * SEALED_LEAF_EXTRA_BYTES);
}

export const viewUnder = (keys: LeafKeys): View => ({
  node: (cid, node) => opened(keys, cid, node),
  leaf: (bytes) => openLeaf(keys, bytes),
});

function opened(keys: LeafKeys, cid: CID, node: Node): Node {
  switch (node.kind) {
    case 'raw':
      return { ...node, sizeBytes: openedSize(node.sizeBytes) };
    case 'file': {
      if (node.data.length > 0) throw bad(cid, 'has content that is not sealed');
      const links = node.links.map((link) => ({
        ...link,
        sizeBytes: openedSize(link.sizeBytes ?? 0),
      }));
      return { ...node, sizeBytes: openedSize(node.sizeBytes), links };
    }
    case 'directory':
    case 'shard':
      return { ...node, links: node.links.map((link) => openedLink(keys, cid, link)) };
    default:
      throw bad(cid, `is a ${node.kind} and cannot be in a sealed content`);
  }
}

function openedLink(keys: LeafKeys, cid: CID, link: Link): Link {
  if (link.name === undefined) return link;
  const name = openName(keys, link.name);
  const problem = nameProblem(name);
  if (problem !== undefined) throw bad(cid, `has an entry whose name ${problem}`);
  return { ...link, name };
}

const bad = (cid: CID, why: string): AegisError =>
  new AegisError('BAD_DATA', `the object ${cid.toString()} ${why}`);
