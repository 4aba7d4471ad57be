/** What the commands of `aegis config` share. The schema loads when it is asked for. */
import type { HomePaths } from '../core/config/home.ts';
import {
  type LoadedSettings,
  loadSettings,
  type Origin,
  SETTING_KEYS,
  type SettingChanges,
  type SettingKey,
  variableOf,
} from '../core/config/settings.ts';
import { AegisError, hasCode } from '../core/errors.ts';
import { nearest } from './suggest.ts';

/** A value as JSON shows it; `null` when there is none. */
export type SettingValue = string | number | string[] | null;

export interface SettingView {
  readonly key: SettingKey;
  readonly value: SettingValue;
  readonly origin: Origin;
  readonly source: string | null;
}

/** @throws {AegisError} `USAGE` with the nearest key. */
export function settingKey(text: string): SettingKey {
  const key = SETTING_KEYS.find((known) => known === text);
  if (key !== undefined) return key;
  const meant = nearest(text, SETTING_KEYS);
  throw new AegisError('USAGE', `there is no setting ${text}`, {
    hint: meant === undefined ? `Known: ${SETTING_KEYS.join(', ')}` : `Did you mean ${meant}?`,
  });
}

/** The value that a person typed. @throws {AegisError} `USAGE` saying what was expected. */
export async function settingValue(key: SettingKey, text: string): Promise<SettingValue> {
  const { parseSetting } = await import('../core/config/settings-schema.ts');
  try {
    return plain(parseSetting(key, text, 'command line'));
  } catch (error) {
    if (!hasCode(error, 'BAD_CONFIG')) throw error;
    throw new AegisError('USAGE', error.message, { cause: error });
  }
}

export async function readSettings(paths: HomePaths): Promise<readonly SettingView[]> {
  const loaded = await loadSettings(paths, process.env);
  return SETTING_KEYS.map((key) => viewOf(key, loaded, paths));
}

export async function readSetting(paths: HomePaths, key: SettingKey): Promise<SettingView> {
  return viewOf(key, await loadSettings(paths, process.env), paths);
}

/** One change in the form that `writeSettings` takes. */
export function changeOf(key: SettingKey, value: unknown): SettingChanges {
  const [section = '', name = ''] = key.split('.');
  return { [section]: { [name]: value } };
}

/** Lists one a line, nothing for nothing: what a script reads. */
export const valueText = (value: SettingValue): string =>
  Array.isArray(value) ? value.join('\n') : String(value ?? '');

function viewOf(key: SettingKey, loaded: LoadedSettings, paths: HomePaths): SettingView {
  const origin = loaded.origins[key];
  const sources: Record<Origin, string | null> = {
    flag: 'command line',
    environment: variableOf(key),
    config: loaded.fromHome.includes(key) ? (paths.homeConfig ?? null) : paths.config,
    default: null,
  };
  return { key, value: plain(loaded.settings[key]), origin, source: sources[origin] };
}

const plain = (value: string | number | readonly string[] | undefined): SettingValue =>
  typeof value === 'object' ? [...value] : (value ?? null);
