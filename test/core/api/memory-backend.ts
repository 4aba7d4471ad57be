/** A backend that keeps everything in memory, so that the real server can be asked everything. */
import { createHash } from 'node:crypto';
import type {
  Backend,
  CallContext,
  Download,
  Upload,
  WaitFor,
} from '../../../src/core/api/backend.ts';
import type { Body, Query, Result } from '../../../src/core/api/contract/endpoints.ts';
import type { Change, Snapshot } from '../../../src/core/api/contract/events.ts';
import { AegisError } from '../../../src/core/errors.ts';
import { CUSTODIANS, MemoryChain } from './memory-chain.ts';
import { MemoryCopies } from './memory-copies.ts';
import { MemoryMembers } from './memory-members.ts';
import { MemorySpace } from './memory-space.ts';
import { MemoryTor } from './memory-tor.ts';
import { MemoryMerges, MemoryVersions } from './memory-versions.ts';

type Stored =
  | { kind: 'file'; bytes: Buffer; message: string | null; generation: number }
  | {
      kind: 'directory';
      files: { path: string; kind: 'file' | 'directory'; bytes: Buffer }[];
      message: string | null;
      generation: number;
    };

const SELF = `aegis1${'a'.repeat(52)}`;
export const OTHER = `aegis1${'b'.repeat(52)}`;
const STARTED = '2026-11-20T12:00:00.000Z';

export function peer(
  overrides: Partial<Result<'peers.show'>['peer']> = {},
): Result<'peers.show'>['peer'] {
  return {
    nodeId: OTHER,
    name: 'bob',
    zone: 'z2',
    peerId: '12D3KooWBob',
    keyEpoch: 0,
    frozen: false,
    banned: false,
    runsTwice: false,
    state: 'connected',
    address: '/ip4/127.0.0.1/tcp/4002',
    direction: 'outbound',
    route: 'direct',
    lanes: 0,
    rttMs: 1.25,
    agent: 'aegis/0.1.0',
    connectedAt: STARTED,
    bytesIn: 2048,
    bytesOut: 4096,
    attempts: 0,
    lastError: null,
    nextDialAt: null,
    ...overrides,
  };
}

export class MemoryBackend extends MemoryMembers implements Backend {
  readonly stored = new Map<string, Stored>();
  readonly listeners = new Set<(change: Change) => void>();
  readonly known = [peer()];
  readonly tor = new MemoryTor();
  readonly versions = new MemoryVersions();
  readonly merges = new MemoryMerges();
  readonly copies = new MemoryCopies();
  readonly space = new MemorySpace();
  readonly search: Backend['search'] = {
    find: ({ query }) =>
      Promise.resolve({ query, hits: [], more: false, complete: true, settled: true, peers: [] }),
  };
  /** Replaced by tests. */
  chain = new MemoryChain();
  isolated: readonly string[] = [];
  /** Signals of the calls that came, by method. */
  readonly signals: AbortSignal[] = [];
  stopped = 0;
  /** What `wait` does; replaced by tests. */
  onWait: (wanted: WaitFor, context: CallContext) => Promise<void> = async () => {};
  /** What `get` returns instead of what is stored; replaced by tests. */
  onGet: ((query: Query<'kb.get'>, context: CallContext) => Promise<Download>) | undefined;
  onSnapshot: () => Promise<void> = async () => {};

  async status(): Promise<Result<'node.status'>> {
    return {
      state: 'ready',
      nodeId: SELF,
      name: 'alice',
      zone: 'z1',
      peerId: '12D3KooWAlice',
      clusterId: 'aegisc1xyz',
      clusterName: 'demo',
      pid: process.pid,
      version: '0.1.0',
      startedAt: STARTED,
      uptimeMs: 90_061_000,
      addresses: ['/ip4/127.0.0.1/tcp/4001'],
      tor: this.tor.summary(),
      peers: { connected: 1, known: this.known.length },
      kb: {
        paths: this.stored.size,
        versions: this.stored.size,
        objects: 3,
        sizeBytes: 1536,
        underReplicated: 0,
      },
      chain: {
        height: this.chain.height,
        lastFinalAt: null,
        behind: 0,
        isVoting: true,
        pending: 0,
      },
      keys: {
        ...{ number: 0, keyEpoch: 0, pending: null, frozen: false, keyMissing: false },
        warnings: [],
      },
      resources: { rssBytes: 104_857_600, heapBytes: 20_000_000, cpuPercent: 1.5, loopLagMsP99: 2 },
    };
  }

  async info(): Promise<Result<'node.info'>> {
    return {
      nodeId: SELF,
      name: 'alice',
      zone: 'z1',
      region: 'r1',
      peerId: '12D3KooWAlice',
      clusterId: null,
      clusterName: null,
      fingerprint: '0011 2233',
      createdAt: STARTED,
      version: '0.1.0',
      nodeVersion: 'v24.0.0',
      platform: 'linux-x64',
      pid: process.pid,
      startedAt: STARTED,
      home: 'home',
      socket: 'api.sock',
      logFile: 'node.log',
      tor: this.tor.summary(),
      storageWeight: 100,
      replicasWanted: 3,
      members: 2,
      role: 'custodian',
      custodians: 4,
      quorum: 3,
      agent: 'aegis/0.1.0',
    };
  }

  wait(wanted: WaitFor, context: CallContext): Promise<void> {
    this.signals.push(context.signal);
    return this.onWait(wanted, context);
  }

  stop(): void {
    this.stopped += 1;
  }

  async backup({ dir }: Body<'node.backup'>): Promise<Result<'node.backup'>> {
    return {
      dir,
      height: 7,
      chainBytes: 4096,
      contentBytes: 32768,
      consensusKeys: ['ab'.repeat(48)],
    };
  }

  async metrics(): Promise<string> {
    return '# TYPE aegis_up gauge\naegis_up 1\n';
  }

  async peers(): Promise<Result<'peers.list'>> {
    return { peers: this.known, total: this.known.length, connected: 1 };
  }

  async peer(id: string): Promise<Result<'peers.show'>> {
    const found = this.known.find((each) => each.nodeId?.startsWith(id) || each.name === id);
    if (found === undefined) throw new AegisError('NOT_FOUND', `no peer ${JSON.stringify(id)}`);
    return { peer: found };
  }

  async addPeer(body: Body<'peers.add'>, context: CallContext): Promise<Result<'peers.add'>> {
    this.signals.push(context.signal);
    return { address: body.address, added: true };
  }

  async removePeer(id: string): Promise<Result<'peers.remove'>> {
    const { peer: found } = await this.peer(id);
    return { nodeId: found.nodeId, removed: [found.address ?? '/'], disconnected: true };
  }

  async pingPeer(id: string, body: Body<'peers.ping'>): Promise<Result<'peers.ping'>> {
    const { peer: found } = await this.peer(id);
    const rttsMs = Array.from({ length: body.count }, (_, index) => index + 1);
    return {
      nodeId: found.nodeId ?? '',
      sent: body.count,
      received: body.count,
      rttsMs,
      rttMsMin: 1,
      rttMsAvg: (body.count + 1) / 2,
      rttMsMax: body.count,
    };
  }

  async findPeer(id: string): Promise<Result<'peers.find'>> {
    return { nodeId: null, peerId: id, addresses: ['/ip4/127.0.0.1/tcp/4002'] };
  }

  async whyPeer(id: string): Promise<Result<'peers.why'>> {
    return { ...(await this.peer(id)), reasons: ['It is connected.'] };
  }

  async isolatePeers(body: Body<'peers.isolate'>): Promise<Result<'peers.isolate'>> {
    this.isolated = body.nodeIds;
    return { nodeIds: body.nodeIds, disconnected: body.nodeIds.length };
  }

  async consensus() {
    return this.chain.consensus();
  }

  async blocks(query: Query<'consensus.blocks'>): Promise<Result<'consensus.blocks'>> {
    return this.chain.list(query);
  }

  async block(height: number): Promise<Result<'consensus.block'>> {
    return this.chain.block(height);
  }

  async validators(): Promise<Result<'consensus.validators'>> {
    return this.chain.validators();
  }

  async explainBlock(height: number) {
    return this.chain.explain(height);
  }

  async evidence(): Promise<Result<'consensus.evidence'>> {
    return this.chain.evidence();
  }

  async submitIntents(
    body: Body<'intents.submit'>,
    context: CallContext,
  ): Promise<Result<'intents.submit'>> {
    this.signals.push(context.signal);
    return this.chain.submit(body);
  }

  async intents(query: Query<'intents.list'>): Promise<Result<'intents.list'>> {
    return this.chain.intentList(query);
  }

  async intent(id: string): Promise<Result<'intents.show'>> {
    return this.chain.intent(id);
  }

  async cancelIntent(id: string): Promise<Result<'intents.cancel'>> {
    return this.chain.cancel(id);
  }

  async put(
    query: Query<'kb.put'>,
    upload: Upload,
    context: CallContext,
  ): Promise<Result<'kb.put'>> {
    this.signals.push(context.signal);
    const before = this.stored.get(query.path);
    if (query.ifVersion !== undefined && query.ifVersion !== `v${before?.generation ?? 0}`) {
      throw new AegisError('EXISTS', `${query.path} shows another version`);
    }
    const common = { message: query.message ?? null, generation: (before?.generation ?? 0) + 1 };
    if (upload.kind === 'file') {
      this.stored.set(query.path, { kind: 'file', bytes: await collect(upload.bytes), ...common });
    } else {
      const files = [];
      for await (const entry of upload.entries) {
        files.push({ path: entry.path, kind: entry.kind, bytes: await collect(entry.bytes) });
      }
      this.stored.set(query.path, { kind: 'directory', files, ...common });
    }
    const entry = this.entry(query.path);
    for (const listener of this.listeners) listener({ type: 'kb', entry });
    return {
      path: query.path,
      cid: entry.cid,
      version: entry.version,
      kind: entry.kind,
      generation: entry.generation,
      sizeBytes: entry.sizeBytes,
      replicas: { wanted: query.replicas ?? 2, confirmed: 2, nodes: [SELF, OTHER] },
      created: true,
      wait: query.wait,
      height: query.wait === 'final' ? 1 : null,
      intent: null,
    };
  }

  async get(query: Query<'kb.get'>, context: CallContext): Promise<Download> {
    this.signals.push(context.signal);
    if (this.onGet !== undefined) return await this.onGet(query, context);
    const found = this.stored.get(query.path);
    if (found === undefined) throw new AegisError('NOT_FOUND', `nothing at ${query.path}`);
    const { cid, version, sizeBytes, final, height } = this.entry(query.path);
    const facts = { path: query.path, cid, version, sizeBytes, final, height };
    if (found.kind === 'file') return { ...facts, kind: 'file', bytes: chunks(found.bytes) };
    const entries = found.files.map((file) => ({
      path: file.path,
      kind: file.kind,
      sizeBytes: file.bytes.length,
      bytes: chunks(file.bytes),
    }));
    return { ...facts, kind: 'directory', entries: iterate(entries) };
  }

  async list(query: Query<'kb.ls'>): Promise<Result<'kb.ls'>> {
    const paths = [...this.stored.keys()]
      .filter((path) => path.startsWith(query.prefix))
      .toSorted();
    const entries = paths.slice(0, query.limit).map((path) => this.entry(path));
    const next = paths.length > entries.length ? (entries.at(-1)?.path ?? null) : null;
    return { prefix: query.prefix, entries, prefixes: [], items: [], total: paths.length, next };
  }

  async log(query: Query<'kb.log'>): Promise<Result<'kb.log'>> {
    const entry = this.entry(query.path);
    const versions = [
      {
        version: entry.version,
        cid: entry.cid,
        kind: entry.kind,
        sizeBytes: entry.sizeBytes,
        generation: entry.generation,
        author: SELF,
        authorName: 'alice',
        sequence: 1,
        conflicts: 0,
        mismatch: null,
        time: STARTED,
        message: this.stored.get(query.path)?.message ?? null,
        deleted: false,
        final: true,
        height: 1,
        parents: [],
        head: true,
        shown: true,
      },
    ];
    return { path: query.path, versions, heads: 1, total: 1, next: null };
  }

  async stat(query: Query<'kb.stat'>): Promise<Result<'kb.stat'>> {
    return {
      ...this.entry(query.path),
      message: null,
      parents: [],
      sequence: 1,
      sealed: false,
      readers: null,
      objects: 1,
      hash: 'blake3',
    };
  }

  async where(query: Query<'kb.where'>): Promise<Result<'kb.where'>> {
    const cid = query.cid ?? this.entry(query.path ?? '').cid;
    const holder = (nodeId: string, name: string, self: boolean) => ({
      nodeId,
      name,
      zone: 'z1',
      placed: true,
      confirmed: true,
      reachable: true,
      self,
    });
    return {
      path: query.path ?? null,
      cid,
      replicas: { wanted: 2, confirmed: 2 },
      holders: [holder(SELF, 'alice', true), holder(OTHER, 'bob', false)],
    };
  }

  async snapshot(): Promise<Omit<Snapshot, 'type' | 'schema'>> {
    await this.onSnapshot();
    const kb = [...this.stored.keys()].map((path) => this.entry(path));
    return {
      time: STARTED,
      node: await this.status(),
      tor: this.tor.now,
      peers: this.known,
      kb,
      ...this.#chainState(),
      log: [],
    };
  }

  #chainState() {
    return {
      consensus: this.chain.consensus(),
      custodians: CUSTODIANS,
      blocks: this.chain.summaries(),
    };
  }

  subscribe(listener: (change: Change) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell(change: Change): void {
    for (const listener of this.listeners) listener(change);
  }

  entry(path: string): Result<'kb.ls'>['entries'][number] {
    const found = this.stored.get(path);
    if (found === undefined) throw new AegisError('NOT_FOUND', `nothing at ${path}`);
    const parts = found.kind === 'file' ? [found.bytes] : found.files.map((file) => file.bytes);
    const bytes = Buffer.concat(parts);
    return {
      path,
      cid: `b${createHash('sha256').update(bytes).digest('hex')}`,
      version: `v${found.generation}`,
      kind: found.kind,
      sizeBytes: bytes.length,
      final: true,
      height: 1,
      generation: found.generation,
      author: SELF,
      authorName: 'alice',
      time: STARTED,
      conflicts: 0,
      heads: 1,
      replicas: { wanted: 2, confirmed: 2 },
      local: true,
    };
  }
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

export async function* iterate<T>(values: Iterable<T>): AsyncGenerator<T, void> {
  yield* values;
}

export async function* chunks(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
