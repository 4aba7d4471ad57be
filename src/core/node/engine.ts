/**
 * The inside of a running node: stores, machines, loop and network, married. `daemon.ts` puts the
 * API in front of it. Starts in the order in which things need each other, stops in the opposite.
 */

import type { CID } from 'multiformats/cid';
import type { BlockSummary } from '../api/contract/consensus.ts';
import type { ChainInput, ChainOutcome, Finalised } from '../chain/chain.ts';
import type { Settings } from '../config/settings.ts';
import type { AegisError } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import { KB_PROTOCOL, type Replication } from '../kb/replication.ts';
import type { ReplicationInput } from '../kb/replication-types.ts';
import type { Keystore } from '../keys/keystore.ts';
import type { Outcome } from '../machine.ts';
import type { Genesis } from '../model/genesis.ts';
import type { OpenInvitationFile } from '../model/invitation-file.ts';
import type { Host } from '../network/host.ts';
import type { PeerInput } from '../peers/book.ts';
import type { Clock, Hasher, Log, Metrics, Security } from '../ports.ts';
import { ChainStore } from '../storage/chain-store.ts';
import { ContentStore } from '../storage/content-store.ts';
import { createHasher } from '../storage/hasher.ts';
import { KIB } from '../units.ts';
import { Bans } from './bans.ts';
import { CHAIN_MACHINE } from './chain-desk.ts';
import { ChainRoom } from './chain-room.ts';
import { protocolMaxOf } from './chain-settings.ts';
import { systemClock } from './clock.ts';
import { ConsensusViews } from './consensus-views.ts';
import { Custody, introductionsFor } from './custody.ts';
import { CustodyViews } from './custody-views.ts';
import { Duplicities } from './duplicities.ts';
import { lostRoots, makeKnowledge, mendInBackground, submitMissing } from './engine-knowledge.ts';
import { apart, doubleSignOf, openBoth, tooOld } from './engine-parts.ts';
import { Fetcher } from './fetcher.ts';
import { Finality } from './finality.ts';
import { Governance } from './governance.ts';
import { HolderQuery } from './holder-query.ts';
import { IntentViews } from './intent-views.ts';
import type { Introductions } from './introductions.ts';
import { KbViews } from './kb-views.ts';
import { KB_MACHINE, type Knowledge } from './knowledge.ts';
import { Loop, type LoopDependencies } from './loop.ts';
import { type Machines, Placement, recoverMachines } from './machines.ts';
import { createHost } from './network.ts';
import { ObjectReader } from './object-reader.ts';
import { ObjectServer } from './object-server.ts';
import { markLostFacts } from './own-history.ts';
import { followChain, usableNetworkKey } from './own-keys.ts';
import { PEERS_MACHINE, Peers } from './peers.ts';

export interface EngineOptions {
  readonly chainDb: string;
  readonly contentDb: string;
  readonly settings: Settings;
  readonly genesis: Genesis;
  readonly genesisBytes: Uint8Array;
  readonly invited: OpenInvitationFile | undefined;
  readonly keystore: Keystore;
  /** Name and version for peers, e.g. `aegis/0.1.0`. */
  readonly agent: string;
  /** D7: the operator says that the home has voted nothing that it does not remember. */
  readonly vouch?: boolean;
}

export interface EngineDeps {
  readonly log: Log;
  readonly metrics: Metrics;
  /** Who was turned away, and what was seen of keys. */
  readonly security?: Security;
  /** The node cannot go on. Must end the process. */
  fatal(error: unknown): void;
  /** V3: the node goes no further. Must stop it in good order. */
  tooOld(error: AegisError): void;
  peersChanged(): void;
  pathChanged(path: string): void;
  /** Something of the height that is being decided has changed. */
  consensusMoved(): void;
  blockFinal(block: BlockSummary): void;
}

/** What a peer tells of its addresses, at most about. */
const LEARNED_BYTES = 8 * KIB;

/** Facts of the knowledge base stepped in one turn, while votes wait. */
const BULK_BATCH = 64;

const originOf = (from: string) => ({ from, sizeBytes: LEARNED_BYTES });

interface Parts {
  readonly store: ChainStore;
  readonly chain: ChainRoom;
  readonly content: ContentStore;
  readonly hashers: readonly Hasher[];
  readonly host: Host;
  readonly machines: Machines;
  readonly bans: Bans;
  readonly duplicities: Duplicities;
  readonly introductions: Introductions;
  readonly networkKey: Uint8Array;
  readonly clock: Clock;
  readonly lostMarker: string;
}

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
  readonly views: KbViews;
  readonly chain: ChainRoom;
  readonly #options: EngineOptions;
  readonly #deps: EngineDeps;
  readonly #store: ChainStore;
  readonly #loop: Loop;
  readonly #fetcher: Fetcher;
  readonly #finality: Finality;
  readonly #placement: Placement;

  /** @throws {AegisError} `STORE_DAMAGED`, `PORT_IN_USE`, `BAD_CONFIG`, `DISK_FULL`. */
  static async start(options: EngineOptions, deps: EngineDeps): Promise<Engine> {
    const { log, fatal } = deps;
    const storage = { log: log.child('storage'), fatal };
    const lostMarker = await markLostFacts(options.chainDb, options.contentDb);
    const hasHistory = (await statIfPresent(lostMarker)) !== undefined;
    const [store, content] = await openBoth(
      () => ChainStore.open(options.chainDb, storage, { hasHistory }),
      () => ContentStore.open(options.contentDb, storage),
    );
    try {
      const hashers = await Promise.all([createHasher('blake3'), createHasher('sha2-256')]);
      const clock = systemClock();
      const { metrics, security } = deps;
      // The host asks for the own introduction before there is anything to be admitted with.
      let made: Engine | undefined;
      const { settings, genesis, keystore } = options;
      const { nodeId: self } = keystore;
      const chain = await ChainRoom.open(options, {
        ...{ store, log: log.child('chain'), metrics, security },
        submit: (input) => void engine.#loop.submit(CHAIN_MACHINE, input),
        offer: (input, origin) => void engine.#loop.offer(CHAIN_MACHINE, input, origin),
        moved: deps.consensusMoved,
        finalised: (block) => engine.#finalised(block),
        accused: (evidence, nodeId) => {
          engine.consensus.accused(evidence);
          security?.tell(doubleSignOf(evidence, nodeId));
        },
      });
      checkProtocol(chain, settings);
      const { roster } = chain.chain;
      // What a run before has left undone, before anybody is told a key.
      await followChain(roster.get(self), { keystore, log, now: clock.now() }).catch(apart(log));
      const networkKey = await usableNetworkKey(keystore);
      const bans = await Bans.open(store);
      const duplicities = await Duplicities.open(store);
      const introductions = introductionsFor(options, {
        ...{ room: chain, bans, clock, log },
        handIn: (bytes) => engine.custody.handIn(bytes),
        learned: () => engine.custody.learned(),
        frozen: (nodeId, evidence) => engine.custody.frozen(nodeId, evidence),
        admission: () => made?.custody.members.admission,
        listening: () => made?.custody.keys.listening ?? networkKey,
      });
      const host = await createHost(options, {
        ...{ log: log.child('network'), metrics, clock, networkKey, hello: introductions },
        ...(security === undefined ? {} : { security }),
      });
      // After the chain: it says whose versions count.
      const machines = await recoverMachines({ settings, genesis, self, roster }, store);
      const parts = {
        ...{ store, chain, content, hashers, host, machines, bans, duplicities, introductions },
        ...{ clock, lostMarker, networkKey },
      };
      const engine: Engine = new Engine(options, deps, parts);
      made = engine;
      try {
        await engine.#start();
      } catch (error) {
        await engine.#halt();
        throw error;
      }
      return engine;
    } catch (error) {
      await Promise.all([store.close(), content.close()]);
      throw error;
    }
  }

  private constructor(options: EngineOptions, deps: EngineDeps, parts: Parts) {
    const { genesis, keystore, settings } = options;
    const { log, metrics, security } = deps;
    const { content, host, hashers, machines, clock } = parts;
    const { replication, book } = machines;
    const self = keystore.nodeId;
    this.#options = options;
    this.#deps = deps;
    this.#store = parts.store;
    this.chain = parts.chain;
    this.content = content;
    this.host = host;
    this.machine = replication;
    this.#loop = new Loop({}, this.#loopDeps(clock));
    const byCode = (code: number) => hashers.find((hasher) => hasher.code === code);
    this.#fetcher = new Fetcher({
      content,
      host,
      hashers: byCode,
      log: log.child('fetch'),
      metrics,
    });
    const mend = (root: CID, signal?: AbortSignal) => this.knowledge.mend(root, signal);
    const reader = new ObjectReader({ content, log: log.child('content'), metrics, mend });
    const { chain, desk, finals, reads } = this.chain;
    const { roster } = chain;
    const isConnected = (nodeId: string) => host.peer(nodeId) !== undefined;
    const runsTwice = (nodeId: string) => host.peer(nodeId)?.runsTwice === true;
    const isFrozen = (nodeId: string) => parts.introductions.isFrozen(nodeId);
    const { duplicities } = parts;
    this.consensus = new ConsensusViews({
      ...{ genesis, self, room: this.chain, store: this.#store, isConnected, isFrozen, runsTwice },
      ...{ duplicities, protocolMax: protocolMaxOf(settings) },
    });
    const nameOf = (nodeId: string) => roster.get(nodeId)?.name ?? null;
    this.intents = new IntentViews({ context: genesis, room: this.chain, nameOf });
    const finality = new Finality({
      ...{ chain, desk, finals, reads, graph: replication.graph },
      record: (version, signal) => this.knowledge.record(version, signal),
    });
    this.#finality = finality;
    this.knowledge = this.#knowledge(parts, reader);
    this.custody = this.#custody(parts, book);
    const { custody } = this;
    this.custodyViews = new CustodyViews({
      ...{ genesis, keystore, room: this.chain, custody, isConnected },
      versions: () => replication.graph.nextSequence(self) - 1,
    });
    this.governance = new Governance(
      { genesis, settings, self, invited: options.invited },
      {
        ...{ room: this.chain, host, log, security },
        find: (member) => this.custodyViews.find(member),
        handIn: (bytes) => custody.handIn(bytes),
        submit: (input) => void this.#loop.submit(CHAIN_MACHINE, input),
        verify: (signal) => this.chain.audit(signal),
      },
    );
    this.#placement = new Placement(roster);
    this.peers = this.#makePeers(book);
    this.views = this.#kbViews(reader);
    this.#serveObjects(reader);
    const alarm = (key: string) => ({ type: 'alarm', key }) as const;
    // First of all, and in larger batches than the others: votes wait for nothing.
    this.#loop.register<ChainInput>(CHAIN_MACHINE, chain, alarm);
    this.#loop.register<ReplicationInput>(KB_MACHINE, replication, alarm, BULK_BATCH);
    this.#loop.register<PeerInput>(PEERS_MACHINE, book, alarm);
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
      replicas: genesis.replicas,
      isConnected: (nodeId) => host.peer(nodeId) !== undefined,
      decided: (versions) => this.#finality.find(versions),
      askHolders: (root, nodeIds) => query.ask(root, nodeIds),
    });
  }

  #knowledge(parts: Parts, reader: ObjectReader): Knowledge {
    const { genesis, keystore, settings } = this.#options;
    const { machines, content, hashers, host, chain, lostMarker } = parts;
    return makeKnowledge(
      { self: keystore.nodeId, genesis, settings, lostMarker },
      {
        ...{ machine: machines.replication, content, hashers, host, room: chain, reader },
        ...{ fetcher: this.#fetcher, finality: this.#finality, log: this.#deps.log.child('kb') },
        checkMayWrite: (path, signal) => this.governance.rights.checkMayWrite(path, signal),
        sealed: () => this.custody.keys.sealed,
        submit: (input) => void this.#loop.submit(KB_MACHINE, input),
        changed: this.#deps.pathChanged,
      },
    );
  }

  #custody(parts: Parts, book: Machines['book']): Custody {
    const { host, chain: room, bans, duplicities, introductions, networkKey, clock } = parts;
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
      },
    );
  }

  /** Ends everything in order. Safe to call once. */
  async stop(): Promise<void> {
    await this.#halt();
    await this.chain.close();
    await Promise.all([this.#store.close(), this.content.close()]);
  }

  /** Everything but the stores. */
  async #halt(): Promise<void> {
    this.#fetcher.stop();
    this.custody.stop();
    await this.host.stop();
    await this.#loop.stop();
  }

  /** Ends waits with an error: nothing that they wait for will come any more. */
  fail(error: AegisError): void {
    this.knowledge.fail(error);
    this.chain.fail(error);
    this.custody.fail(error);
    this.governance.fail(error);
  }

  async #start(): Promise<void> {
    const { host } = this;
    this.#listen();
    // Before anybody can ask: nothing that is gone may be called durable.
    for (const root of await lostRoots(this.content, this.machine)) {
      this.#loop.submit(KB_MACHINE, { type: 'lost', root });
    }
    await this.chain.catchUp();
    await this.consensus.open();
    this.#loop.submit(KB_MACHINE, { type: 'start' });
    this.#loop.submit(CHAIN_MACHINE, { type: 'start' });
    const { nodeId: self } = this.#options.keystore;
    void submitMissing({ self, finality: this.#finality }, this.machine.graph, this.#deps.log);
    await host.start();
    this.peers.start([...this.#options.settings['node.peers'], ...this.#invitedTo()]);
    await this.custody.start();
    this.governance.start();
  }

  /** Where the members may be dialled that have invited this node. */
  #invitedTo(): readonly string[] {
    return this.#options.invited?.file.addresses.flatMap(({ addresses }) => addresses) ?? [];
  }

  #loopDeps(clock: Clock): LoopDependencies {
    const { log, metrics, fatal } = this.#deps;
    return {
      clock,
      log: log.child('loop'),
      metrics,
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

  #tell(machine: string, outcome: Outcome): void {
    if (machine === CHAIN_MACHINE) {
      this.chain.tell(outcome);
      this.#decided(outcome as ChainOutcome);
    } else if (machine === KB_MACHINE) this.knowledge.tell(outcome);
    else this.peers.tell(outcome);
  }

  #decided(outcome: ChainOutcome): void {
    this.custody.tell(outcome);
    this.governance.tell(outcome);
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
      if (type === 'down') this.#fetcher.peerGone(nodeId);
      else this.custody.sessions.greet(nodeId);
    });
  }

  #serveObjects(reader: ObjectReader): void {
    const server = new ObjectServer({
      read: (cids) => reader.sound(cids),
      incomplete: (root) => {
        if (!this.machine.hasRoot(root)) return;
        void mendInBackground(() => this.knowledge.mend(root, undefined), root, this.#deps.log);
      },
      log: this.#deps.log.child('objects'),
    });
    this.host.handleBulk((from, request, out) => server.answer(from, request, out));
  }

  #finalised(block: Finalised): void {
    for (const path of block.paths) this.#deps.pathChanged(path);
    this.#deps.blockFinal(this.consensus.add(block));
  }
}

/** V3. @throws {AegisError} `PROTOCOL_TOO_NEW`. */
function checkProtocol({ chain }: ChainRoom, settings: Settings): void {
  const { isTooOld, protocol } = chain.status();
  if (isTooOld) throw tooOld(protocol, chain.height + 1, protocolMaxOf(settings));
}
