/** Contents in memory, and merges of them. */
import type { CID } from 'multiformats/cid';
import { assert } from '../../../../src/core/assert.ts';
import { type Block, blockOf, keyOf, RAW } from '../../../../src/core/kb/block.ts';
import { buildDirectory, type DirectoryEntry } from '../../../../src/core/kb/directory.ts';
import { mergeHeads } from '../../../../src/core/kb/merge/heads.ts';
import {
  look,
  type MergeReply,
  type MergeRequest,
  type NamedPiece,
  type Opened,
  open,
  type Piece,
  read,
  runSteps,
  type Seal,
  type Steps,
  writeDirectory,
  writeFile,
  writeSealedRoot,
} from '../../../../src/core/kb/merge/steps.ts';
import { viewUnder } from '../../../../src/core/kb/sealed-view.ts';
import { encodeMerge, openMerge } from '../../../../src/core/model/merge.ts';
import { readSealedRoot } from '../../../../src/core/model/sealed.ts';
import type { SignedVersion, Version } from '../../../../src/core/model/version.ts';
import { type Author, authors, versionOf } from '../authors.ts';
import { sha256Hasher } from '../helpers.ts';

export type Tree = string | Uint8Array | { readonly [name: string]: Tree };

class MemoryObjects {
  readonly #objects = new Map<string, Uint8Array>();
  readonly #seals = new Set<Seal>();

  put(blocks: readonly Block[]): void {
    for (const { cid, bytes } of blocks) this.#objects.set(keyOf(cid), bytes);
  }

  /** Stores a content; a text or bytes are a file. */
  add(tree: Tree): Omit<DirectoryEntry, 'name'> {
    if (typeof tree === 'string' || tree instanceof Uint8Array) {
      const block = blockOf(RAW, typeof tree === 'string' ? Buffer.from(tree) : tree, sha256Hasher);
      this.put([block]);
      return { cid: block.cid, tsize: block.bytes.length, sizeBytes: block.bytes.length };
    }
    const entries = Object.entries(tree).map(([name, below]) => ({ name, ...this.add(below) }));
    const { root: cid, tsize, sizeBytes, blocks } = buildDirectory(entries, sha256Hasher);
    this.put(blocks);
    return { cid, tsize, sizeBytes };
  }

  /** A content as it was added; undefined for what is no file and no directory. */
  show(cid: CID): Tree | undefined {
    return this.#show(cid, cid);
  }

  /** As nodes do that may read it. */
  addSealed(tree: Tree, seal: Seal): CID {
    const writing = { root: seal.key.cid, seal, hasher: sha256Hasher };
    const write = function* (below: Tree): Steps<Piece> {
      if (typeof below === 'string' || below instanceof Uint8Array) {
        return yield* writeFile(Buffer.from(below), writing);
      }
      const entries: NamedPiece[] = [];
      for (const [name, one] of Object.entries(below)) {
        entries.push({ ...(yield* write(one)), name });
      }
      return yield* writeDirectory(entries, writing);
    };
    const { cid } = runSteps(write(tree), this.answer);
    const root = runSteps(writeSealedRoot(cid, seal, sha256Hasher), this.answer);
    this.#seals.add(seal);
    return root;
  }

  readonly answer = (request: MergeRequest): MergeReply => {
    if (request.type === 'open') return this.#open(request.root);
    if (request.type === 'get') return request.cids.map((cid) => this.#get(cid));
    this.put(request.blocks);
    return [];
  };

  #open(root: CID): Opened {
    const { key, content } = readSealedRoot(this.#get(root));
    const seal = [...this.#seals].find((one) => one.key.cid.equals(key))!;
    return { content, view: viewUnder(seal.keys), seal };
  }

  #get(cid: CID): Uint8Array {
    const bytes = this.#objects.get(keyOf(cid));
    assert(bytes !== undefined, `no object ${cid.toString()}`);
    return bytes;
  }

  #show(root: CID, cid: CID): Tree | undefined {
    const piece = { root, cid, tsize: 0 };
    const opened = runSteps(open(root), this.answer);
    const looked = runSteps(look(piece, opened, 1e6), this.answer);
    if (looked.kind === 'file') {
      const bytes = runSteps(read(piece, opened, looked.sizeBytes), this.answer);
      return bytes === undefined ? undefined : Buffer.from(bytes).toString();
    }
    if (looked.kind === 'other') return undefined;
    return Object.fromEntries(
      looked.entries!.map(({ name, cid: below }) => [name, this.#show(root, below)!]),
    );
  }
}

/** A path, its versions and its merges. Every author has a clock of its own. */
export class History {
  readonly objects = new MemoryObjects();
  readonly versions = new Map<string, SignedVersion>();
  readonly path: string;
  readonly #sequences = new Map<Author, number>();

  constructor(path = 'doc') {
    this.path = path;
  }

  /** @param tree undefined: takes away what the first of `parents` has. */
  write(
    tree: Tree | undefined,
    parents: readonly SignedVersion[] = [],
    { by = 0, seal, ...more }: Partial<Version> & { by?: number; seal?: Seal } = {},
  ): SignedVersion {
    const author = authors[by]!;
    const sequence = (this.#sequences.get(author) ?? 0) + 1;
    this.#sequences.set(author, sequence);
    const before = parents[0]?.version;
    const { cid: root, sizeBytes } =
      tree === undefined
        ? { cid: before!.root, sizeBytes: before!.sizeBytes }
        : this.objects.add(tree);
    const isDirectory =
      tree === undefined
        ? before!.directory === true
        : typeof tree === 'object' && !(tree instanceof Uint8Array);
    const signed = versionOf(author, {
      ...{ path: this.path, sequence, root, sizeBytes },
      parents: parents.map(({ cid }) => cid),
      generation: Math.max(0, ...parents.map(({ version }) => version.generation)) + 1,
      ...(tree === undefined ? { deleted: true } : {}),
      ...(isDirectory ? { directory: true } : {}),
      ...(seal === undefined || tree === undefined
        ? {}
        : { root: this.objects.addSealed(tree, seal) }),
      ...more,
    });
    this.versions.set(signed.cidText, signed);
    return signed;
  }

  merge(...heads: readonly SignedVersion[]): SignedVersion {
    const hashers = () => sha256Hasher;
    const fields = runSteps(mergeHeads(this.versions, heads, hashers), this.objects.answer);
    const merge = openMerge(encodeMerge(fields));
    const known = this.versions.get(merge.cidText) ?? merge;
    this.versions.set(known.cidText, known);
    return known;
  }

  show({ version }: SignedVersion): Tree | undefined {
    return version.deleted === true ? undefined : this.objects.show(version.root);
  }

  /** Conflicts of a merge as texts: where, and contents. */
  conflicts({ version }: SignedVersion): (string | undefined)[][] {
    const text = (cid: CID | undefined) =>
      cid === undefined ? undefined : JSON.stringify(this.objects.show(cid));
    return (version.conflicts ?? []).map(({ at, pointer, base, ours, theirs }) => [
      pointer === undefined ? at : `${at}#${pointer}`,
      text(base),
      text(ours),
      text(theirs),
    ]);
  }
}
