/**
 * The schema of the settings. Imported lazily: whoever needs only defaults pays nothing for it.
 */
import * as v from 'valibot';
import { AegisError } from '../errors.ts';
import { CHECKPOINT_FORM } from '../model/checkpoint.ts';
import { GIB, KIB } from '../units.ts';
import { type Environment, SOCKET_PATH_BYTES_MAX } from './home.ts';
import { KB_KEYS, KB_RANGES, type KbKey } from './kb-settings.ts';
import { LIMIT_KEYS, LIMIT_RANGES, type LimitKey } from './limit-settings.ts';
import {
  KEEP_BLOCKS_MIN,
  SETTING_KEYS,
  type SettingKey,
  type Settings,
  variableOf,
} from './settings.ts';
import { parseRoom, parseSpan } from './space-settings.ts';
import { TOR_SCHEMAS, torrcLines } from './tor-schema.ts';

const ADDRESSES_MAX = 64;
const integer = (min: number, max: number) =>
  v.pipe(
    v.number(`expected a whole number from ${min} to ${max}`),
    v.check(
      (n) => Number.isSafeInteger(n) && n >= min && n <= max,
      `expected a whole number from ${min} to ${max}`,
    ),
  );
const addresses = v.pipe(
  v.array(
    v.pipe(
      v.string('expected a multiaddr such as /ip4/127.0.0.1/tcp/0'),
      v.regex(/^(\/[\w.:%-]+)+$/, 'expected a multiaddr such as /ip4/127.0.0.1/tcp/0'),
    ),
    'expected a list of multiaddrs',
  ),
  v.maxLength(ADDRESSES_MAX, `expected at most ${ADDRESSES_MAX} multiaddrs`),
);
const ROOM_EXPECTED = 'expected a share such as 80% or a size such as 500GiB';
const room = v.pipe(
  v.string(ROOM_EXPECTED),
  v.check((text) => parseRoom(text) !== undefined, ROOM_EXPECTED),
);
const SPAN_EXPECTED = 'expected a span of time such as 12h, 30d or 1y';
const span = v.pipe(
  v.string(SPAN_EXPECTED),
  v.check((text) => parseSpan(text) !== undefined, SPAN_EXPECTED),
);
const KEEP_BLOCKS_EXPECTED = `expected 0 (all) or a number from ${KEEP_BLOCKS_MIN}`;
/** Far above every version that there may ever be. */
const PROTOCOL_MAX = 1_000_000;
const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

const limits = Object.fromEntries(
  LIMIT_KEYS.map((key) => [key, integer(LIMIT_RANGES[key].min, LIMIT_RANGES[key].max)]),
) as Record<LimitKey, ReturnType<typeof integer>>;

const copies = Object.fromEntries(
  KB_KEYS.map((key) => [key, integer(KB_RANGES[key].min, KB_RANGES[key].max)]),
) as Record<KbKey, ReturnType<typeof integer>>;

const SCHEMAS = {
  'node.listen': addresses,
  'node.peers': addresses,
  'node.storageWeight': integer(0, 1000),
  'log.level': v.picklist(LEVELS, `expected one of ${LEVELS.join(', ')}`),
  'log.maxSizeBytes': integer(64 * KIB, GIB),
  'log.files': integer(1, 100),
  'kb.minReplicas': integer(1, 16),
  'kb.seal': v.picklist(['on', 'off'], 'expected on or off'),
  'kb.quota': room,
  'kb.reserve': room,
  'kb.keepLast': integer(0, 1_000_000),
  'kb.keepFor': span,
  'chain.keepBlocks': v.pipe(
    integer(0, Number.MAX_SAFE_INTEGER),
    // Z1
    v.check((n) => n === 0 || n >= KEEP_BLOCKS_MIN, KEEP_BLOCKS_EXPECTED),
  ),
  'chain.checkpoint': v.pipe(
    v.string('expected HEIGHT:HASH'),
    v.regex(CHECKPOINT_FORM, 'expected HEIGHT:HASH'),
  ),
  'chain.snapshots': v.picklist(['auto', 'never'], 'expected auto or never'),
  'protocol.max': integer(1, PROTOCOL_MAX),
  'api.listen': v.pipe(
    v.string('expected host:port'),
    v.regex(/^(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}$/, 'expected host:port'),
  ),
  'keys.signer': v.pipe(
    v.string('expected an absolute path'),
    v.startsWith('/', 'expected an absolute path'),
    v.check(
      (path) => Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX,
      `expected a path of at most ${SOCKET_PATH_BYTES_MAX} bytes`,
    ),
  ),
  ...copies,
  ...TOR_SCHEMAS,
  ...limits,
} as const satisfies Record<SettingKey, v.GenericSchema>;

const isKey = (key: string): key is SettingKey => Object.hasOwn(SCHEMAS, key);

/** @throws {AegisError} `BAD_CONFIG` naming `source`, the key and what is expected. */
export function checkSetting<K extends SettingKey>(
  key: K,
  value: unknown,
  source: string,
): NonNullable<Settings[K]> {
  const result = v.safeParse(SCHEMAS[key], value);
  if (result.success) return result.output as NonNullable<Settings[K]>;
  const expected = result.issues[0].message;
  throw new AegisError('BAD_CONFIG', `${source}: ${key}: ${expected}, found ${shown(value)}`, {
    details: { source, key, expected },
  });
}

/**
 * Reads the text that a person or the environment gives for a key. Lists are comma-separated;
 * lines of a torrc, which have commas, are separated by semicolons or line breaks.
 */
export function parseSetting<K extends SettingKey>(
  key: K,
  text: string,
  source: string,
): NonNullable<Settings[K]> {
  const schema: v.GenericSchema = SCHEMAS[key];
  if (schema === addresses) {
    const parts = text.split(',').map((part) => part.trim());
    return checkSetting(key, parts.filter(Boolean), source);
  }
  if (schema === torrcLines) {
    const lines = text.split(/[;\n]/).map((line) => line.trim());
    return checkSetting(key, lines.filter(Boolean), source);
  }
  const asNumber = /^-?\d+$/.test(text) ? Number(text) : undefined;
  if (asNumber !== undefined && v.is(schema, asNumber)) return checkSetting(key, asNumber, source);
  return checkSetting(key, text, source);
}

/** Flattens and checks a parsed config file. Unknown keys are refused: they are mostly typos. */
export function checkConfig(config: unknown, path: string): Partial<Settings> {
  const found: Record<string, unknown> = {};
  for (const [key, value] of flatten(config, path)) {
    if (!isKey(key)) throw unknownKey(key, path);
    found[key] = checkSetting(key, value, path);
  }
  return found;
}

export function checkEnvironment(env: Environment, keys: readonly SettingKey[]): Partial<Settings> {
  const found: Record<string, unknown> = {};
  for (const key of keys) {
    const name = variableOf(key);
    found[key] = parseSetting(key, env[name] ?? '', name);
  }
  return found;
}

export function checkFlags(flags: Partial<Settings>): Partial<Settings> {
  const found: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(flags)) {
    if (value !== undefined && isKey(key)) found[key] = checkSetting(key, value, 'command line');
  }
  return found;
}

/** @throws {AegisError} `BAD_CONFIG` with the nearest known key as hint. */
export function asKey(text: string, source: string): SettingKey {
  if (isKey(text)) return text;
  throw unknownKey(text, source);
}

function unknownKey(key: string, source: string): AegisError {
  return new AegisError('BAD_CONFIG', `${source}: ${key}: there is no such setting`, {
    hint: `Known settings: ${SETTING_KEYS.join(', ')}`,
    details: { source, key },
  });
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function flatten(config: unknown, path: string): [string, unknown][] {
  if (!isObject(config)) {
    throw new AegisError('BAD_CONFIG', `${path}: expected a JSON object`);
  }
  return Object.entries(config).flatMap(([section, value]): [string, unknown][] =>
    isObject(value)
      ? Object.entries(value).map(([name, inner]) => [`${section}.${name}`, inner])
      : [[section, value]],
  );
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
