/**
 * The inside of a running node: stores, machines, loop and network, married. `daemon.ts` puts the
 * API in front of it. Starts in the order in which things need each other, stops in the opposite.
 */

import type { CID } from 'multiformats/cid';
import { assert } from '../assert.ts';
import type { Settings } from '../config/settings.ts';
import type { AegisError } from '../errors.ts';
import { KB_PROTOCOL, Replication, type ReplicationInput } from '../kb/replication.ts';
import { TABLES } from '../kb/replication-entries.ts';
import type { Keystore } from '../keys/keystore.ts';
import { systemRandom } from '../keys/random.ts';
import type { Outcome } from '../machine.ts';
import type { Genesis, Member } from '../model/genesis.ts';
import { Host } from '../network/host.ts';
import { PeerBook, type PeerInput } from '../peers/book.ts';
import { PEERS_TABLE } from '../peers/record.ts';
import type { Hasher, Log, Metrics } from '../ports.ts';
import { ChainStore } from '../storage/chain-store.ts';
import { ContentStore } from '../storage/content-store.ts';
import { createHasher } from '../storage/hasher.ts';
import { systemClock } from './clock.ts';
import { Fetcher } from './fetcher.ts';
import { KbViews } from './kb-views.ts';
import { KB_MACHINE, Knowledge } from './knowledge.ts';
import { Loop } from './loop.ts';
import { ObjectReader } from './object-reader.ts';
import { ObjectServer } from './object-server.ts';
import { PEERS_MACHINE, Peers } from './peers.ts';

export interface EngineOptions {
  readonly chainDb: string;
  readonly contentDb: string;
  readonly settings: Settings;
  readonly genesis: Genesis;
  readonly keystore: Keystore;
  /** Name and version for peers, e.g. `aegis/0.1.0`. */
  readonly agent: string;
}

export interface EngineDeps {
  readonly log: Log;
  readonly metrics: Metrics;
  /** The node cannot go on. Must end the process. */
  fatal(error: unknown): void;
  peersChanged(): void;
  pathChanged(path: string): void;
}

interface Stores {
  readonly chain: ChainStore;
  readonly content: ContentStore;
}

export class Engine {
  readonly content: ContentStore;
  readonly host: Host;
  readonly members: ReadonlyMap<string, Member>;
  readonly machine: Replication;
  readonly peers: Peers;
  readonly knowledge: Knowledge;
  readonly views: KbViews;
  readonly #options: EngineOptions;
  readonly #deps: EngineDeps;
  readonly #chain: ChainStore;
  readonly #loop: Loop;
  readonly #fetcher: Fetcher;

  /** @throws {AegisError} `STORE_DAMAGED`, `PORT_IN_USE`, `BAD_CONFIG`, `DISK_FULL`. */
  static async start(options: EngineOptions, deps: EngineDeps): Promise<Engine> {
    const { log, fatal } = deps;
    const storage = { log: log.child('storage'), fatal };
    const [chain, content] = await openBoth(
      () => ChainStore.open(options.chainDb, storage),
      () => ContentStore.open(options.contentDb, storage),
    );
    try {
      const hashers = await Promise.all([createHasher('blake3'), createHasher('sha2-256')]);
      const host = await createHost(options, deps);
      const entries = await readEntries(chain);
      const engine = new Engine(options, deps, {
        stores: { chain, content },
        hashers,
        host,
        entries,
      });
      await engine.#start();
      return engine;
    } catch (error) {
      await Promise.all([chain.close(), content.close()]);
      throw error;
    }
  }

  private constructor(
    options: EngineOptions,
    deps: EngineDeps,
    parts: { stores: Stores; hashers: Hasher[]; host: Host; entries: Entries },
  ) {
    const { settings, genesis, keystore } = options;
    const { log, metrics } = deps;
    const { content, chain } = parts.stores;
    const { host } = parts;
    const self = keystore.nodeId;
    const clock = systemClock();
    this.#options = options;
    this.#deps = deps;
    this.#chain = chain;
    this.content = content;
    this.host = host;
    this.members = new Map(genesis.custodians.map((member) => [member.nodeId, member]));
    this.#loop = new Loop({}, this.#loopDeps(clock));
    const minReplicas = Math.min(settings['kb.minReplicas'], genesis.custodians.length);
    this.machine = Replication.recover(
      {
        nodeId: self,
        members: genesis.custodians.map(placementOf),
        replicas: genesis.replicas,
        minReplicas,
      },
      { keyOf: (nodeId) => this.members.get(nodeId)?.identityKey },
      parts.entries.kb,
    );
    const book = new PeerBook({ self });
    book.recover(parts.entries.peers);
    const byCode = (code: number) => parts.hashers.find((hasher) => hasher.code === code);
    const fetcher = new Fetcher({
      content,
      host,
      hashers: byCode,
      log: log.child('fetch'),
      metrics,
    });
    this.#fetcher = fetcher;
    const reader = new ObjectReader({
      content,
      log: log.child('content'),
      metrics,
      mend: (root, signal) => this.knowledge.mend(root, signal),
    });
    this.knowledge = new Knowledge(
      { self, minReplicas, replicas: genesis.replicas },
      {
        machine: this.machine,
        content,
        fetcher,
        reader,
        identity: keystore.identity,
        hasher: (name) => parts.hashers.find((hasher) => hasher.name === name)!,
        log: log.child('kb'),
        peers: () => host.peers().map((peer) => peer.nodeId),
        submit: (input) => this.#loop.submit(KB_MACHINE, input),
        changed: deps.pathChanged,
      },
    );
    this.peers = new Peers({
      self,
      members: this.members,
      book,
      host,
      clock,
      log: log.child('peers'),
      submit: (input) => this.#loop.submit(PEERS_MACHINE, input),
      changed: deps.peersChanged,
    });
    this.views = new KbViews({
      self,
      machine: this.machine,
      members: this.members,
      replicas: genesis.replicas,
      content,
      reader,
      isConnected: (nodeId) => host.peer(nodeId) !== undefined,
    });
    this.#serveObjects(reader);
    const alarm = (key: string) => ({ type: 'alarm', key }) as const;
    this.#loop.register<ReplicationInput>(KB_MACHINE, this.machine, alarm);
    this.#loop.register<PeerInput>(PEERS_MACHINE, book, alarm);
  }

  /** Ends everything in order. Safe to call once. */
  async stop(): Promise<void> {
    this.#fetcher.stop();
    await this.host.stop();
    await this.#loop.stop();
    await Promise.all([this.#chain.close(), this.content.close()]);
  }

  /** Ends waits with an error: nothing that they wait for will come any more. */
  fail(error: AegisError): void {
    this.knowledge.fail(error);
  }

  async #start(): Promise<void> {
    const { host } = this;
    this.#listen();
    await host.start();
    await this.#reportLostRoots();
    this.#loop.submit(KB_MACHINE, { type: 'start' });
    this.peers.start(this.#options.settings['node.peers']);
  }

  #loopDeps(clock: ReturnType<typeof systemClock>) {
    const { log, metrics, fatal } = this.#deps;
    return {
      clock,
      log: log.child('loop'),
      metrics,
      commit: (entries: Parameters<ChainStore['commit']>[0]) => this.#chain.commit(entries),
      send: (envelope: Parameters<Host['send']>[0]) => void this.host.send(envelope),
      tell: (machine: string, outcome: Outcome) => this.#tell(machine, outcome),
      blocked: (error: AegisError) => {
        log.write('error', 'the disk takes no more facts', { reason: error.message });
        this.knowledge.fail(error);
      },
      fatal,
    };
  }

  #tell(machine: string, outcome: Outcome): void {
    if (machine === KB_MACHINE) this.knowledge.tell(outcome);
    else this.peers.tell(outcome);
  }

  #listen(): void {
    this.host.onEnvelope(({ from, protocol, body }) => {
      if (protocol === KB_PROTOCOL) this.#loop.submit(KB_MACHINE, { type: 'message', from, body });
    });
    this.host.onPeer(({ type, nodeId }) => {
      this.#loop.submit(KB_MACHINE, { type: type === 'up' ? 'peer-up' : 'peer-down', nodeId });
      if (type === 'down') this.#fetcher.peerGone(nodeId);
    });
  }

  #serveObjects(reader: ObjectReader): void {
    const server = new ObjectServer({
      read: (cids) => reader.sound(cids),
      incomplete: (root) => void this.#mendInBackground(root),
      log: this.#deps.log.child('objects'),
    });
    this.host.handleBulk((from, request, out) => server.answer(from, request, out));
  }

  async #mendInBackground(root: CID): Promise<void> {
    if (!this.machine.hasRoot(root)) return;
    try {
      await this.knowledge.mend(root, undefined);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const fields = { root: root.toString(), reason };
      this.#deps.log.write('warn', 'a damaged root could not be mended', fields);
    }
  }

  /** The facts may say more than the content store has, e.g. when it was set aside as damaged. */
  async #reportLostRoots(): Promise<void> {
    const complete = new Set<string>();
    for (const root of await this.content.roots()) {
      if (root.complete) complete.add(root.cid.toString());
    }
    for (const { version } of this.machine.graph.all()) {
      const { root } = version;
      if (!this.machine.hasRoot(root) || complete.has(root.toString())) continue;
      this.#loop.submit(KB_MACHINE, { type: 'lost', root });
    }
  }
}

interface Entries {
  readonly kb: { table: string; key: string; value: Uint8Array }[];
  readonly peers: { key: string; value: Uint8Array }[];
}

async function readEntries(chain: ChainStore): Promise<Entries> {
  const tables = [TABLES.versions, TABLES.roots, TABLES.replicas];
  const kb = await Promise.all(
    tables.map(async (table) => (await chain.scan(table)).map((row) => ({ table, ...row }))),
  );
  return { kb: kb.flat(), peers: await chain.scan(PEERS_TABLE) };
}

/** Opens both; when one fails, the other is closed again. */
async function openBoth<A extends { close(): Promise<void> }, B extends { close(): Promise<void> }>(
  first: () => Promise<A>,
  second: () => Promise<B>,
): Promise<[A, B]> {
  const [a, b] = await Promise.allSettled([first(), second()]);
  if (a.status === 'fulfilled' && b.status === 'fulfilled') return [a.value, b.value];
  if (a.status === 'fulfilled') await a.value.close();
  if (b.status === 'fulfilled') await b.value.close();
  const failed = [a, b].find((one) => one.status === 'rejected');
  assert(failed !== undefined, 'one of the two has failed');
  throw failed.reason;
}

async function createHost(options: EngineOptions, deps: EngineDeps): Promise<Host> {
  const { settings, genesis, keystore, agent } = options;
  const listen = settings['node.listen'];
  const members = new Set(genesis.custodians.map((member) => member.nodeId));
  const keys = new Set(genesis.custodians.map(({ networkKey }) => hex(networkKey)));
  return await Host.create(
    {
      networkSeed: keystore.networkSeed(),
      listen,
      agent,
      // Nodes of one machine share its loopback address, so nothing can be counted per address.
      profile: listen.every((address) => /^\/ip(4\/127\.|6\/::1\/)/.test(address))
        ? 'loopback'
        : 'network',
      limits: { maxConnections: settings['limits.connections'] },
      hello: {
        clusterId: genesis.clusterId,
        inception: keystore.inceptionBytes,
        admit: (nodeId) => members.has(nodeId),
        expects: (networkKey) => keys.has(hex(networkKey)),
      },
    },
    {
      log: deps.log.child('network'),
      metrics: deps.metrics,
      clock: systemClock(),
      random: systemRandom,
    },
  );
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const placementOf = ({ nodeId, storageWeight, zone }: Member) => ({
  nodeId,
  weight: storageWeight,
  zone,
});
