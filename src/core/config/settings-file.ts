/**
 * Writes the config file. Imported lazily: the library behind it costs more than most commands.
 * The file is checked as a whole before and after, so a change never hides an older mistake.
 */
import { dirname, parse } from 'node:path';
import Conf from 'conf';
import { AegisError, toAegisError } from '../errors.ts';
import type { HomePaths } from './home.ts';
import { readConfig, type SettingChanges } from './settings.ts';
import { checkConfig } from './settings-schema.ts';

type Sections = Record<string, Record<string, unknown>>;

/** @throws {AegisError} `BAD_CONFIG`, `DISK_FULL`, `DENIED`; the file is then as it was. */
export async function changeConfig(
  paths: Pick<HomePaths, 'config'>,
  changes: SettingChanges,
): Promise<void> {
  const current = (await readConfig(paths.config)) ?? {};
  checkConfig(current, paths.config);
  const next: Sections = structuredClone(current as Sections);
  for (const [section, values] of Object.entries(changes)) {
    const target = next[section] ?? {};
    for (const [name, value] of Object.entries(values ?? {})) {
      if (value === undefined) delete target[name];
      else target[name] = value;
    }
    if (Object.keys(target).length === 0) delete next[section];
    else next[section] = target;
  }
  checkConfig(next, paths.config);
  write(paths.config, next);
}

function write(path: string, content: Sections): void {
  const { name, ext } = parse(path);
  try {
    const file = new Conf<Sections>({
      cwd: dirname(path),
      configName: name,
      fileExtension: ext.slice(1),
      configFileMode: 0o600,
    });
    file.store = content;
  } catch (error) {
    const known = toAegisError(error);
    if (known.code !== 'BUG') throw known;
    throw new AegisError('BAD_CONFIG', `cannot write ${path}: ${known.message}`, { cause: error });
  }
}
