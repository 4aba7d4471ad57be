/**
 * One running node with its API, from lock to lock. Many nodes can live in one process.
 */
import type { NodeStartResult } from '../api/contract/daemons.ts';
import type { TcpListen } from '../api/server/bind.ts';
import { Server } from '../api/server/server.ts';
import { ensureHome, type HomePaths } from '../config/home.ts';
import type { Settings } from '../config/settings.ts';
import { onionMultiaddr } from '../crypto/onion.ts';
import { AegisError, toAegisError } from '../errors.ts';
import { systemRandom } from '../keys/random.ts';
import { type OpenKeystore, openKeystore } from '../keys/signer-open.ts';
import { HomeLock } from '../storage/home-lock.ts';
import { createLog, type NodeLog } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { ResourceSampler } from '../telemetry/sampler.ts';
import { openSecurityLog, type SecurityLog } from '../telemetry/security-log.ts';
import { NodeBackend, type NodeState } from './backend.ts';
import { Engine } from './engine.ts';
import { EventHub } from './events.ts';
import { serverLimitsOf } from './limits.ts';
import { checkStart, flagsOf, type Opened, openHome, type StartOptions } from './opening.ts';
import { checkRoute, routeOf } from './route.ts';
import { notifySystemd } from './sd-notify.ts';
import { sharingOf } from './shared-home.ts';
import { TorProgress } from './tor-progress.ts';
import { Watch } from './watch.ts';

export { checkHome, checkStart } from './opening.ts';

/** What a start, or a dry run of one, reports. */
export type NodeReady = Omit<NodeStartResult, 'schema' | 'detached' | 'dryRun'>;

export interface RunningNode {
  readonly ready: NodeReady;
  /** Begins the graceful stop; again is harmless. */
  stop(): Promise<void>;
  /** Writes down why the process ends at once: nobody may read what it prints. */
  crashed(error: unknown): void;
  /** Resolves when the stop begins, whoever has asked for it. */
  readonly stopping: Promise<void>;
  /** Resolves when the node has stopped. @throws what made it stop by itself. */
  readonly stopped: Promise<void>;
}

/** Checks all that a start needs, the passphrase too, and starts nothing. */
export async function dryRun(options: StartOptions): Promise<NodeReady> {
  const opened = await open(options);
  const { keystore, close } = await openKeys(options, opened);
  const { settings } = opened;
  const { listen, usesTor } = routeOf(settings['tor.route'], settings);
  const onion = usesTor ? [onionMultiaddr(keystore.current.keys.onionKey)] : [];
  await close();
  return readyOf(options, opened, [...onion, ...listen]);
}

/** O2 is asked before anything is opened. */
async function open(options: StartOptions): Promise<Opened> {
  const opened = await openHome(options.paths, options.env, flagsOf(options));
  checkRoute(opened.settings['tor.route'], opened.settings);
  return opened;
}

/**
 * Starts the node of a home. Resolves when it answers.
 * @throws {AegisError} `ALREADY_RUNNING`, `WRONG_PASSPHRASE`, `KEYSTORE_DAMAGED`, `STORE_DAMAGED`,
 * `PORT_IN_USE`, `BAD_CONFIG`, `HOME_TOO_NEW`, `DISK_FULL`; where the route needs Tor
 * `TOR_UNREACHABLE`, `TOR_FAILED`, `TOR_DENIED`, `TOR_TOO_OLD`.
 */
export async function startNode(options: StartOptions): Promise<RunningNode> {
  await checkStart(options.paths, options.version);
  await ensureHome(options.paths);
  const lock = await HomeLock.acquire(options.paths.lock);
  try {
    const opened = await open(options);
    const { settings } = opened;
    const log = await createLog(
      {
        path: options.paths.logFile,
        level: settings['log.level'],
        maxSizeBytes: settings['log.maxSizeBytes'],
        files: settings['log.files'],
      },
      { now: Date.now },
    );
    try {
      return await new Starting(options, opened, { lock, log }).run();
    } catch (error) {
      const { code, message } = toAegisError(error);
      log.write('error', 'the node could not start', { code, reason: message });
      await log.close();
      throw error;
    }
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Assembles the parts; what has been started is stopped again when a later part fails. */
class Starting {
  readonly #options: StartOptions;
  readonly #opened: Opened;
  readonly #lock: HomeLock;
  readonly #log: NodeLog;
  readonly #hub = new EventHub();
  readonly #stopped = Promise.withResolvers<void>();
  readonly #stopBegun = Promise.withResolvers<void>();
  readonly #undo: (() => Promise<void> | void)[] = [];
  #state: NodeState = 'starting';
  #security: SecurityLog | undefined;
  #stopping: Promise<void> | undefined;
  /** What the node stops for by itself. */
  #reason: AegisError | undefined;

  constructor(options: StartOptions, opened: Opened, parts: { lock: HomeLock; log: NodeLog }) {
    this.#options = options;
    this.#opened = opened;
    this.#lock = parts.lock;
    this.#log = parts.log;
    this.#stopped.promise.catch(() => {});
  }

  async run(): Promise<RunningNode> {
    try {
      return await this.#assemble();
    } catch (error) {
      await this.#takeApart();
      throw error;
    }
  }

  async #assemble(): Promise<RunningNode> {
    const { paths, version, env, vouch = false } = this.#options;
    const { settings, genesis, genesisBytes, self, invited } = this.#opened;
    const startedAt = Date.now();
    const agent = `aegis/${version}`;
    const metrics = createMetrics();
    const security = await openSecurity(paths, settings);
    this.#security = security;
    this.#undo.push(() => security.close());
    const { keystore, close } = await openKeys(this.#options, this.#opened, this.#log);
    this.#undo.push(close);
    const progress = new TorProgress(this.#options);
    // Peers may come before all of the node is there.
    let watch: Watch | undefined;
    const engine: Engine = await Engine.start(
      {
        ...{ paths, settings, genesis, genesisBytes, invited },
        ...{ keystore, agent, vouch, env },
      },
      {
        ...{ log: this.#log, metrics, security },
        fatal: (error) => this.#die(error),
        tooOld: (error) => this.#stopFor(error),
        peersChanged: () => watch?.peersChanged(),
        pathChanged: (path) => void watch?.pathChanged(path),
        consensusMoved: () => watch?.consensusMoved(),
        blockFinal: (block) => watch?.blockFinal(block),
        torChanged: (tor) => {
          progress.tell(tor);
          watch?.torChanged();
        },
      },
    );
    this.#undo.push(() => engine.stop());
    const sampler = new ResourceSampler({}, { metrics });
    this.#undo.push(() => sampler.stop());
    const nodeCreatedAt = keystore.inception.createdAt;
    const backend = new NodeBackend(
      { paths, version, agent, genesis, self, startedAt, nodeCreatedAt },
      {
        engine,
        consensus: engine.consensus,
        intents: engine.intents,
        hub: this.#hub,
        log: this.#log,
        metrics,
        sampler,
        state: () => this.#state,
        stop: () => void this.stop(),
      },
    );
    watch = new Watch({ backend, engine, hub: this.#hub, log: this.#log });
    this.#undo.push(() => watch?.stop());
    const server = await Server.start(
      { backend, paths, limits: serverLimitsOf(settings), ...listenOf(settings) },
      { log: this.#log.child('api'), random: systemRandom, metrics, security },
    );
    this.#undo.push(() => {
      engine.fail(new AegisError('STOPPING', 'the node is stopping'));
      return server.stop();
    });
    this.#state = 'ready';
    watch.peersChanged();
    const ready = readyOf(this.#options, this.#opened, engine.addresses());
    this.#log.write('info', 'the node is ready', { startMs: Date.now() - startedAt });
    notifySystemd(env, 'READY=1', `STATUS=${ready.addresses.join(' ')}`);
    return this.#running(ready);
  }

  #running(ready: NodeReady): RunningNode {
    const { promise: stopping } = this.#stopBegun;
    const { promise: stopped } = this.#stopped;
    const crashed = (error: unknown) => this.#crashed(error);
    return { ready, stop: () => this.stop(), crashed, stopping, stopped };
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** V3: in good order, but not as somebody wanted it: the exit status tells. */
  #stopFor(error: AegisError): void {
    this.#reason ??= error;
    const { code, message } = error;
    this.#log.write('error', 'the node goes no further', { code, reason: message });
    void this.stop();
  }

  async #stop(): Promise<void> {
    this.#state = 'stopping';
    this.#stopBegun.resolve();
    notifySystemd(this.#options.env, 'STOPPING=1');
    this.#log.write('info', 'the node stops');
    await this.#takeApart();
    await this.#log.close();
    await this.#lock.release();
    if (this.#reason === undefined) this.#stopped.resolve();
    else this.#stopped.reject(this.#reason);
  }

  async #takeApart(): Promise<void> {
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      try {
        await undo();
      } catch (error) {
        const reason = toAegisError(error).message;
        this.#log.write('warn', 'a part of the node did not stop cleanly', { reason });
      }
    }
  }

  #crashed(error: unknown): void {
    const { code, message, cause } = toAegisError(error);
    const { stack } = cause instanceof Error ? cause : (error as Partial<Error>);
    this.#log.write('error', 'the node has crashed', { code, reason: message, stack });
    this.#log.flushSync();
  }

  /** State in memory and on disk may differ: nothing may be written or sent any more. */
  #die(error: unknown): void {
    const { code, message } = toAegisError(error);
    this.#log.write('error', 'the node cannot go on', { code, reason: message });
    this.#log.flushSync();
    this.#security?.flushSync();
    this.#stopped.reject(error);
  }
}

/** Rotated as the log is. */
function openSecurity(
  { securityLog: path, securityKey: keyPath }: HomePaths,
  settings: Settings,
): Promise<SecurityLog> {
  const { 'log.maxSizeBytes': maxSizeBytes, 'log.files': files } = settings;
  return openSecurityLog({ path, keyPath, maxSizeBytes, files }, { now: Date.now });
}

function openKeys(
  { paths, passphrase }: StartOptions,
  { settings }: Opened,
  log?: NodeLog,
): Promise<OpenKeystore> {
  const signer = settings['keys.signer'];
  const options = { dir: paths.keys, passphrase, signer, sharing: sharingOf(paths) };
  return openKeystore(options, log === undefined ? {} : { log: log.child('keys') });
}

function readyOf(options: StartOptions, opened: Opened, addresses: readonly string[]): NodeReady {
  const { genesis, self } = opened;
  return {
    nodeId: self.nodeId,
    name: self.name,
    cluster: { clusterId: genesis.clusterId, name: genesis.name },
    addresses: [...addresses],
    socket: options.paths.socket,
    pid: process.pid,
    members: genesis.members.length,
  };
}

/** `host:port`; the form has been checked with the settings. */
function listenOf({ 'api.listen': listen }: Settings): { listen?: TcpListen } {
  if (listen === undefined) return {};
  const colon = listen.lastIndexOf(':');
  const host = listen.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { listen: { host, port: Number(listen.slice(colon + 1)) } };
}
