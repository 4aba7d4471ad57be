/** Nodes that search, with real indexes, in one process; what is final they all know at once. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CID } from 'multiformats/cid';
import { vi } from 'vitest';
import type { RefState } from '../../../../src/core/chain/ref.ts';
import { AegisError } from '../../../../src/core/errors.ts';
import { Terms, termsKeyOf } from '../../../../src/core/kb/find/terms.ts';
import type { SignedVersion } from '../../../../src/core/model/version.ts';
import type { Host } from '../../../../src/core/network/host.ts';
import type { RequestHandler } from '../../../../src/core/network/rpc-server.ts';
import type { Contents } from '../../../../src/core/node/contents.ts';
import { Filters, type FiltersDeps } from '../../../../src/core/node/search/filters.ts';
import { Indexer } from '../../../../src/core/node/search/indexer.ts';
import { Search } from '../../../../src/core/node/search/search.ts';
import type { Log, Metrics } from '../../../../src/core/ports.ts';
import type { ContentStore } from '../../../../src/core/storage/content-store.ts';
import { IndexStore } from '../../../../src/core/storage/index-store.ts';
import { authors, versionOf } from '../../kb/authors.ts';

const log: Log = { write: () => {}, child: () => log };
const metrics: Metrics = { count: () => {}, gauge: () => {}, observe: () => {} };
const key = termsKeyOf(new Uint8Array(32).fill(3));

/** What is final, and what contents say. */
export class World {
  readonly versions = new Map<string, SignedVersion>();
  readonly refs = new Map<string, RefState>();
  readonly texts = new Map<string, string>();
  readonly nodes: SearchNode[] = [];
  #sequence = 0;

  /** A version becomes final as the only head of its path; all nodes are told. */
  write(path: string, text: string, message?: string): SignedVersion {
    this.#sequence += 1;
    const generation = (this.refs.get(path)?.generation ?? 0) + 1;
    const more = message === undefined ? {} : { message };
    const signed = versionOf(authors[0]!, { path, sequence: this.#sequence, generation, ...more });
    this.versions.set(signed.cidText, signed);
    this.texts.set(signed.version.root.toString(), text);
    this.refs.set(path, { heads: [{ version: signed.cid, generation }], generation });
    for (const { indexer } of this.nodes) indexer.touched(path);
    return signed;
  }

  remove(path: string): void {
    this.refs.set(path, { heads: [], generation: 9 });
    for (const { indexer } of this.nodes) indexer.touched(path);
  }

  pathsAfter(after: string | undefined, limit: number): string[] {
    const paths = [...this.refs.keys()].toSorted();
    return paths.filter((path) => after === undefined || path > after).slice(0, limit);
  }

  async add(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      this.nodes.push(new SearchNode(this, n, await mkdtemp(join(tmpdir(), 'aegis-search-'))));
    }
    for (const node of this.nodes) node.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }
}

/** The part of a host that search uses: calls the handlers of the others. */
class LocalHost {
  readonly handlers = new Map<string, RequestHandler>();
  readonly asked = new Map<string, number>();
  /** Not connected. */
  isAway = false;
  /** Gets requests and leaves them. */
  isSilent = false;
  readonly #world: World;
  readonly #nodeId: string;

  constructor(world: World, nodeId: string) {
    this.#world = world;
    this.#nodeId = nodeId;
  }

  handle(method: string, handler: RequestHandler): void {
    this.handlers.set(method, handler);
  }

  async request(nodeId: string, method: string, body: Uint8Array): Promise<Uint8Array> {
    const { host } = this.#world.nodes.find((node) => node.nodeId === nodeId)!;
    host.asked.set(method, (host.asked.get(method) ?? 0) + 1);
    if (host.isSilent || host.isAway) throw new AegisError('TIMEOUT', 'no answer');
    const signal = new AbortController().signal;
    return await host.handlers.get(method)!(this.#nodeId, body, { signal });
  }

  peers(): { nodeId: string }[] {
    const others = this.#world.nodes.filter((node) => node.nodeId !== this.#nodeId);
    return others.filter(({ host }) => !host.isAway).map(({ nodeId }) => ({ nodeId }));
  }

  peer(nodeId: string): { nodeId: string; class: 'direct' } | undefined {
    const found = this.peers().find((peer) => peer.nodeId === nodeId);
    return found === undefined ? undefined : { ...found, class: 'direct' };
  }
}

export class SearchNode {
  readonly nodeId: string;
  readonly name: string;
  readonly host: LocalHost;
  readonly store: IndexStore;
  readonly indexer: Indexer;
  readonly filters: Filters;
  readonly search: Search;
  /** Roots whose content is here. */
  readonly #holds = new Set<string>();
  readonly #dir: string;
  readonly #world: World;

  constructor(world: World, n: number, dir: string) {
    this.#world = world;
    this.#dir = dir;
    this.nodeId = authors[n]!.nodeId;
    this.name = `node${n + 1}`;
    this.host = new LocalHost(world, this.nodeId);
    const host = this.host as unknown as Host;
    const opened = (): void => this.indexer.opened();
    this.store = new IndexStore({ path: join(dir, 'index.db'), key }, { log, opened });
    const own: FiltersDeps['own'] = (known) => this.store.news(known);
    this.filters = new Filters({ host, log, own, isPartial: () => this.indexer.isPartial });
    const graph = {
      get: (version: string) => world.versions.get(version) as never,
      shreds: nothing,
      pathsAfter: (after: string | undefined, limit: number) => world.pathsAfter(after, limit),
    };
    const content = {
      root: (root: CID) =>
        Promise.resolve({ cid: root, sizeBytes: 1, complete: this.#holds.has(root.toString()) }),
    } as Pick<ContentStore, 'root'>;
    const ref = (path: string) => world.refs.get(path);
    const common = { store: this.store, graph, content, log, metrics, ref };
    const changed = this.filters.changed.bind(this.filters);
    const swept = this.filters.swept.bind(this.filters);
    this.indexer = new Indexer({ ...common, contents: contentsOf(world), changed, swept });
    const members = () =>
      world.nodes.map(({ nodeId, name }) => ({ nodeId, name, role: 'custodian' as const }));
    this.search = new Search({
      ...{ ...common, self: this.nodeId, indexer: this.indexer, filters: this.filters },
      ...{ host, terms: new Terms(key), members },
      memberOf: (nodeId) => members().find((member) => member.nodeId === nodeId),
    });
  }

  start(): void {
    this.indexer.start();
    for (const { nodeId } of this.host.peers()) this.filters.up(nodeId);
  }

  async stop(): Promise<void> {
    this.indexer.stop();
    this.filters.stop();
    await this.store.close();
    await rm(this.#dir, { recursive: true, force: true });
  }

  /** The content of a version comes here. */
  hold({ version: { root } }: SignedVersion): void {
    this.#holds.add(root.toString());
    this.indexer.stored(root);
  }

  /** All that is final and here is in the index, and the others know the words of it. */
  async settle(): Promise<void> {
    await vi.waitUntil(() => this.indexer.isSettled, { timeout: 60_000 });
    for (const { filters, nodeId } of this.#world.nodes) {
      if (nodeId === this.nodeId) continue;
      filters.down(this.nodeId);
      filters.up(this.nodeId);
      await filters.refresh([this.nodeId]);
    }
  }

  find(query: string, more: { local?: boolean; limit?: number } = {}) {
    const { signal } = new AbortController();
    const wanted = { query, local: false, limit: 50, timeoutMs: 5000, ...more };
    return this.search.find(wanted, { signal } as never);
  }
}

function contentsOf({ texts }: World): Pick<Contents, 'openHere'> {
  return {
    openHere: (root) => {
      const bytes = Buffer.from(texts.get(root.toString())!);
      const file = { kind: 'file', sizeBytes: bytes.length, bytes: [bytes] };
      const exporter = { open: () => Promise.resolve(file) };
      return Promise.resolve({ exporter, sealing: undefined } as never);
    },
  };
}

function* nothing(): Generator<SignedVersion> {}

export const unknownVersion = CID.parse(
  'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
);
