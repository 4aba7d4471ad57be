/**
 * Where a node keeps its things. This room resolves paths, checks who may read them and holds the
 * settings. It does not open databases, unlock keys or talk to a daemon.
 */
import { mkdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { AegisError } from '../errors.ts';
import { statIfPresent } from '../files.ts';

/** Every path of a home, absolute. */
export interface HomePaths {
  /** How to name this home to a person: its directory. */
  readonly label: string;
  /** Which cluster of the home; undefined for the one that needs no name. */
  readonly cluster: string | undefined;
  readonly config: string;
  /** Of the home, where `config` is that of a named cluster: its values count below. */
  readonly homeConfig: string | undefined;
  readonly format: string;
  readonly keys: string;
  readonly data: string;
  readonly chainDb: string;
  readonly contentDb: string;
  /** W33: made anew where it is not there. */
  readonly indexDb: string;
  readonly genesis: string;
  /** What this node was invited with, as it was given. */
  readonly invitation: string;
  readonly logs: string;
  readonly logFile: string;
  readonly securityLog: string;
  /** Under which the security log hashes addresses; not beside it, for logs are passed on. */
  readonly securityKey: string;
  readonly run: string;
  readonly lock: string;
  readonly socket: string;
  readonly readToken: string;
  readonly adminToken: string;
  /** From which the paths of its other clusters follow. */
  readonly roots: Roots;
}

export type Environment = Readonly<Record<string, string | undefined>>;

interface HomeQuestion {
  /** Value of `--home`; wins over AEGIS_HOME. */
  readonly home?: string | undefined;
  readonly env: Environment;
  /** J1: a cluster beside the one that needs no name; the caller has checked the name. */
  readonly cluster?: string | undefined;
}

/** Longest path of a unix socket on Linux: `sun_path` has 108 bytes, the last is NUL (unix(7)). */
export const SOCKET_PATH_BYTES_MAX = 107;

/** Touches no disk. `--home`, else AEGIS_HOME, else the XDG base directories. */
export function resolveHome({ home, env, cluster }: HomeQuestion): HomePaths {
  const chosen = home ?? env['AEGIS_HOME'];
  if (chosen !== undefined && chosen !== '') {
    const root = resolve(chosen);
    const at = (name: string): string => join(root, name);
    const one = { config: root, keys: at('keys'), data: at('data'), state: root, run: at('run') };
    return layOut({ ...one, single: root }, cluster);
  }
  const user = env['HOME'] || homedir();
  const config = xdg(env, 'XDG_CONFIG_HOME', join(user, '.config'));
  const data = xdg(env, 'XDG_DATA_HOME', join(user, '.local', 'share'));
  const state = xdg(env, 'XDG_STATE_HOME', join(user, '.local', 'state'));
  const runtime = env['XDG_RUNTIME_DIR'];
  const run = runtime && isAbsolute(runtime) ? join(runtime, 'aegis') : join(state, 'run');
  // Keys are data, not configuration: people publish their ~/.config.
  const keys = join(data, 'keys');
  return layOut({ config, keys, data, state, run, single: undefined }, cluster);
}

/** The same home, in another of its clusters. */
export const withCluster = (paths: HomePaths, cluster: string | undefined): HomePaths =>
  layOut(paths.roots, cluster);

/** The specification says that relative values are to be ignored (XDG Base Directory 0.8). */
function xdg(env: Environment, name: string, fallback: string): string {
  const value = env[name];
  return join(value !== undefined && isAbsolute(value) ? value : fallback, 'aegis');
}

export interface Roots {
  readonly config: string;
  readonly keys: string;
  readonly data: string;
  readonly state: string;
  readonly run: string;
  /** The one directory that holds all of them, if there is one. */
  readonly single: string | undefined;
}

/** Where the named clusters of a home have their data, each in a directory of its name. */
export const clustersDir = ({ roots: { single, data } }: HomePaths): string =>
  join(single ?? data, 'clusters');

/** The keys and the format are the home's; everything else each cluster has for itself. */
function rootsOf(roots: Roots, cluster: string | undefined): Omit<Roots, 'keys' | 'single'> {
  if (cluster === undefined) return roots;
  const inside = (root: string): string => join(root, 'clusters', cluster);
  if (roots.single !== undefined) {
    const root = inside(roots.single);
    return { config: root, data: join(root, 'data'), state: root, run: join(root, 'run') };
  }
  const { config, data, state, run } = roots;
  return { config: inside(config), data: inside(data), state: inside(state), run: inside(run) };
}

function layOut(roots: Roots, cluster: string | undefined): HomePaths {
  const { config, data, state, run } = rootsOf(roots, cluster);
  const logs = join(state, 'logs');
  return {
    label: config,
    cluster,
    config: join(config, 'config.json'),
    homeConfig: cluster === undefined ? undefined : join(roots.config, 'config.json'),
    format: join(roots.config, 'format.json'),
    keys: roots.keys,
    data,
    chainDb: join(data, 'chain.db'),
    contentDb: join(data, 'content.db'),
    indexDb: join(data, 'index.db'),
    genesis: join(data, 'genesis.cbor'),
    invitation: join(data, 'invitation.txt'),
    logs,
    logFile: join(logs, 'node.log'),
    securityLog: join(logs, 'security.log'),
    securityKey: join(data, 'security.key'),
    run,
    // A session manager empties XDG_RUNTIME_DIR at logout, under the feet of a running daemon; a
    // lock in it would vanish and let a second daemon in. So it stands beside what lives on.
    lock: join(state, 'run', 'daemon.lock'),
    socket: join(run, 'api.sock'),
    readToken: join(run, 'read.token'),
    adminToken: join(run, 'admin.token'),
    roots,
  };
}

/** Makes what is missing of a home, private to its user; refuses a home that others can read. */
export async function ensureHome(paths: HomePaths): Promise<void> {
  for (const path of directoriesOf(paths)) await mkdir(path, { recursive: true, mode: 0o700 });
  await checkPrivate(paths);
}

/** @throws {AegisError} `NO_HOME` when nobody has made this home; else as `checkPrivate`. */
export async function requireHome(paths: HomePaths): Promise<void> {
  if ((await statIfPresent(paths.format)) === undefined) {
    throw new AegisError('NO_HOME', `there is no aegis home at ${paths.roots.config}`);
  }
  if (paths.cluster !== undefined && (await statIfPresent(paths.data)) === undefined) {
    throw new AegisError('NO_HOME', `this home has no cluster ${paths.cluster}`, {
      hint: 'See: aegis cluster list. Make it: aegis cluster join FILE --cluster NAME',
    });
  }
  await checkPrivate(paths);
}

/** Every directory of a home, outer ones first, without repetition. */
export function directoriesOf(paths: HomePaths): string[] {
  const { config, format, data, keys, logs, run, lock } = paths;
  const shared = paths.cluster === undefined ? [] : [dirname(format), clustersDir(paths)];
  const all = [...shared, dirname(config), data, dirname(logs), keys, logs, dirname(lock), run];
  return [...new Set(all)];
}

/** The home itself may be a link; what is in it may not. */
export const mayBeLink = ({ roots }: HomePaths, path: string): boolean => path === roots.config;

/**
 * Refuses a home whose directories belong to somebody else, can be read or written by others, or
 * are links: whoever can swap a directory can swap the keys in it.
 *
 * @throws {AegisError} `BAD_CONFIG` naming the path.
 */
async function checkPrivate(paths: HomePaths): Promise<void> {
  for (const path of directoriesOf(paths)) {
    const problem = await directoryProblem(path, mayBeLink(paths, path));
    if (problem !== undefined) {
      throw new AegisError('BAD_CONFIG', problem, { hint: 'Repair it: aegis doctor --fix' });
    }
  }
}

/** What is wrong with a directory of a home, in words; undefined when it is fine or absent. */
export async function directoryProblem(
  path: string,
  isLinkAllowed: boolean,
): Promise<string | undefined> {
  const link = await statIfPresent(path);
  if (link === undefined) return undefined;
  if (link.isSymbolicLink() && !isLinkAllowed) return `${path} is a symbolic link`;
  const stats = link.isSymbolicLink() ? await stat(path) : link;
  if (!stats.isDirectory()) return `${path} is not a directory`;
  const uid = process.getuid?.();
  if (uid !== undefined && stats.uid !== uid) {
    return `${path} belongs to user ${stats.uid}, not to ${uid}, who runs this command`;
  }
  if ((stats.mode & 0o077) !== 0) {
    const mode = (stats.mode & 0o777).toString(8);
    return `${path} is open to other users (mode ${mode}, expected 700)`;
  }
  return undefined;
}

/** @throws {AegisError} `SOCKET_PATH_TOO_LONG`; the kernel would cut the path without a word. */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= SOCKET_PATH_BYTES_MAX) return;
  const limit = `${bytes} bytes, and a unix socket may have ${SOCKET_PATH_BYTES_MAX}`;
  throw new AegisError('SOCKET_PATH_TOO_LONG', `the path ${path} has ${limit}`);
}
