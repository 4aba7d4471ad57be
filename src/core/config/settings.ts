/**
 * What an operator may set, and where a value came from. Cheap to import: the schema library and
 * the writer load when they are needed. Secrets are never settings.
 */
import { readFile } from 'node:fs/promises';
import { AegisError } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import { MIB } from '../units.ts';
import type { Environment, HomePaths } from './home.ts';
import { DEFAULT_KB, type KbSettings } from './kb-settings.ts';
import { DEFAULT_LIMITS, type LimitSettings } from './limit-settings.ts';
import { DEFAULT_SPACE, type SpaceSettings } from './space-settings.ts';
import { DEFAULT_TOR, type TorSettings } from './tor-settings.ts';

/** Z1: the fewest blocks that a node keeps. */
export const KEEP_BLOCKS_MIN = 128;

/** Every setting by its dotted key; `limits.*`, `tor.*` and most of `kb.*` are in files beside. */
export interface Settings extends KbSettings, LimitSettings, SpaceSettings, TorSettings {
  /** Multiaddrs to listen on. @default ['/ip4/127.0.0.1/tcp/0'] */
  readonly 'node.listen': readonly string[];
  /** Multiaddrs of peers to dial besides those of the genesis. @default [] */
  readonly 'node.peers': readonly string[];
  /** Share of the objects that this node keeps, 0 to 1000; 0 keeps none. @default 100 */
  readonly 'node.storageWeight': number;
  /** Least level that is logged. @default 'info' */
  readonly 'log.level': 'debug' | 'info' | 'warn' | 'error';
  /** Size at which the log file is rotated. @default 10 MiB */
  readonly 'log.maxSizeBytes': number;
  /** Rotated files that are kept. @default 5 */
  readonly 'log.files': number;
  /** Copies that `kb put --wait replicated` waits for. @default 2 */
  readonly 'kb.minReplicas': number;
  /** W42: whether `kb put` encrypts what it takes in, unless told. @default 'on' */
  readonly 'kb.seal': 'on' | 'off';
  /** Blocks that are kept, at least 128; 0 keeps all. @default 0 */
  readonly 'chain.keepBlocks': number;
  /**
   * `HEIGHT:HASH` of a header that must be in the history (Y5): trust begins there, and not at the
   * genesis. Off by default.
   */
  readonly 'chain.checkpoint': string | undefined;
  /** `never`: it takes and executes each block that peers have kept (Y4). @default 'auto' */
  readonly 'chain.snapshots': 'auto' | 'never';
  /** The highest protocol version that this node takes part in (V4); by default all it knows. */
  readonly 'protocol.max': number | undefined;
  /** `host:port` for the API over TCP, besides the unix socket. Off by default. */
  readonly 'api.listen': string | undefined;
  /** Path of the socket of a signer that holds the keys this node signs with. Off by default. */
  readonly 'keys.signer': string | undefined;
}

export type SettingKey = keyof Settings;
export type Origin = 'flag' | 'environment' | 'config' | 'default';

/** Changes by section and name, e.g. `{log: {files: 3}}`; undefined removes a value. */
export type SettingChanges = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface LoadedSettings {
  readonly settings: Settings;
  readonly origins: Readonly<Record<SettingKey, Origin>>;
  /** J1: of those from a config file, the ones that stand in that of the home. */
  readonly fromHome: readonly SettingKey[];
}

type ConfigPaths = Pick<HomePaths, 'config'> & Partial<Pick<HomePaths, 'homeConfig'>>;

/** J1: what says something about one cluster, or can be had by one daemon only. */
const OF_ONE_CLUSTER: readonly SettingKey[] = [
  'node.listen',
  'node.peers',
  'api.listen',
  'chain.checkpoint',
];

export const DEFAULT_SETTINGS: Settings = {
  'node.listen': ['/ip4/127.0.0.1/tcp/0'],
  'node.peers': [],
  'node.storageWeight': 100,
  'log.level': 'info',
  'log.maxSizeBytes': 10 * MIB,
  'log.files': 5,
  'kb.minReplicas': 2,
  'kb.seal': 'on',
  'chain.keepBlocks': 0,
  'chain.checkpoint': undefined,
  'chain.snapshots': 'auto',
  'protocol.max': undefined,
  'api.listen': undefined,
  'keys.signer': undefined,
  ...DEFAULT_KB,
  ...DEFAULT_SPACE,
  ...DEFAULT_TOR,
  ...DEFAULT_LIMITS,
};

export const SETTING_KEYS = Object.keys(DEFAULT_SETTINGS) as readonly SettingKey[];
const CONFIG_BYTES_MAX = MIB;

/** The variable that sets a key: `node.storageWeight` is AEGIS_NODE_STORAGE_WEIGHT. */
export const variableOf = (key: SettingKey): string =>
  `AEGIS_${key.replaceAll('.', '_').replaceAll(/[A-Z]/g, '_$&').toUpperCase()}`;

/**
 * All settings; flag > environment > config > default.
 *
 * @param flags values that the command line gives, already of the right type.
 * @throws {AegisError} `BAD_CONFIG` naming the source, the key and what was expected.
 */
export async function loadSettings(
  paths: ConfigPaths,
  env: Environment,
  flags: Partial<Settings> = {},
): Promise<LoadedSettings> {
  const { homeConfig } = paths;
  const config = await readConfig(paths.config);
  const shared = homeConfig === undefined ? undefined : await readConfig(homeConfig);
  const given = SETTING_KEYS.filter((key) => env[variableOf(key)] !== undefined);
  const isBare = config === undefined && shared === undefined && given.length === 0;
  if (isBare && Object.keys(flags).length === 0) {
    return { settings: DEFAULT_SETTINGS, origins: originsOf(() => 'default'), fromHome: [] };
  }
  const schema = await import('./settings-schema.ts');
  const own = config === undefined ? {} : schema.checkConfig(config, paths.config);
  const ofHome = shared === undefined ? {} : schema.checkConfig(shared, homeConfig!);
  const inherited = SETTING_KEYS.filter(
    (key) => ofHome[key] !== undefined && !OF_ONE_CLUSTER.includes(key),
  );
  const fromConfig = { ...pick(ofHome, inherited), ...own };
  const fromEnv = schema.checkEnvironment(env, given);
  const fromFlags = schema.checkFlags(flags);
  return {
    settings: { ...DEFAULT_SETTINGS, ...fromConfig, ...fromEnv, ...fromFlags },
    origins: originsOf((key) => {
      if (fromFlags[key] !== undefined) return 'flag';
      if (fromEnv[key] !== undefined) return 'environment';
      return fromConfig[key] === undefined ? 'default' : 'config';
    }),
    fromHome: inherited.filter((key) => own[key] === undefined),
  };
}

/**
 * What the config file of a home would have to say that has this cluster alone; undefined: nothing.
 * @throws {AegisError} as `loadSettings`.
 */
export async function configAlone(paths: HomePaths): Promise<string | undefined> {
  const { settings, origins } = await loadSettings(paths, {});
  const nested: Record<string, Record<string, unknown>> = {};
  for (const key of SETTING_KEYS.filter((one) => origins[one] === 'config')) {
    const [section = '', name = ''] = key.split('.');
    (nested[section] ??= {})[name] = settings[key];
  }
  return Object.keys(nested).length === 0 ? undefined : JSON.stringify(nested, null, 2);
}

const pick = (from: Partial<Settings>, keys: readonly SettingKey[]): Partial<Settings> =>
  Object.fromEntries(keys.map((key) => [key, from[key]]));

function originsOf(of: (key: SettingKey) => Origin): Record<SettingKey, Origin> {
  return Object.fromEntries(SETTING_KEYS.map((key) => [key, of(key)])) as Record<
    SettingKey,
    Origin
  >;
}

/** The parsed config file; undefined when there is none. Not validated. */
export async function readConfig(path: string): Promise<unknown> {
  const stats = await statIfPresent(path);
  if (stats === undefined) return undefined;
  if (stats.size > CONFIG_BYTES_MAX) {
    throw new AegisError('BAD_CONFIG', `${path} has ${stats.size} bytes, which is no config file`);
  }
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AegisError('BAD_CONFIG', `${path} cannot be read as JSON: ${reason}`, {
      cause: error,
    });
  }
}

/**
 * Changes the config file, and nothing else in it.
 * @throws {AegisError} `BAD_CONFIG` naming the key; `DISK_FULL`; `DENIED`.
 */
export async function writeSettings(
  paths: Pick<HomePaths, 'config'>,
  changes: SettingChanges,
): Promise<void> {
  const { changeConfig } = await import('./settings-file.ts');
  await changeConfig(paths, changes);
}
