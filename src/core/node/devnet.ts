/**
 * A whole cluster on this machine: one process and one home a node, all on loopback, or behind a
 * private Tor network.
 *
 * Everything here is what an operator would do by hand on separate machines: make keys, collect
 * bundles, agree on a genesis, start daemons. Nothing is shared between the nodes but the genesis.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { writeFormat } from '../config/format.ts';
import { ensureHome, type HomePaths, resolveHome } from '../config/home.ts';
import { type SettingChanges, writeSettings } from '../config/settings.ts';
import type { KdfCost } from '../crypto/kdf.ts';
import { onionMultiaddr } from '../crypto/onion.ts';
import { AegisError } from '../errors.ts';
import { writeFileAtomic } from '../files.ts';
import { Keystore } from '../keys/keystore.ts';
import { createBundle } from '../model/bundle.ts';
import { createGenesis } from '../model/genesis.ts';
import { readInception } from '../model/identity.ts';
import { isAlive } from '../processes.ts';
import { HomeLock, type LockHolder } from '../storage/home-lock.ts';
import { apartFrom, type Groups, isolate, parseGroups } from './devnet-groups.ts';
import {
  checkTor,
  type DevnetRoute,
  isNetworkUp,
  startNetwork,
  stopNetwork,
  torSettings,
} from './devnet-tor.ts';
import { spawnDaemon } from './spawn.ts';

export interface DevnetNode {
  readonly name: string;
  readonly nodeId: string;
  readonly home: string;
  readonly address: string;
}

interface DevnetFile {
  readonly v: 1;
  readonly name: string;
  readonly nodes: readonly DevnetNode[];
  /** Absent: all nodes may talk to each other. */
  readonly groups?: Groups;
  /** Behind Tor: in a network of its own, or one that somebody else started and ends. */
  readonly tor?: { readonly network: 'own' | 'given' };
}

export type DevnetState = 'running' | 'paused' | 'stopped';

export interface DevnetStatus extends DevnetNode {
  readonly state: DevnetState;
  readonly pid: number | null;
}

export interface DevnetOptions {
  readonly dir: string;
  /** The JavaScript file that is `aegis`. */
  readonly bin: string;
  /** Version of aegis, for the homes that are made. */
  readonly version: string;
}

export interface CreateOptions {
  readonly size: number;
  /** What fails together, node by node. @default each for itself */
  readonly zones?: readonly string[];
  /** Share of the replicas, node by node. @default 100 each */
  readonly storageWeights?: readonly number[];
  /** Behind a private Tor network, or on loopback. @default 'off' */
  readonly route?: DevnetRoute;
  /** What clients of a private network that runs already are told. @default one of its own */
  readonly torrc?: string;
  /** Only tests choose less. @default KDF_COST_DEFAULT */
  readonly kdfCost?: KdfCost;
}

export class Devnet {
  readonly #options: DevnetOptions;
  #file: DevnetFile;

  private constructor(options: DevnetOptions, file: DevnetFile) {
    this.#options = options;
    this.#file = file;
  }

  get nodes(): readonly DevnetNode[] {
    return this.#file.nodes;
  }

  /** Names of the nodes that talk to each other; `undefined` when all do. */
  get groups(): Groups | undefined {
    return this.#file.groups;
  }

  /** Of its own private Tor network; `null` when it has none. */
  get tor(): 'running' | 'stopped' | null {
    if (this.#file.tor?.network !== 'own') return null;
    return isNetworkUp(this.#options.dir) ? 'running' : 'stopped';
  }

  /** @throws {AegisError} `NOT_FOUND` when there is no devnet in `dir`. */
  static open(options: DevnetOptions): Devnet {
    const file = join(options.dir, 'devnet.json');
    if (!existsSync(file)) {
      throw new AegisError('NOT_FOUND', `there is no devnet in ${options.dir}`, {
        hint: 'Make one: aegis devnet up',
      });
    }
    return new Devnet(options, JSON.parse(readFileSync(file, 'utf8')) as DevnetFile);
  }

  static exists(dir: string): boolean {
    return existsSync(join(dir, 'devnet.json'));
  }

  /**
   * Makes keys, bundles, the genesis and the homes. Starts nothing.
   *
   * @throws {AegisError} `EXISTS`; for route `require` what is wrong with the Tor of this machine.
   */
  static async create(options: DevnetOptions, create: CreateOptions): Promise<Devnet> {
    const { dir } = options;
    if (Devnet.exists(dir)) throw new AegisError('EXISTS', `there is a devnet in ${dir} already`);
    const isOnion = create.route === 'require';
    if (isOnion) await checkTor();
    const tor = isOnion ? torSettings(create.torrc) : undefined;
    const network = create.torrc === undefined ? 'own' : 'given';
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const passphrase = randomBytes(18).toString('base64url');
    await writeFileAtomic(join(dir, 'passphrase'), Buffer.from(passphrase), { mode: 0o600 });
    const ports = await freePorts(create.size);
    const { kdfCost } = create;
    const secrets = { passphrase, ...(kdfCost === undefined ? {} : { kdfCost }) };
    const made = [];
    for (const [index, port] of ports.entries()) {
      const storageWeight = create.storageWeights?.[index] ?? 100;
      const zone = create.zones?.[index] ?? `zone${index + 1}`;
      made.push(await makeHome(options, { index, port, storageWeight, zone, secrets, tor }));
    }
    const name = 'devnet';
    const bundles = made.map((one) => one.bundle);
    const genesis = createGenesis({ name, createdAt: Date.now(), bundles });
    for (const { paths } of made) await writeFileAtomic(paths.genesis, genesis, { mode: 0o600 });
    const nodes = made.map((one) => one.node);
    const file: DevnetFile = { v: 1, name, nodes, ...(isOnion ? { tor: { network } } : {}) };
    await writeDevnet(dir, file);
    return new Devnet(options, file);
  }

  /**
   * Starts the nodes that do not run, and before them their private Tor network if they have one.
   * Resolves when all are ready, and those that were started are apart from the other groups again.
   */
  async up(signal?: AbortSignal): Promise<DevnetStatus[]> {
    await this.#startNetwork(signal);
    const stopped = (await this.status()).filter((node) => node.state === 'stopped');
    const started = await Promise.allSettled(stopped.map((node) => this.#start(node, signal)));
    for (const each of started) if (each.status === 'rejected') throw each.reason;
    return await this.status();
  }

  /**
   * Parts the nodes into groups that do not talk to each other, see `parseGroups`. A node that does
   * not run, or is paused, is parted when it comes back.
   *
   * @throws {AegisError} `USAGE`, `NOT_FOUND`; `DAEMON_UNREACHABLE` when no node runs.
   */
  async partition(text: string): Promise<DevnetStatus[]> {
    return await this.#part(parseGroups(text, this.nodes, (which) => this.find(which)));
  }

  /** Lets all nodes talk to each other again. @throws {AegisError} `DAEMON_UNREACHABLE`. */
  async heal(): Promise<DevnetStatus[]> {
    return await this.#part(undefined);
  }

  /**
   * Asks every node to stop and waits; one that does not stop in time is killed. Groups end with
   * it: a daemon remembers nothing of them.
   */
  async down(): Promise<void> {
    await Promise.all(
      this.nodes.map(async (node) => {
        const holder = await this.#holder(node);
        if (holder === undefined) return;
        send(holder, 'SIGTERM');
        if (isPaused(holder.pid)) send(holder, 'SIGCONT');
        if (await isGone(holder, 10_000)) return;
        send(holder, 'SIGKILL');
        await isGone(holder, 5000);
      }),
    );
    if (this.#file.tor?.network === 'own') await stopNetwork(this.#options.dir);
    if (this.groups !== undefined) await this.#remember(undefined);
  }

  /** Removes the directory of a devnet that is down. */
  remove(): void {
    rmSync(this.#options.dir, { recursive: true, force: true });
  }

  status(): Promise<DevnetStatus[]> {
    return Promise.all(this.nodes.map((node) => this.#state(node)));
  }

  /** `kill -9`: what a power cut does to a process. Resolves when it is gone. */
  async kill(which: string): Promise<DevnetStatus> {
    const { node, holder } = await this.#running(which);
    send(holder, 'SIGKILL');
    await isGone(holder, 5000);
    return this.#state(node);
  }

  async pause(which: string): Promise<DevnetStatus> {
    const { node, holder } = await this.#running(which);
    send(holder, 'SIGSTOP');
    // On a busy machine its threads go on for a moment; without /proc nobody can tell.
    await until(() => isPaused(holder.pid), 1000);
    return { ...(await this.#state(node)), state: 'paused' };
  }

  /** Wakes a paused node, starts a stopped one. */
  async resume(which: string): Promise<DevnetStatus> {
    const node = this.find(which);
    const holder = await this.#holder(node);
    if (holder === undefined) {
      await this.#startNetwork();
      await this.#start(node);
    } else {
      send(holder, 'SIGCONT');
      await this.#isolate(node);
    }
    return this.#state(node);
  }

  /** By number from 1, or by name. @throws {AegisError} `NOT_FOUND`. */
  find(which: string): DevnetNode {
    const node = /^\d+$/.test(which)
      ? this.nodes[Number(which) - 1]
      : this.nodes.find((one) => one.name === which);
    if (node === undefined) {
      const names = this.nodes.map((one) => one.name).join(', ');
      throw new AegisError('NOT_FOUND', `this devnet has no node ${which}; it has ${names}`);
    }
    return node;
  }

  async #part(groups: Groups | undefined): Promise<DevnetStatus[]> {
    const nodes = await this.status();
    const awake = nodes.filter((node) => node.state === 'running');
    if (awake.length === 0) {
      throw new AegisError('DAEMON_UNREACHABLE', 'no node of this devnet runs', {
        hint: 'Start them: aegis devnet up',
      });
    }
    // Written first: should one of the calls fail, a repetition, or a restart, completes it.
    await this.#remember(groups);
    await Promise.all(awake.map((node) => this.#isolate(node)));
    return nodes;
  }

  async #remember(groups: Groups | undefined): Promise<void> {
    const { groups: _, ...file } = this.#file;
    this.#file = { ...file, ...(groups === undefined ? {} : { groups }) };
    await writeDevnet(this.#options.dir, this.#file);
  }

  #isolate(node: DevnetNode): Promise<void> {
    return isolate(this.#paths(node), apartFrom(node, this.groups, this.nodes));
  }

  async #startNetwork(signal?: AbortSignal): Promise<void> {
    if (this.#file.tor?.network !== 'own') return;
    const homes = this.nodes.map((node) => this.#paths(node));
    await startNetwork(this.#options.dir, homes, signal);
  }

  async #running(which: string): Promise<{ node: DevnetNode; holder: LockHolder }> {
    const node = this.find(which);
    const holder = await this.#holder(node);
    if (holder === undefined) throw new AegisError('CHECK_FAILED', `${node.name} does not run`);
    return { node, holder };
  }

  #holder(node: DevnetNode): Promise<LockHolder | undefined> {
    return HomeLock.holder(this.#paths(node).lock);
  }

  #paths(node: DevnetNode): HomePaths {
    return resolveHome({ home: node.home, env: {} });
  }

  async #state(node: DevnetNode): Promise<DevnetStatus> {
    const holder = await this.#holder(node);
    if (holder === undefined) return { ...node, state: 'stopped', pid: null };
    return { ...node, state: isPaused(holder.pid) ? 'paused' : 'running', pid: holder.pid };
  }

  async #start(node: DevnetNode, signal?: AbortSignal): Promise<void> {
    const passphrase = readFileSync(join(this.#options.dir, 'passphrase'), 'utf8');
    await spawnDaemon({
      bin: this.#options.bin,
      args: ['--home', node.home],
      passphrase,
      consoleFile: join(this.#paths(node).logs, 'console.log'),
      ...(this.#file.tor === undefined ? {} : { timeoutMs: ONION_START_MS }),
      ...(signal === undefined ? {} : { signal }),
    });
    // The others of another group turn it away until then.
    if (this.groups !== undefined) await this.#isolate(node);
  }
}

/** A node behind Tor waits for its own Tor to know the network. */
const ONION_START_MS = 90_000;

const writeDevnet = (dir: string, file: DevnetFile): Promise<void> =>
  writeFileAtomic(join(dir, 'devnet.json'), Buffer.from(`${JSON.stringify(file, null, 2)}\n`), {
    mode: 0o600,
  });

/** A process that has ended meanwhile needs no signal. */
function send({ pid }: LockHolder, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Waits for the process itself: a daemon gives up its lock a moment before it ends. */
const isGone = (holder: LockHolder, timeoutMs: number): Promise<boolean> =>
  until(() => !isAlive(holder), timeoutMs);

/** @returns whether it came true in time. */
async function until(isTrue: () => boolean, timeoutMs: number): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  while (!isTrue()) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

interface Made {
  readonly node: DevnetNode;
  readonly paths: HomePaths;
  readonly bundle: Uint8Array;
}

interface Secrets {
  readonly passphrase: string;
  readonly kdfCost?: KdfCost;
}

interface HomeWishes {
  readonly index: number;
  readonly port: number;
  readonly storageWeight: number;
  readonly zone: string;
  readonly secrets: Secrets;
  /** Of a node that is an onion service. */
  readonly tor: SettingChanges | undefined;
}

async function makeHome({ dir, version }: DevnetOptions, options: HomeWishes): Promise<Made> {
  const name = `node${options.index + 1}`;
  const home = join(dir, name);
  const paths = resolveHome({ home, env: {} });
  await ensureHome(paths);
  const listen = `/ip4/127.0.0.1/tcp/${options.port}`;
  const { storageWeight, zone, secrets, tor } = options;
  const fields = { dir: paths.keys, name, zone, region: 'local', ...secrets };
  const createdAt = Date.now();
  await Keystore.create({ ...fields, createdAt }, { random: { bytes: (n) => randomBytes(n) } });
  await writeSettings(paths, { node: { listen: [listen], storageWeight }, ...tor });
  await writeFormat(paths, { aegis: version });
  const keystore = await Keystore.open({ dir: paths.keys, passphrase: secrets.passphrase });
  try {
    const { inceptionBytes: inception, signer, nodeId, consensusKeys } = keystore;
    const address = tor === undefined ? listen : onionOf(inception);
    const role = 'custodian' as const;
    const keys = { inception, role, ...consensusKeys };
    const public_ = { ...keys, addresses: [address], storageWeight, createdAt };
    return {
      node: { name, nodeId, home, address },
      paths,
      bundle: createBundle(public_, signer),
    };
  } finally {
    keystore.close();
  }
}

/** O12: where others find the service that it will be. */
const onionOf = (inception: Uint8Array): string =>
  onionMultiaddr(readInception(inception).opened.inception.onionKey);

/** Asks the kernel for free ports, all at once so that none comes twice. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(0, '127.0.0.1', resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Linux tells in /proc; elsewhere a paused process looks like a running one. */
function isPaused(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
  } catch {
    return false;
  }
}
