/**
 * Gives a document out: the objects below a root become bytes again, in order. It does not fetch;
 * `read` returns objects that have been checked against their names, or throws.
 */
import type { CID } from 'multiformats/cid';
import type { TreeEntry } from '../api/backend.ts';
import { AegisError } from '../errors.ts';
import { RAW } from '../kb/block.ts';
import { LIMITS } from '../kb/limits.ts';
import { isNode, type Link, type Node, parseNode } from '../kb/reader.ts';
import { PLAIN, type View } from '../kb/sealed-view.ts';
import { MIB } from '../units.ts';

/** Objects in the order of the question. */
export type ReadObjects = (cids: readonly CID[]) => Promise<Uint8Array[]>;

/** What is read ahead of the reader, at most twice. */
const AHEAD_BYTES = 4 * MIB;
const AHEAD_OBJECTS = 256;

interface Loaded {
  readonly link: Link;
  /** As the view shows it. */
  readonly node: Node;
  /** The object itself. */
  readonly bytes: Uint8Array;
}

export interface SealedView {
  readonly root: CID;
  /** Of the ciphertext. */
  readonly content: CID;
  readonly view: View;
}

export interface ExportedFile {
  readonly kind: 'file';
  readonly sizeBytes: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}

export interface ExportedDirectory {
  readonly kind: 'directory';
  readonly entries: AsyncIterable<TreeEntry>;
}

export class Exporter {
  readonly #read: ReadObjects;
  readonly #sealed: SealedView | undefined;
  readonly #view: View;

  /** @param deps.sealed what is sealed is seen as it was before, from its root on. */
  constructor(deps: { read: ReadObjects; sealed?: SealedView | undefined }) {
    this.#read = deps.read;
    this.#sealed = deps.sealed;
    this.#view = deps.sealed?.view ?? PLAIN;
  }

  /**
   * Finds what `parts` name below `root`.
   * @throws {AegisError} `NOT_FOUND`.
   */
  async resolve(root: CID, parts: readonly string[]): Promise<CID> {
    let at = root;
    for (const part of parts) {
      const found = await this.#child(at, part);
      if (found === undefined) {
        throw new AegisError('NOT_FOUND', `there is no ${JSON.stringify(part)} in the directory`);
      }
      at = found;
    }
    return at;
  }

  /** @throws {AegisError} `UNSUPPORTED_FILE` for a symbolic link. */
  async open(cid: CID): Promise<ExportedFile | ExportedDirectory> {
    const loaded = await this.#one(cid);
    if (loaded.node.kind === 'directory' || loaded.node.kind === 'shard') {
      return { kind: 'directory', entries: this.#entries(loaded, '', 0) };
    }
    return this.#file(loaded);
  }

  /** The names in a directory with what they name, sorted. */
  async *children(cid: CID): AsyncGenerator<Link & { readonly name: string }> {
    yield* await this.#links(await this.#one(cid));
  }

  /** `file` or `directory`, and the bytes of content where the object itself tells. */
  async describe(cid: CID): Promise<{ kind: 'file' | 'directory'; sizeBytes: number | undefined }> {
    const { node } = await this.#one(cid);
    if (node.kind === 'raw' || node.kind === 'file') {
      return { kind: 'file', sizeBytes: node.sizeBytes };
    }
    return { kind: 'directory', sizeBytes: undefined };
  }

  /** Different objects below and including `cid`. Reads nodes only: leaves have no links. */
  async countObjects(cid: CID): Promise<number> {
    const seen = new Set([cid.toString()]);
    const below = async (at: Loaded, depth: number): Promise<void> => {
      this.#checkDepth(depth);
      const fresh = at.node.links.filter((link) => !seen.has(link.cid.toString()));
      for (const link of fresh) seen.add(link.cid.toString());
      const nodes = fresh.filter((link) => isNode(link.cid));
      for await (const child of this.#load(nodes)) await below(child, depth + 1);
    };
    await below(await this.#one(cid), 0);
    return seen.size;
  }

  async #one(name: CID): Promise<Loaded> {
    const cid = this.#sealed?.root.equals(name) === true ? this.#sealed.content : name;
    const [bytes] = await this.#read([cid]);
    return this.#loaded({ cid, tsize: bytes!.length }, bytes!);
  }

  async #child(cid: CID, name: string): Promise<CID | undefined> {
    const loaded = await this.#one(cid);
    if (loaded.node.kind !== 'directory' && loaded.node.kind !== 'shard') return undefined;
    return (await this.#links(loaded)).find((link) => link.name === name)?.cid;
  }

  /** All entries of a directory, through its shards, sorted by name. */
  async #links(loaded: Loaded): Promise<(Link & { name: string })[]> {
    const all: (Link & { name: string })[] = [];
    const seen = new Set<string>();
    const collect = async ({ node }: Loaded, depth: number): Promise<void> => {
      const inner: Link[] = [];
      for (const link of node.links) {
        if (link.name === undefined) inner.push(checkShard(link, seen));
        else all.push({ ...link, name: link.name });
      }
      if (all.length > LIMITS.directoryEntries) {
        throw new AegisError('TOO_LARGE', `more than ${LIMITS.directoryEntries} names`);
      }
      if (inner.length > 0) this.#checkDepth(depth);
      for await (const shard of this.#load(inner)) await collect(shard, depth + 1);
    };
    await collect(loaded, 0);
    return all.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async *#entries(directory: Loaded, prefix: string, depth: number): AsyncGenerator<TreeEntry> {
    this.#checkDepth(depth);
    for await (const child of this.#load(await this.#links(directory))) {
      const path = `${prefix}${child.link.name}`;
      const { kind } = child.node;
      if (kind === 'directory' || kind === 'shard') {
        yield { path, kind: 'directory', sizeBytes: 0, bytes: nothing() };
        yield* this.#entries(child, `${path}/`, depth + 1);
      } else {
        yield { path, ...this.#file(child) };
      }
    }
  }

  #file(loaded: Loaded): ExportedFile {
    const { node } = loaded;
    if (node.kind !== 'raw' && node.kind !== 'file') {
      throw new AegisError(
        'UNSUPPORTED_FILE',
        `the object ${loaded.link.cid.toString()} is a ${node.kind}`,
      );
    }
    return { kind: 'file', sizeBytes: node.sizeBytes, bytes: this.#content(loaded, 0) };
  }

  async *#content(loaded: Loaded, depth: number): AsyncGenerator<Uint8Array> {
    this.#checkDepth(depth);
    const { node, bytes } = loaded;
    if (node.kind === 'raw') {
      const content = this.#view.leaf(bytes);
      if (content.length > 0) yield content;
      return;
    }
    if (node.kind === 'file' && node.data.length > 0) yield node.data;
    for await (const child of this.#load(node.links)) {
      const { kind } = child.node;
      const sizeBytes = 'sizeBytes' in child.node ? child.node.sizeBytes : -1;
      if ((kind !== 'raw' && kind !== 'file') || sizeBytes !== child.link.sizeBytes) {
        throw new AegisError(
          'BAD_DATA',
          `the object ${child.link.cid.toString()} is not the part it should be`,
        );
      }
      yield* this.#content(child, depth + 1);
    }
  }

  #checkDepth(depth: number): void {
    if (depth > LIMITS.depth) {
      throw new AegisError('TOO_LARGE', `the content is deeper than ${LIMITS.depth} levels`);
    }
  }

  /** Loads objects in order, a batch ahead of the consumer. */
  async *#load(links: readonly Link[]): AsyncGenerator<Loaded> {
    const batches = batchesOf(links);
    let next = batches.length > 0 ? this.#batch(batches[0]!) : undefined;
    for (let i = 0; next !== undefined; i += 1) {
      const loaded = await next;
      const following = batches[i + 1];
      next = following === undefined ? undefined : this.#batch(following);
      // A consumer that stops early never awaits the batch that is under way.
      next?.catch(() => {});
      yield* loaded;
    }
  }

  async #batch(links: readonly Link[]): Promise<Loaded[]> {
    const objects = await this.#read(links.map((link) => link.cid));
    return links.map((link, i) => this.#loaded(link, objects[i]!));
  }

  #loaded(link: Link, bytes: Uint8Array): Loaded {
    return { link, bytes, node: this.#view.node(link.cid, parseNode(link.cid, bytes)) };
  }
}

/**
 * Names stand in one place of a sharded directory only, so no two shards are equal. Without this
 * check a few objects could claim more names than any memory holds.
 */
function checkShard(link: Link, seen: Set<string>): Link {
  const name = link.cid.toString();
  if (seen.has(name)) throw new AegisError('BAD_DATA', `the shard ${name} stands in two places`);
  seen.add(name);
  return link;
}

function batchesOf(links: readonly Link[]): Link[][] {
  const batches: Link[][] = [];
  let bytes = 0;
  for (const link of links) {
    // A node above leaves is small; its tsize counts what is below it.
    const size = link.cid.code === RAW ? link.tsize : 0;
    const last = batches.at(-1);
    if (last === undefined || bytes + size > AHEAD_BYTES || last.length >= AHEAD_OBJECTS) {
      batches.push([link]);
      bytes = size;
    } else {
      last.push(link);
      bytes += size;
    }
  }
  return batches;
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
