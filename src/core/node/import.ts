/**
 * Takes a document in: bytes become UnixFS objects, durable in the content store.
 *
 * Nothing of it is visible to anyone until a version names its root, so an upload that breaks
 * half-way leaves only unreferenced objects behind.
 */
import type { CID } from 'multiformats/cid';
import type { TreeEntry } from '../api/backend.ts';
import { SEALED_LEAF_EXTRA_BYTES, sealName } from '../crypto/sealed-leaf.ts';
import { AegisError } from '../errors.ts';
import type { Block } from '../kb/block.ts';
import { buildDirectory, type DirectoryEntry } from '../kb/directory.ts';
import { FileDag } from '../kb/unixfs.ts';
import type { Hasher } from '../ports.ts';
import type { ContentLease } from '../storage/content-lease.ts';
import { MIB } from '../units.ts';
import { cut, LEAF_BYTES, LeafWriter } from './leaves.ts';
import { type Sealing, sealedRootOf } from './sealing.ts';

export interface Imported {
  readonly root: CID;
  readonly sizeBytes: number;
}

export interface ImportedFile extends Imported {
  readonly path: string;
}

/** A lease, so that nothing of it is collected before a version names it (W31). */
type ImportStore = Pick<ContentLease, 'addLeaves' | 'put'>;

export interface ImportDeps {
  readonly content: ImportStore;
  readonly hasher: Hasher;
  /** W42: how it is sealed; undefined: it is not. */
  readonly sealing?: Sealing | undefined;
}

export interface ImportLimits {
  /** @default 1_000_000 */
  readonly entriesMax: number;
  /** @default 64 */
  readonly depthMax: number;
}

/** A directory under construction: its children by name. */
type Tree = Map<string, Tree | Leafed>;

interface Leafed {
  readonly leaves: readonly { cid: Promise<CID>; sizeBytes: number }[];
}

/** Internal nodes wait for company until they fill a commit. */
const NODES_BATCH_BYTES = 4 * MIB;

export class Importer {
  readonly #content: ImportStore;
  readonly #hasher: Hasher;
  readonly #limits: ImportLimits;
  readonly #sealing: Sealing | undefined;
  readonly #leaves: LeafWriter;
  #nodes: Block[] = [];
  #nodesBytes = 0;

  constructor(limits: Partial<ImportLimits>, deps: ImportDeps) {
    this.#limits = { entriesMax: 1_000_000, depthMax: 64, ...limits };
    this.#content = deps.content;
    this.#hasher = deps.hasher;
    this.#sealing = deps.sealing;
    const { content, hasher } = deps;
    const keys = deps.sealing?.keys;
    this.#leaves = new LeafWriter((chunks) => content.addLeaves(chunks, hasher.name, keys));
  }

  /** One file. Durable when the promise resolves. */
  async file(source: AsyncIterable<Uint8Array>): Promise<Imported> {
    const leafed = await this.#readFile(source);
    await this.#leaves.flush();
    return await this.#finish(await this.#fileNode(leafed));
  }

  /**
   * A directory. The entries' paths have been checked by the server.
   * @throws {AegisError} `BAD_DATA`, `TOO_LARGE`, `DISK_FULL`.
   */
  async directory(source: AsyncIterable<TreeEntry>): Promise<Imported> {
    const tree: Tree = new Map();
    let entries = 0;
    for await (const entry of source) {
      entries += 1;
      if (entries > this.#limits.entriesMax) {
        throw new AegisError('TOO_LARGE', `more than ${this.#limits.entriesMax} entries`);
      }
      await this.#addEntry(tree, entry);
    }
    await this.#leaves.flush();
    return await this.#finish(await this.#directoryNode('', tree));
  }

  /**
   * Files one by one, each a root of its own (W4), durable in the batches in which they come.
   * Empty directories are nothing.
   */
  async *each(
    source: AsyncIterable<TreeEntry>,
    batchLength: number,
  ): AsyncGenerator<readonly ImportedFile[]> {
    let files: (Leafed & { readonly path: string })[] = [];
    for await (const { path, kind, bytes } of source) {
      if (kind === 'directory') continue;
      files.push({ path, ...(await this.#readFile(bytes)) });
      if (files.length < batchLength) continue;
      yield await this.#roots(files);
      files = [];
    }
    if (files.length > 0) yield await this.#roots(files);
  }

  async #roots(files: readonly (Leafed & { readonly path: string })[]): Promise<ImportedFile[]> {
    await this.#leaves.flush();
    const roots: ImportedFile[] = [];
    for (const file of files) {
      const { cid, sizeBytes } = await this.#fileNode(file);
      roots.push({ path: file.path, root: await this.#rootOf(cid), sizeBytes });
    }
    await this.#writeNodes();
    return roots;
  }

  async #finish({ cid, sizeBytes }: Omit<DirectoryEntry, 'name'>): Promise<Imported> {
    const root = await this.#rootOf(cid);
    await this.#writeNodes();
    return { root, sizeBytes };
  }

  async #rootOf(content: CID): Promise<CID> {
    const sealing = this.#sealing;
    if (sealing === undefined) return content;
    const root = sealedRootOf(sealing, content, this.#hasher);
    await this.#keep([sealing.key, root]);
    return root.cid;
  }

  async #addEntry(tree: Tree, entry: TreeEntry): Promise<void> {
    const parts = entry.path.split('/');
    if (parts.length > this.#limits.depthMax) {
      const message = `${quote(entry.path)} is deeper than ${this.#limits.depthMax}`;
      throw new AegisError('TOO_LARGE', message);
    }
    if (entry.kind === 'directory') {
      this.#descend(tree, parts, entry.path);
      return;
    }
    const name = parts.at(-1)!;
    const parent = this.#descend(tree, parts.slice(0, -1), entry.path);
    if (parent.has(name)) throw new AegisError('BAD_DATA', `${quote(entry.path)} comes twice`);
    parent.set(name, await this.#readFile(entry.bytes));
  }

  #descend(tree: Tree, parts: readonly string[], name: string): Tree {
    let at = tree;
    for (const part of parts) {
      let next = at.get(part);
      if (next === undefined) {
        next = new Map();
        at.set(part, next);
      }
      if (!(next instanceof Map)) {
        throw new AegisError('BAD_DATA', `${quote(name)} lies below a file`);
      }
      at = next;
    }
    return at;
  }

  async #readFile(source: AsyncIterable<Uint8Array>): Promise<Leafed> {
    const leaves: { cid: Promise<CID>; sizeBytes: number }[] = [];
    for await (const chunk of cut(source, LEAF_BYTES)) {
      const sizeBytes = chunk.length;
      leaves.push({ ...(await this.#leaves.write(chunk)), sizeBytes });
    }
    if (leaves.length === 0) {
      leaves.push({ ...(await this.#leaves.write(new Uint8Array(0))), sizeBytes: 0 });
    }
    return { leaves };
  }

  async #fileNode(file: Leafed): Promise<Omit<DirectoryEntry, 'name'>> {
    const dag = new FileDag();
    const extraBytes = this.#sealing === undefined ? 0 : SEALED_LEAF_EXTRA_BYTES;
    for (const leaf of file.leaves) dag.addLeaf(await leaf.cid, leaf.sizeBytes + extraBytes);
    const { root, tsize, blocks } = dag.finish(this.#hasher);
    await this.#keep(blocks);
    const sizeBytes = file.leaves.reduce((sum, leaf) => sum + leaf.sizeBytes, 0);
    return { cid: root, sizeBytes, tsize };
  }

  async #directoryNode(name: string, tree: Tree): Promise<DirectoryEntry> {
    const entries: DirectoryEntry[] = [];
    for (const [child, node] of tree) {
      const sealed = this.#sealing === undefined ? child : sealName(this.#sealing.keys, child);
      entries.push(
        node instanceof Map
          ? await this.#directoryNode(sealed, node)
          : { name: sealed, ...(await this.#fileNode(node)) },
      );
    }
    const { root, tsize, blocks } = buildDirectory(entries, this.#hasher);
    await this.#keep(blocks);
    const sizeBytes = entries.reduce((sum, entry) => sum + entry.sizeBytes, 0);
    return { name, cid: root, tsize, sizeBytes };
  }

  async #keep(blocks: readonly Block[]): Promise<void> {
    for (const block of blocks) {
      this.#nodes.push(block);
      this.#nodesBytes += block.bytes.length;
    }
    if (this.#nodesBytes >= NODES_BATCH_BYTES) await this.#writeNodes();
  }

  async #writeNodes(): Promise<void> {
    const blocks = this.#nodes;
    this.#nodes = [];
    this.#nodesBytes = 0;
    if (blocks.length > 0) await this.#content.put(blocks, { verify: false });
  }
}

const quote = (name: string): string => JSON.stringify(name);
