/** What the API asks of a node, answered by the engine. */
import type { Backend, CallContext, Download, Upload, WaitFor } from '../api/backend.ts';
import type { ConsensusStatus, Explanation } from '../api/contract/consensus.ts';
import type { Body, Query, Result } from '../api/contract/endpoints.ts';
import { type Change, KB_RECENT_MAX, type Snapshot } from '../api/contract/events.ts';
import type { HomePaths } from '../config/home.ts';
import { AegisError } from '../errors.ts';
import { fingerprint } from '../model/bundle.ts';
import type { Genesis } from '../model/genesis.ts';
import type { NodeLog } from '../telemetry/log.ts';
import type { NodeMetrics } from '../telemetry/metrics.ts';
import type { ResourceSampler } from '../telemetry/sampler.ts';
import type { ConsensusViews } from './consensus-views.ts';
import type { Copies } from './copies/copies.ts';
import type { Engine } from './engine.ts';
import type { EventHub } from './events.ts';
import { copyHome } from './home-copy.ts';
import type { IntentViews } from './intent-views.ts';
import type { KbVersions } from './kb-versions.ts';
import type { MergeViews } from './merge/merge-views.ts';
import type { Self } from './opening.ts';
import { Proofs } from './proofs.ts';
import type { Search } from './search/search.ts';
import type { Space } from './space/space.ts';
import { timeout } from './timeout.ts';
import type { TorViews } from './tor-views.ts';

export type NodeState = 'starting' | 'ready' | 'stopping';

export interface BackendOptions {
  readonly paths: HomePaths;
  readonly version: string;
  readonly agent: string;
  readonly genesis: Genesis;
  readonly self: Self;
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number;
  readonly nodeCreatedAt: number;
}

export interface BackendDeps {
  readonly engine: Engine;
  readonly consensus: ConsensusViews;
  readonly intents: IntentViews;
  readonly hub: EventHub;
  readonly log: NodeLog;
  readonly metrics: NodeMetrics;
  readonly sampler: ResourceSampler;
  state(): NodeState;
  /** Begins the graceful stop. */
  stop(): void;
}

export class NodeBackend implements Backend {
  readonly #options: BackendOptions;
  readonly #deps: BackendDeps;
  readonly tor: TorViews;
  readonly versions: KbVersions;
  readonly merges: MergeViews;
  readonly copies: Copies;
  readonly space: Space;
  readonly search: Search;
  #isCopying = false;

  constructor(options: BackendOptions, deps: BackendDeps) {
    this.#options = options;
    this.#deps = deps;
    this.tor = deps.engine.torViews();
    this.versions = deps.engine.versions;
    this.merges = deps.engine.merges.views;
    this.copies = deps.engine.copies;
    this.space = deps.engine.space;
    this.search = deps.engine.search.search;
  }

  async status(): Promise<Result<'node.status'>> {
    const { genesis, self, version, startedAt } = this.#options;
    const { engine, sampler } = this.#deps;
    const { objects, bytes } = await engine.content.stat();
    const { total, connected } = engine.peers.list();
    const { graph, backlog } = engine.machine;
    return {
      state: this.#deps.state(),
      nodeId: self.nodeId,
      name: self.name,
      zone: this.#member.zone,
      peerId: engine.host.peerId,
      clusterId: genesis.clusterId,
      clusterName: genesis.name,
      pid: process.pid,
      version,
      startedAt: new Date(startedAt).toISOString(),
      uptimeMs: Date.now() - startedAt,
      addresses: [...engine.addresses()],
      tor: this.tor.summary(),
      peers: { connected, known: total },
      kb: {
        paths: graph.paths,
        versions: graph.size,
        objects,
        sizeBytes: bytes,
        underReplicated: backlog.underReplicated,
      },
      chain: this.#chain(),
      keys: engine.custodyViews.brief(Date.now()),
      resources: sampler.latest,
    };
  }

  info(): Promise<Result<'node.info'>> {
    const { genesis, self, version, agent, startedAt, nodeCreatedAt, paths } = this.#options;
    const { chain } = this.#deps.engine.chain;
    const member = this.#member;
    return Promise.resolve({
      nodeId: self.nodeId,
      name: self.name,
      zone: member.zone,
      region: self.region,
      peerId: this.#deps.engine.host.peerId,
      clusterId: genesis.clusterId,
      clusterName: genesis.name,
      fingerprint: fingerprint(self.nodeId),
      createdAt: new Date(nodeCreatedAt).toISOString(),
      version,
      nodeVersion: process.version,
      platform: `${process.platform}-${process.arch}`,
      pid: process.pid,
      startedAt: new Date(startedAt).toISOString(),
      home: paths.label,
      socket: paths.socket,
      logFile: paths.logFile,
      tor: this.tor.summary(),
      storageWeight: member.storageWeight,
      replicasWanted: genesis.replicas,
      members: chain.roster.count,
      role: member.role,
      custodians: chain.custodians().size,
      quorum: chain.status().quorum,
      agent,
    });
  }

  wait(wanted: WaitFor, { signal }: CallContext): Promise<void> {
    const { condition, timeoutMs } = wanted;
    const holds = () => this.#deps.state() === 'ready' && this.#holds(wanted);
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        unsubscribe();
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const check = () => {
        if (holds()) end(resolve);
      };
      const onAbort = () => end(() => reject(signal.reason));
      const timer = setTimeout(() => end(() => reject(this.#notYet(condition))), timeoutMs);
      const unsubscribe = this.#deps.hub.subscribe(check);
      signal.addEventListener('abort', onAbort, { once: true });
      check();
    });
  }

  stop(): void {
    this.#deps.stop();
  }

  async backup(
    { dir }: Body<'node.backup'>,
    { signal }: CallContext,
  ): Promise<Result<'node.backup'>> {
    // Two would halve each other's pace, and one is enough.
    if (this.#isCopying)
      throw new AegisError('BUSY', 'a backup of this node is being made already');
    const { paths, version } = this.#options;
    const { engine, log } = this.#deps;
    const { height } = engine.chain;
    this.#isCopying = true;
    try {
      const copy = await copyHome({ paths, version, dir, now: Date.now(), signal });
      log.write('info', 'the home was copied', { dir, height, ...copy });
      return { dir, height, ...copy, consensusKeys: [...copy.consensusKeys] };
    } finally {
      this.#isCopying = false;
    }
  }

  metrics(): Promise<string> {
    return this.#deps.metrics.text();
  }

  peers(): Promise<Result<'peers.list'>> {
    return Promise.resolve(this.#deps.engine.peers.list());
  }

  async peer(id: string): Promise<Result<'peers.show'>> {
    return this.#deps.engine.peers.show(id);
  }

  async addPeer(body: Body<'peers.add'>): Promise<Result<'peers.add'>> {
    return this.#deps.engine.peers.add(body);
  }

  async removePeer(id: string): Promise<Result<'peers.remove'>> {
    return this.#deps.engine.peers.remove(id);
  }

  pingPeer(
    id: string,
    body: Body<'peers.ping'>,
    { signal }: CallContext,
  ): Promise<Result<'peers.ping'>> {
    return this.#deps.engine.peers.ping(id, body, signal);
  }

  findPeer(id: string, query: Query<'peers.find'>): Promise<Result<'peers.find'>> {
    return this.#deps.engine.peers.find(id, query);
  }

  async whyPeer(id: string): Promise<Result<'peers.why'>> {
    return this.#deps.engine.peers.why(id);
  }

  isolatePeers(body: Body<'peers.isolate'>): Promise<Result<'peers.isolate'>> {
    return this.#deps.engine.peers.isolate(body);
  }

  banPeer(id: string): Promise<Result<'peers.ban'>> {
    return this.#deps.engine.peers.ban(id, true);
  }

  unbanPeer(id: string): Promise<Result<'peers.unban'>> {
    return this.#deps.engine.peers.ban(id, false);
  }

  async keys(): Promise<Result<'keys.status'>> {
    return this.#deps.engine.custodyViews.status(Date.now());
  }

  async sealVersions(): Promise<Result<'keys.seal'>> {
    const { versions, until } = await this.#deps.engine.custody.keys.seal();
    const { nodeId } = this.#options.self;
    return { nodeId, versions, until: new Date(until).toISOString() };
  }

  async adoptKeys(
    { timeoutMs }: Query<'keys.adopt'>,
    { signal }: CallContext,
  ): Promise<Result<'keys.adopt'>> {
    const { nodeId } = this.#options.self;
    const deadline = AbortSignal.any([signal, timeout(timeoutMs)]);
    const rotated = await this.#deps.engine.custody.keys.rotate(deadline);
    const { retiredNetworkUntil: until, replaced, height, ...facts } = rotated;
    return {
      ...{ nodeId, ...facts, replaced: [...replaced], height, from: height + 1 },
      retiredNetworkUntil: until === undefined ? null : new Date(until).toISOString(),
    };
  }

  async rotateSession(): Promise<Result<'keys.session'>> {
    const { nodeId } = this.#options.self;
    const { number, sessionKey, ...times } = await this.#deps.engine.custody.sessions.rotate();
    return {
      ...{ nodeId, number, publicKey: Buffer.from(sessionKey).toString('hex') },
      startsAt: new Date(times.startsAt).toISOString(),
      expiresAt: new Date(times.expiresAt).toISOString(),
    };
  }

  keyHistory(id: string): Promise<Result<'keys.history'>> {
    return this.#deps.engine.custodyViews.history(id);
  }

  async members(query: Query<'cluster.members'>): Promise<Result<'cluster.members'>> {
    return this.#deps.engine.custodyViews.members(query);
  }

  async invite(body: Body<'cluster.invite'>): Promise<Result<'cluster.invite'>> {
    return this.#deps.engine.custody.members.invite(body);
  }

  leave(body: Body<'cluster.leave'>, { signal }: CallContext): Promise<Result<'cluster.leave'>> {
    return this.#deps.engine.custody.members.leave(body, signal);
  }

  async propose(
    body: Body<'cluster.propose'>,
    { signal }: CallContext,
  ): Promise<Result<'cluster.propose'>> {
    const { desk, views } = this.#deps.engine.governance;
    return views.voted(await desk.propose(body, signal));
  }

  async approve(
    id: string,
    body: Body<'cluster.approve'>,
    { signal }: CallContext,
  ): Promise<Result<'cluster.approve'>> {
    const { desk, views } = this.#deps.engine.governance;
    return views.voted(await desk.approve(id, body, signal));
  }

  async proposals(query: Query<'cluster.proposals'>): Promise<Result<'cluster.proposals'>> {
    return this.#deps.engine.governance.views.proposals(query);
  }

  async clusterState(): Promise<Result<'cluster.state'>> {
    return this.#deps.engine.governance.views.state();
  }

  async quotas(query: Query<'cluster.quotas'>): Promise<Result<'cluster.quotas'>> {
    return this.#deps.engine.governance.views.quotas(query);
  }

  async auditPeer(
    id: string,
    { timeoutMs }: Body<'peers.audit'>,
    { signal }: CallContext,
  ): Promise<Result<'peers.audit'>> {
    const { governance, peers } = this.#deps.engine;
    return await governance.audits.ask(peers.nodeIdOf(id), timeoutMs, signal);
  }

  async consensus(): Promise<ConsensusStatus> {
    return this.#deps.consensus.status();
  }

  blocks(query: Query<'consensus.blocks'>): Promise<Result<'consensus.blocks'>> {
    return this.#deps.consensus.blocks(query);
  }

  block(height: number): Promise<Result<'consensus.block'>> {
    return this.#deps.consensus.block(height);
  }

  validators(): Promise<Result<'consensus.validators'>> {
    return this.#deps.consensus.validators();
  }

  explainBlock(height: number): Promise<Explanation> {
    return this.#deps.consensus.explain(height);
  }

  evidence(): Promise<Result<'consensus.evidence'>> {
    return this.#deps.consensus.evidence();
  }

  async pruneChain(
    { keep, dryRun }: Body<'chain.prune'>,
    { signal }: CallContext,
  ): Promise<Result<'chain.prune'>> {
    const { pruner } = this.#deps.engine.chain;
    const pruned = dryRun ? await pruner.plan(keep) : await pruner.prune(keep, signal);
    return { ...pruned, dryRun };
  }

  submitIntents(
    body: Body<'intents.submit'>,
    context: CallContext,
  ): Promise<Result<'intents.submit'>> {
    return this.#deps.intents.submit(body, context);
  }

  async intents(query: Query<'intents.list'>): Promise<Result<'intents.list'>> {
    return this.#deps.intents.list(query);
  }

  intent(id: string): Promise<Result<'intents.show'>> {
    return this.#deps.intents.show(id);
  }

  cancelIntent(
    id: string,
    query: Query<'intents.cancel'>,
    context: CallContext,
  ): Promise<Result<'intents.cancel'>> {
    return this.#deps.intents.cancel(id, query, context);
  }

  async anchor(
    body: Body<'intents.anchor'>,
    { signal }: CallContext,
  ): Promise<Result<'intents.anchor'>> {
    return await this.#deps.engine.governance.rights.anchor(body, signal);
  }

  async anchors(query: Query<'intents.anchors'>): Promise<Result<'intents.anchors'>> {
    return this.#deps.engine.governance.rights.anchors(query);
  }

  relayIntents(
    body: Body<'intents.relay'>,
    { signal }: CallContext,
  ): Promise<Result<'intents.relay'>> {
    return this.#deps.engine.governance.relay.relay(body, signal);
  }

  grant(body: Body<'kb.grant'>, { signal }: CallContext): Promise<Result<'kb.grant'>> {
    return this.#deps.engine.governance.rights.grant(body, signal);
  }

  revoke(body: Body<'kb.revoke'>, { signal }: CallContext): Promise<Result<'kb.revoke'>> {
    return this.#deps.engine.governance.rights.revoke(body, signal);
  }

  erase(body: Body<'kb.erase'>, { signal }: CallContext): Promise<Result<'kb.erase'>> {
    return this.#deps.engine.governance.rights.erase(body, signal);
  }

  async rights(query: Query<'kb.rights'>): Promise<Result<'kb.rights'>> {
    return this.#deps.engine.governance.rights.rights(query);
  }

  put(query: Query<'kb.put'>, upload: Upload, context: CallContext): Promise<Result<'kb.put'>> {
    return this.#deps.engine.knowledge.writer.put(query, upload, context);
  }

  get(query: Query<'kb.get'>, context: CallContext): Promise<Download> {
    return this.#deps.engine.knowledge.get(query, context);
  }

  list(query: Query<'kb.ls'>): Promise<Result<'kb.ls'>> {
    return this.#deps.engine.views.list(query);
  }

  log(query: Query<'kb.log'>): Promise<Result<'kb.log'>> {
    return this.#deps.engine.views.log(query);
  }

  stat(query: Query<'kb.stat'>): Promise<Result<'kb.stat'>> {
    return this.#deps.engine.views.stat(query);
  }

  where(query: Query<'kb.where'>): Promise<Result<'kb.where'>> {
    return this.#deps.engine.views.where(query);
  }

  proof(query: Query<'kb.proof'>, { signal }: CallContext): Promise<Result<'kb.proof'>> {
    const { engine } = this.#deps;
    const { chain, archive } = engine.chain;
    const { graph } = engine.machine;
    const record = (version: string, until: AbortSignal) => engine.knowledge.record(version, until);
    const { genesis } = this.#options;
    return new Proofs({ genesis, chain, graph, archive, record }).make(query, signal);
  }

  async snapshot(): Promise<Omit<Snapshot, 'type' | 'schema'>> {
    const { engine, log } = this.#deps;
    return {
      time: new Date().toISOString(),
      node: await this.status(),
      tor: await this.tor.status(),
      peers: engine.peers.list().peers,
      kb: await engine.views.recent(Math.min(KB_RECENT_MAX, 200)),
      consensus: this.#deps.consensus.status(),
      custodians: this.#deps.consensus.custodians(),
      blocks: this.#deps.consensus.recent(),
      log: [...log.recent()],
    };
  }

  subscribe(listener: (change: Change) => void): () => void {
    return this.#deps.hub.subscribe(listener);
  }

  /** As the state has it; before it is a member, as its home has. */
  get #member(): Pick<Self, 'zone' | 'role' | 'storageWeight'> {
    const { self } = this.#options;
    return this.#deps.engine.chain.chain.roster.get(self.nodeId) ?? self;
  }

  #holds({ condition, peers, height }: WaitFor): boolean {
    const { host, chain } = this.#deps.engine;
    if (condition === 'peers') return host.peers().length >= peers;
    return condition === 'ready' || chain.height >= height;
  }

  #chain(): Result<'node.status'>['chain'] {
    const { height, lastFinalAt, behind, isVoting, mempool } = this.#deps.consensus.status();
    return { height, lastFinalAt, behind, isVoting, pending: mempool.own };
  }

  #notYet(condition: WaitFor['condition']): AegisError {
    const { host, chain } = this.#deps.engine;
    if (condition === 'ready') {
      return new AegisError('TIMEOUT', `the node is still ${this.#deps.state()}`);
    }
    if (condition === 'height') {
      return new AegisError('TIMEOUT', `the last final height is ${chain.height}`, {
        hint: 'See what keeps the next one: aegis consensus status --why',
      });
    }
    const { length } = host.peers();
    return new AegisError('TIMEOUT', `the node has ${length} connected peers`, {
      hint: 'See what keeps the others away: aegis peers, aegis peers why',
    });
  }
}
