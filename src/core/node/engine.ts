/**
 * The inside of a running node: stores, machines, loop and network, married. `daemon.ts` puts the
 * API in front of it. Starts in the order in which things need each other, stops in the opposite.
 */

import type { CID } from 'multiformats/cid';
import type { ChainInput, ChainOutcome, Finalised } from '../chain/chain.ts';
import type { AegisError } from '../errors.ts';
import { KB_PROTOCOL, type Replication } from '../kb/replication.ts';
import type { ReplicationInput, ReplicationOutcome } from '../kb/replication-types.ts';
import type { Outcome } from '../machine.ts';
import type { Host } from '../network/host.ts';
import type { PeerInput } from '../peers/book-io.ts';
import type { Clock } from '../ports.ts';
import type { ChainRows } from '../storage/chain-rows.ts';
import type { ChainStore } from '../storage/chain-store.ts';
import type { ContentStore } from '../storage/content-store.ts';
import { KIB } from '../units.ts';
import { CHAIN_MACHINE } from './chain-desk.ts';
import type { ChainRoom } from './chain-room.ts';
import { protocolMaxOf } from './chain-settings.ts';
import { systemClock } from './clock.ts';
import { Confidential } from './confidential.ts';
import type { ConsensusViews } from './consensus-views.ts';
import type { Contents } from './contents.ts';
import type { Copies } from './copies/copies.ts';
import { makeCopies } from './copies/open.ts';
import { Custody } from './custody.ts';
import { CustodyViews } from './custody-views.ts';
import {
  lostRoots,
  makeFinality,
  makeKnowledge,
  makeVersions,
  mendInBackground,
  submitMissing,
} from './engine-knowledge.ts';
import { type EngineDeps, type EngineOptions, type EngineParts, openParts } from './engine-open.ts';
import { consensusViewsOf, invitedTo, tooOld } from './engine-parts.ts';
import { Fetcher } from './fetcher.ts';
import type { Finality } from './finality.ts';
import { Governance } from './governance.ts';
import { HolderQuery } from './holder-query.ts';
import { IntentViews } from './intent-views.ts';
import { KbFeed } from './kb-feed.ts';
import type { KbVersions } from './kb-versions.ts';
import { KbViews } from './kb-views.ts';
import { KB_MACHINE, type Knowledge } from './knowledge.ts';
import { Loop, type LoopDependencies } from './loop.ts';
import { type Machines, Placement } from './machines.ts';
import { type MergeRoom, makeMerges } from './merge/open.ts';
import { ObjectReader } from './object-reader.ts';
import { serveObjects } from './object-server.ts';
import { OnionUpgrade } from './onion-upgrade.ts';
import { PEERS_MACHINE, Peers } from './peers.ts';
import type { Routing } from './routing.ts';
import { makeSearch, type SearchRoom } from './search/open.ts';
import { Space } from './space/space.ts';
import { TorViews } from './tor-views.ts';

/** What a peer tells of its addresses, at most about. */
const LEARNED_BYTES = 8 * KIB;

/** Facts of the knowledge base stepped in one turn, while votes wait. */
const BULK_BATCH = 64;

const originOf = (from: string) => ({ from, sizeBytes: LEARNED_BYTES });

export class Engine {
  readonly consensus: ConsensusViews;
  readonly intents: IntentViews;
  readonly content: ContentStore;
  readonly host: Host;
  readonly custody: Custody;
  readonly custodyViews: CustodyViews;
  readonly governance: Governance;
  readonly machine: Replication;
  readonly peers: Peers;
  readonly knowledge: Knowledge;
  readonly merges: MergeRoom;
  readonly search: SearchRoom;
  readonly copies: Copies;
  readonly space: Space;
  readonly views: KbViews;
  readonly versions: KbVersions;
  readonly contents: Contents;
  readonly chain: ChainRoom;
  readonly routing: Routing;
  readonly #options: EngineOptions;
  readonly #deps: EngineDeps;
  readonly #store: ChainStore;
  readonly #rows: ChainRows;
  readonly #loop: Loop;
  readonly #fetcher: Fetcher;
  readonly #feed = new KbFeed();
  readonly #confidential: Confidential;
  readonly #finality: Finality;
  readonly #placement: Placement;
  readonly #upgrade: OnionUpgrade;

  /**
   * @throws {AegisError} `STORE_DAMAGED`, `PORT_IN_USE`, `BAD_CONFIG`, `DISK_FULL`; where the route
   * needs Tor `TOR_UNREACHABLE`, `TOR_FAILED`, `TOR_DENIED`, `TOR_TOO_OLD`.
   */
  static async start(options: EngineOptions, deps: EngineDeps): Promise<Engine> {
    // The parts call each other, and before all of them are there.
    let made: Engine | undefined;
    const parts = await openParts(options, deps, {
      submit: (input) => void engine.#loop.submit(CHAIN_MACHINE, input),
      offer: (input, origin) => void engine.#loop.offer(CHAIN_MACHINE, input, origin),
      finalised: (block) => engine.#finalised(block),
      merged: (merges) => engine.merges.merger.final(merges),
      accused: (evidence) => engine.consensus.accused(evidence),
      custody: () => made?.custody,
      peers: () => made?.peers,
      torReady: () => made?.torReady(),
    });
    const engine: Engine = new Engine(options, deps, parts);
    made = engine;
    try {
      await engine.#start();
    } catch (error) {
      await engine.#halt();
      parts.rows[Symbol.dispose]();
      await Promise.all([parts.store.close(), parts.content.close()]);
      throw error;
    }
    return engine;
  }

  private constructor(options: EngineOptions, deps: EngineDeps, parts: EngineParts) {
    const { genesis, keystore, settings } = options;
    const { log, metrics } = deps;
    const { content, host, hashers, machines, clock } = parts;
    const { replication, book } = machines;
    const self = keystore.nodeId;
    this.#options = options;
    this.#deps = deps;
    this.#store = parts.store;
    this.#rows = parts.rows;
    this.chain = parts.chain;
    this.routing = parts.routing;
    this.content = content;
    this.host = host;
    this.machine = replication;
    this.#loop = new Loop({}, this.#loopDeps(clock));
    const byCode = (code: number) => hashers.find((hasher) => hasher.code === code);
    this.#fetcher = new Fetcher({
      ...{ content, host, hashers: byCode, log: log.child('fetch'), metrics },
    });
    const mend = (root: CID, signal?: AbortSignal) => this.knowledge.mend(root, signal);
    const reader = new ObjectReader({ content, log: log.child('content'), metrics, mend });
    const { chain } = this.chain;
    const { roster } = chain;
    this.consensus = consensusViewsOf(options, parts);
    const nameOf = (nodeId: string) => roster.get(nodeId)?.name ?? null;
    this.intents = new IntentViews({ context: genesis, room: this.chain, nameOf });
    this.#finality = makeFinality(settings, this.chain, replication.graph, (version, signal) =>
      this.knowledge.record(version, signal),
    );
    this.#confidential = this.#makeConfidential(reader);
    this.contents = this.#confidential.contents;
    this.copies = makeCopies(
      { self, settings },
      {
        ...{ machine: replication, content, host, hashers, reader, clock: parts.clock, metrics },
        ...{ roster, fetcher: this.#fetcher, log: log.child('copies') },
        incomplete: (root) => this.#incomplete(root),
        submit: (input) => this.#submitKb(input),
      },
    );
    this.space = this.#makeSpace();
    this.knowledge = this.#knowledge(parts);
    this.merges = this.#makeMerges(parts, reader);
    this.search = makeSearch(options, deps, parts, this.contents);
    this.custody = this.#custody(parts, book);
    const { custody } = this;
    this.custodyViews = new CustodyViews({
      ...{ genesis, keystore, room: this.chain, custody },
      isConnected: (nodeId) => host.peer(nodeId) !== undefined,
      versions: () => replication.graph.nextSequence(self) - 1,
    });
    this.governance = this.#makeGovernance();
    this.#placement = new Placement(roster);
    this.#upgrade = this.#makeUpgrade(parts);
    this.peers = this.#makePeers(book);
    this.views = this.#kbViews(reader);
    this.versions = makeVersions({
      ...{ knowledge: this.knowledge, graph: replication.graph, finality: this.#finality },
      ...{ feed: this.#feed, height: () => chain.height },
    });
    serveObjects(host, reader, (root) => this.#incomplete(root), log.child('objects'));
    const alarm = (key: string) => ({ type: 'alarm', key }) as const;
    // First of all, and in larger batches than the others: votes wait for nothing.
    this.#loop.register<ChainInput>(CHAIN_MACHINE, chain, alarm);
    this.#loop.register<ReplicationInput>(KB_MACHINE, replication, alarm, BULK_BATCH);
    this.#loop.register<PeerInput>(PEERS_MACHINE, book, alarm);
  }

  #makeGovernance(): Governance {
    const { genesis, keystore, settings, invited } = this.#options;
    const { log, security } = this.#deps;
    return new Governance(
      { genesis, settings, self: keystore.nodeId, invited },
      {
        ...{ room: this.chain, host: this.host, log, security },
        find: (member) => this.custodyViews.find(member),
        handIn: (bytes) => this.custody.handIn(bytes),
        submit: (input) => void this.#loop.submit(CHAIN_MACHINE, input),
        verify: (signal) => this.chain.audit(signal),
      },
    );
  }

  #makeConfidential(reader: ObjectReader): Confidential {
    const { genesis, keystore, settings } = this.#options;
    const { machine, content, chain } = this;
    return new Confidential({
      ...{ self: keystore.nodeId, genesis, keystore, roster: chain.chain.roster, reader },
      ...{ machine, content, log: this.#deps.log.child('sealed') },
      isWriting: settings['kb.seal'] === 'on',
      knowledge: () => this.knowledge,
      decided: (versions) => this.#finality.find(versions),
    });
  }

  /** O4 */
  #makeUpgrade({ introductions, clock }: EngineParts): OnionUpgrade {
    const { host, routing } = this;
    return new OnionUpgrade({
      ...{ host, introductions, clock, log: this.#deps.log.child('peers') },
      isWanted: () => routing.route.mode === 'prefer' && routing.tor.state === 'ready',
    });
  }

  #makePeers(book: Machines['book']): Peers {
    const { host, custody, chain } = this;
    const { log, peersChanged: changed } = this.#deps;
    return new Peers({
      ...{ self: this.#options.keystore.nodeId, roster: chain.chain.roster, custody, book, host },
      ...{ log: log.child('peers'), changed, lieOf: (nodeId) => chain.faults.lieOf(nodeId) },
      submit: (input) => void this.#loop.submit(PEERS_MACHINE, input),
      learned: (input) => void this.#loop.offer(PEERS_MACHINE, input, originOf(input.nodeId)),
    });
  }

  #kbViews(reader: ObjectReader): KbViews {
    const { host, machine, content, chain } = this;
    const { genesis, keystore } = this.#options;
    const holds = (root: CID) => machine.hasRoot(root);
    const query = new HolderQuery({ host, holds, log: this.#deps.log.child('kb') });
    return new KbViews({
      ...{ self: keystore.nodeId, machine, members: chain.chain.roster, content, reader },
      ...{ contents: this.contents, readingKeys: this.#confidential.keys },
      replicas: genesis.replicas,
      isConnected: (nodeId) => host.peer(nodeId) !== undefined,
      mismatches: (versions) => this.merges.faults.find(versions),
      decided: (versions) => this.#finality.find(versions),
      askHolders: (root, nodeIds) => query.ask(root, nodeIds),
    });
  }

  #knowledge(parts: EngineParts): Knowledge {
    const { genesis, keystore, settings } = this.#options;
    const { machines, content, hashers, host, chain, lostMarker } = parts;
    return makeKnowledge(
      { self: keystore.nodeId, genesis, settings, lostMarker },
      {
        ...{ machine: machines.replication, content, hashers, host, room: chain },
        ...{ contents: this.contents, readingKeys: this.#confidential.keys, space: this.space },
        copies: this.copies,
        find: (member) => this.custodyViews.find(member),
        ...{ fetcher: this.#fetcher, finality: this.#finality, log: this.#deps.log.child('kb') },
        checkMayWrite: (path, signal) => this.governance.rights.checkMayWrite(path, signal),
        sealed: () => this.custody.keys.sealed,
        submit: (input) => this.#submitKb(input),
        changed: this.#deps.pathChanged,
      },
    );
  }

  /** An object of a root is damaged or missing here. */
  #incomplete(root: CID): void {
    if (!this.machine.hasRoot(root)) return;
    void mendInBackground(() => this.knowledge.mend(root, undefined), root, this.#deps.log);
  }

  #makeSpace(): Space {
    const { content, machine } = this;
    const { log, metrics } = this.#deps;
    return new Space(this.#options.settings, {
      ...{ content, machine, log: log.child('space'), metrics },
      submit: (input) => this.#submitKb(input),
      mend: (root, signal) => this.knowledge.mend(root, signal),
      complete: (version, signal) => this.knowledge.complete(version, signal),
    });
  }

  #makeMerges({ content, hashers, store, chain: room, clock }: EngineParts, reader: ObjectReader) {
    const { keystore, settings } = this.#options;
    const { machine, knowledge, contents } = this;
    return makeMerges(
      { self: keystore.nodeId, settings },
      {
        ...{ machine, content, hashers, store, reader, room, knowledge, clock, contents },
        ...{ finality: this.#finality, metrics: this.#deps.metrics },
        log: this.#deps.log.child('merge'),
        submit: (input) => this.#submitKb(input),
      },
    );
  }

  #custody(parts: EngineParts, book: Machines['book']): Custody {
    const { host, routing, chain: room, bans, duplicities, introductions } = parts;
    const { networkKey, clock } = parts;
    const { settings } = this.#options;
    return new Custody(
      { ...this.#options, storageWeight: settings['node.storageWeight'] },
      {
        ...{ room, bans, duplicities, introductions, networkKey, host, clock },
        ...{ log: this.#deps.log, security: this.#deps.security },
        submit: (intent) =>
          void this.#loop.submit(CHAIN_MACHINE, { type: 'submit', intents: [intent] }),
        hold: () => this.knowledge.holdVersions(),
        addressesOf: (nodeId) => book.why(nodeId)?.addresses ?? [],
        changed: (nodeIds) => this.peers.membersChanged(nodeIds),
        reviewed: () => routing.keeper.look(),
        addresses: () => this.addresses(),
        onionFor: (invitation) => routing.invite(invitation),
      },
    );
  }

  /** Ends everything in order. Safe to call once. */
  async stop(): Promise<void> {
    await this.#halt();
    await this.chain.close();
    this.#rows[Symbol.dispose]();
    await Promise.all([this.#store.close(), this.content.close()]);
  }

  /** Everything but the stores. */
  async #halt(): Promise<void> {
    this.#fetcher.stop();
    this.merges.merger.stop();
    this.#confidential.stop();
    await this.copies.stop();
    await this.space.stop();
    await this.search.stop();
    this.custody.stop();
    this.#upgrade.stop();
    await this.host.stop();
    await this.routing.end();
    await this.#loop.stop();
  }

  /** Ends waits with an error: nothing that they wait for will come any more. */
  fail(error: AegisError): void {
    this.knowledge.fail(error);
    this.space.fail(error);
    this.chain.fail(error);
    this.custody.fail(error);
    this.governance.fail(error);
  }

  async #start(): Promise<void> {
    const { host } = this;
    this.#listen();
    // Before anybody can ask: nothing that is gone may be called durable.
    for await (const root of lostRoots(this.content, this.machine)) {
      this.#loop.submit(KB_MACHINE, { type: 'lost', root });
    }
    this.#loop.submit(KB_MACHINE, { type: 'content', id: await this.content.identity() });
    await this.chain.catchUp();
    await this.consensus.open();
    this.#loop.submit(KB_MACHINE, { type: 'start' });
    this.#loop.submit(CHAIN_MACHINE, { type: 'start' });
    const { nodeId: self } = this.#options.keystore;
    void submitMissing({ self, finality: this.#finality }, this.machine.graph, this.#deps.log);
    await host.start();
    this.routing.attach(host);
    this.#upgrade.start();
    this.peers.start([
      ...this.#options.settings['node.peers'],
      ...invitedTo(this.#options.invited),
    ]);
    await this.custody.start();
    this.governance.start();
    this.copies.start();
    await this.space.start();
    this.merges.merger.start();
    this.search.indexer.start();
    this.#confidential.start();
  }

  /** What the API says of Tor. */
  torViews(): TorViews {
    const { routing, host, peers } = this;
    const { settings, paths } = this.#options;
    return new TorViews({
      ...{ routing, host, peers, settings, configFile: paths.config, clock: systemClock() },
      introductions: this.custody.introductions,
      members: () => this.chain.chain.roster.members(),
    });
  }

  /** O3, O4: Tor can be used. */
  torReady(): void {
    this.peers.retryAll();
    this.#upgrade.soon();
  }

  /** Where this node may be dialled, by its route (O2). */
  addresses(): readonly string[] {
    return this.routing.addresses(this.host.addresses());
  }

  #loopDeps(clock: Clock): LoopDependencies {
    const { log, metrics, fatal } = this.#deps;
    return {
      clock,
      log: log.child('loop'),
      metrics,
      stage: (entries) => this.#rows.stage(entries),
      commit: (entries) => this.#store.commit(entries),
      send: (envelope) => void this.host.send(envelope),
      tell: (machine, outcome) => this.#tell(machine, outcome),
      blocked: (error) => {
        log.write('error', 'the disk takes no more facts', { reason: error.message });
        this.fail(error);
      },
      fatal,
    };
  }

  #submitKb(input: ReplicationInput): void {
    this.#loop.submit(KB_MACHINE, input);
    if (input.type === 'stored') this.search.indexer.stored(input.root);
  }

  #tell(machine: string, outcome: Outcome): void {
    if (machine === CHAIN_MACHINE) {
      this.chain.tell(outcome);
      this.#decided(outcome as ChainOutcome);
    } else if (machine === KB_MACHINE) {
      this.knowledge.tell(outcome);
      const told = outcome as ReplicationOutcome;
      this.copies.tell(told);
      this.space.tell(told);
      if (told.type === 'version-added') {
        this.merges.merger.added(told.version);
        this.search.indexer.touched(told.version.version.path);
      }
    } else this.peers.tell(outcome);
  }

  #decided(outcome: ChainOutcome): void {
    this.custody.tell(outcome);
    this.governance.tell(outcome);
    if (outcome.type === 'roster') this.#confidential.membersChanged();
    if (outcome.type === 'roster' || outcome.type === 'custodians') {
      const members = this.#placement.next();
      if (members !== undefined) this.#loop.submit(KB_MACHINE, { type: 'members', members });
    } else if (outcome.type === 'too-old') {
      const { protocol, height } = outcome;
      this.#deps.tooOld(tooOld(protocol, height, protocolMaxOf(this.#options.settings)));
    }
  }

  #listen(): void {
    this.host.onEnvelope((envelope) => {
      const { from, protocol, body } = envelope;
      if (this.chain.take(envelope) || this.custody.take(envelope)) return;
      if (protocol !== KB_PROTOCOL) return;
      const { byteLength: sizeBytes } = body;
      this.#loop.offer(KB_MACHINE, { type: 'message', from, body }, { from, sizeBytes });
    });
    this.host.onPeer(({ type, nodeId }) => {
      const input = { type: type === 'up' ? 'peer-up' : 'peer-down', nodeId } as const;
      this.#loop.submit(CHAIN_MACHINE, input);
      this.#loop.submit(KB_MACHINE, input);
      this.search.filters[type](nodeId);
      if (type === 'down') this.#fetcher.peerGone(nodeId);
      else this.custody.sessions.greet(nodeId);
    });
  }

  #finalised(block: Finalised): void {
    this.#feed.finalised(block);
    this.#confidential.final(block.paths);
    for (const path of block.paths) {
      this.#deps.pathChanged(path);
      this.merges.merger.look(path);
      this.search.indexer.touched(path);
    }
    this.#deps.blockFinal(this.consensus.add(block));
  }
}
