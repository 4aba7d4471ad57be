/**
 * The Tor that a node uses: one that runs on this machine, or one of its own (docs/tor.md, O8). It
 * makes the control connection and says where SOCKS is; what goes over them is tor-room.ts.
 */
import { join } from 'node:path';
import type { HomePaths } from '../config/home.ts';
import type { Settings } from '../config/settings.ts';
import type { AegisError } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import type { Clock, Log, Random } from '../ports.ts';
import { RotatingFile } from '../telemetry/rotating-file.ts';
import { TorLink } from '../tor/control/link.ts';
import { OwnTor } from '../tor/daemon/own-tor.ts';
import { systemTor } from '../tor/daemon/system-tor.ts';
import { parseEndpoint, type TorEndpoint } from '../tor/endpoint.ts';

export interface WhichTorOptions {
  readonly settings: Settings;
  readonly paths: Pick<HomePaths, 'data' | 'run' | 'logs'>;
  /** O5 */
  readonly usesExits: boolean;
}

export interface WhichTorDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

/** A Tor that has answered. */
export interface UsedTor {
  readonly kind: 'system' | 'spawn';
  readonly link: TorLink;
  readonly control: TorEndpoint;
  readonly socks: TorEndpoint;
  /** Of one of our own. */
  pid(): number | undefined;
  /** What one of our own complains of, or ended of. */
  problem(): AegisError | undefined;
  /** Ends the connection, and a Tor of our own. */
  stop(): Promise<void>;
}

/** @throws {AegisError} `TOR_UNREACHABLE`, `TOR_FAILED`, `TOR_DENIED`, `TOR_TOO_OLD`. */
export async function reachTor(
  options: WhichTorOptions,
  deps: WhichTorDeps,
  signal: AbortSignal,
): Promise<UsedTor> {
  const { 'tor.daemon': daemon } = options.settings;
  return await (daemon === 'spawn' ? startOwnTor : reachSystemTor)(options, deps, signal);
}

/** O8 */
async function startOwnTor(
  { settings, paths, usesExits }: WhichTorOptions,
  deps: WhichTorDeps,
  signal: AbortSignal,
): Promise<UsedTor> {
  const { 'tor.binary': binary, 'tor.torrc': torrc } = settings;
  const output = new RotatingFile({
    path: join(paths.logs, 'tor.log'),
    maxSizeBytes: settings['log.maxSizeBytes'],
    files: settings['log.files'],
  });
  const own = new OwnTor(
    {
      ...{ dataDir: join(paths.data, 'tor'), runDir: paths.run, exits: usesExits },
      ...{ bridges: settings['tor.bridges'], transports: settings['tor.plugins'] },
      ...(binary === undefined ? {} : { binary }),
      ...(torrc === undefined ? {} : { torrc }),
    },
    { ...deps, output },
  );
  const stop = async (): Promise<void> => {
    await own.stop();
    await output.close();
  };
  try {
    const { control, socks, auth } = await own.start(signal);
    const link = new TorLink({ endpoint: control, auth }, deps);
    await started(link, signal);
    return {
      ...{ kind: 'spawn', link, control, socks },
      pid: () => own.status.pid,
      problem: () => own.status.problem,
      stop: () => link.stop().then(stop),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function reachSystemTor(
  { settings }: WhichTorOptions,
  deps: WhichTorDeps,
  signal: AbortSignal,
): Promise<UsedTor> {
  const { 'tor.control': control, 'tor.socks': socks, 'tor.passwordFile': passwordFile } = settings;
  const found = await systemTor(
    {
      ...(control === undefined ? {} : { control: parseEndpoint(control) }),
      ...(socks === undefined ? {} : { socks: parseEndpoint(socks) }),
      ...(passwordFile === undefined ? {} : { passwordFile }),
    },
    signal,
  );
  const link = new TorLink({ endpoint: found.control, auth: found.auth }, deps);
  await started(link, signal);
  const { control: at, socks: proxy } = found;
  const none = () => undefined;
  const stop = () => link.stop();
  return { kind: 'system', link, control: at, socks: proxy, pid: none, problem: none, stop };
}

/** A link whose first attempt has failed would go on trying. */
async function started(link: TorLink, signal: AbortSignal): Promise<void> {
  try {
    await link.start(signal);
  } catch (error) {
    await link.stop();
    throw error;
  }
}

/**
 * Where Tor hands over what comes in. A unix socket here is for one user only, so that a Tor of
 * another user could not open it.
 */
export async function targetOf(
  { settings, paths }: Pick<WhichTorOptions, 'settings' | 'paths'>,
  { kind, socks }: Pick<UsedTor, 'kind' | 'socks'>,
): Promise<TorEndpoint> {
  const wanted = settings['tor.target'];
  if (wanted.startsWith('unix:')) return parseEndpoint(wanted);
  const isOurs = kind === 'spawn' || ('path' in socks && (await isOfThisUser(socks.path)));
  const path = join(paths.run, 'onion.sock');
  const isUnix = wanted === 'auto' && isOurs && PLAIN.test(path);
  return isUnix ? { path } : { host: '127.0.0.1', port: 0 };
}

/** ADD_ONION has no quotes: a path with a space in it could not be written there. */
const PLAIN = /^[\x21-\x7e]+$/;

async function isOfThisUser(path: string): Promise<boolean> {
  return (await statIfPresent(path))?.uid === process.getuid?.();
}
