/**
 * Small contents of the merge scenario: one leaf each, so that a root is an object. What they say
 * is known to the whole world by their CIDs; which node has one, its disk says.
 */
import type { CID } from 'multiformats/cid';
import { assert } from '../assert.ts';
import { sha256 } from '../crypto/hash.ts';
import { type Block, blockOf, type Hashers, keyOf, RAW, SHA2_256 } from '../kb/block.ts';
import type { MergeReply, MergeRequest } from '../kb/merge/steps.ts';
import type { Hasher } from '../ports.ts';
import type { SimRandom } from './random.ts';

const hasher: Hasher = { code: SHA2_256, name: 'sha2-256', digest: sha256 };
export const simHashers: Hashers = () => hasher;

const LINES = 8;
const KINDS = ['json', 'md', 'log', 'bin'] as const;

/** Of a kind that its name tells (W13): keys, lines, a log, or nothing of these. */
export const pathAt = (n: number): string => `doc ${n}.${KINDS[n % KINDS.length]}`;

/** A change that somebody makes to a content, or its beginning. */
export function edited(path: string, before: Uint8Array | undefined, random: SimRandom): Block {
  const text = Buffer.from(before ?? []).toString();
  const mark = `${random.between(0, 99)}`;
  const kind = path.slice(path.lastIndexOf('.') + 1);
  return blockOf(RAW, Buffer.from(editedText(kind, text, mark, random)), hasher);
}

function editedText(kind: string, text: string, mark: string, random: SimRandom): string {
  if (kind === 'log') return `${text}${mark}\n`;
  if (kind === 'bin') return `\0${mark}`;
  const at = random.between(0, LINES - 1);
  if (kind === 'json') {
    const fields = JSON.parse(text === '' ? '{}' : text) as Record<string, string>;
    return JSON.stringify({ ...fields, [`key ${at}`]: mark });
  }
  const lines = text === '' ? Array.from({ length: LINES }, (_, n) => `${n}`) : text.split('\n');
  lines[at] = mark;
  return lines.join('\n');
}

/** What a merge asks for and the node does not have. */
export class Lacking extends Error {
  readonly root: CID;

  constructor(root: CID) {
    super(`${root.toString()} is not here`);
    this.root = root;
  }
}

export class SimContents {
  readonly #bytes = new Map<string, Uint8Array>();

  put(blocks: readonly Block[]): void {
    for (const { cid, bytes } of blocks) this.#bytes.set(keyOf(cid), bytes);
  }

  get(cid: CID): Uint8Array {
    const bytes = this.#bytes.get(keyOf(cid));
    assert(bytes !== undefined, 'what is named was made');
    return bytes;
  }

  /** As a node answers that has these roots; `Lacking` is thrown for another. */
  answer(hasRoot: (root: string) => boolean): (request: MergeRequest) => MergeReply {
    const made = new Set<string>();
    return (request) => {
      assert(request.type !== 'open', 'nothing is sealed here');
      if (request.type === 'put') {
        this.put(request.blocks);
        for (const { cid } of request.blocks) made.add(cid.toString());
        return [];
      }
      const { root, cids } = request;
      if (!made.has(root.toString()) && !hasRoot(root.toString())) throw new Lacking(root);
      return cids.map((cid) => this.get(cid));
    };
  }
}
