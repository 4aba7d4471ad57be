/** `config` on real homes. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import ConfigGet from '../../src/commands/config/get.ts';
import ConfigList from '../../src/commands/config/list.ts';
import ConfigPath from '../../src/commands/config/path.ts';
import ConfigSet from '../../src/commands/config/set.ts';
import ConfigUnset from '../../src/commands/config/unset.ts';
import ConfigValidate from '../../src/commands/config/validate.ts';
import * as config from '../../src/core/api/contract/config.ts';
import { type TestHome, withHomes, withoutAegisVariables } from './homes.ts';

beforeAll(withoutAegisVariables);

const inHome = (use: (home: TestHome) => Promise<void>): Promise<void> =>
  withHomes(['a'], async (home) => {
    await home.make();
    await use(home);
  });

function withVariable(name: string, value: string): void {
  vi.stubEnv(name, value);
  onTestFinished(() => void vi.stubEnv(name, undefined));
}

test('a setting is set, read, listed with its origin, and unset', () =>
  inHome(async (home) => {
    const file = join(home.dir, 'config.json');
    const set = await home.json(ConfigSet, config.configSetResult, 'log.level', 'debug');
    expect(set).toMatchObject({ key: 'log.level', value: 'debug', previous: 'info', file });
    const got = await home.json(ConfigGet, config.configGetResult, 'log.level');
    expect(got).toMatchObject({ value: 'debug', origin: 'config', source: file });
    expect(await home.text(ConfigGet, 'log.level')).toBe('debug\n');
    const { settings } = await home.json(ConfigList, config.configListResult);
    expect(settings.find(({ key }) => key === 'log.level')?.origin).toBe('config');
    const withOrigin = await home.text(ConfigList, '--show-origin');
    expect(withOrigin).toContain(file);
    expect(withOrigin).toMatch(/log\.files +5 +default\n/);
    expect(await home.text(ConfigList)).not.toContain(file);

    const unset = await home.json(ConfigUnset, config.configUnsetResult, 'log.level');
    expect(unset).toMatchObject({ removed: true, value: 'info' });
    const again = await home.json(ConfigUnset, config.configUnsetResult, 'log.level');
    expect(again.removed).toBe(false);
    expect(await home.text(ConfigUnset, 'api.listen')).toBe('api.listen = no value\n');
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ node: { storageWeight: 100 } });
  }));

test('lists are written with commas and read one a line', () =>
  inHome(async (home) => {
    const two = '/ip4/127.0.0.1/tcp/4001,/ip6/::1/tcp/4001';
    expect(await home.text(ConfigSet, 'node.listen', two)).toBe(`node.listen = ${two}\n`);
    expect(await home.text(ConfigGet, 'node.listen')).toBe(`${two.replace(',', '\n')}\n`);
  }));

test('what is no setting, or no value of it, is a mistake of usage', () =>
  inHome(async (home) => {
    const typo = home.text(ConfigGet, 'log.levle');
    await expect(typo).rejects.toMatchObject({ exit: 2, hint: 'Did you mean log.level?' });
    await expect(home.text(ConfigSet, 'log.level', 'loud')).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('expected one of debug, info, warn, error, found "loud"'),
    });
    const none = home.text(ConfigGet, 'api.listen');
    await expect(none).rejects.toMatchObject({ code: 'NOT_FOUND', exit: 66 });
  }));

test('validate names file, setting and expectation; the environment is checked too', () =>
  inHome(async (home) => {
    const fine = await home.json(ConfigValidate, config.configValidateResult);
    expect(fine).toMatchObject({ valid: true, given: 1 });
    expect(await home.text(ConfigValidate)).toContain('config.json: fine (1 given');
    withVariable('AEGIS_LOG_FILES', '0');
    await expect(home.text(ConfigValidate)).rejects.toMatchObject({
      exit: 78,
      message: expect.stringContaining('AEGIS_LOG_FILES: log.files: expected a whole number'),
    });
    withVariable('AEGIS_LOG_FILES', '4');
    await writeFile(join(home.dir, 'config.json'), '{"log":{"level":7}}');
    await expect(home.text(ConfigValidate)).rejects.toMatchObject({
      code: 'BAD_CONFIG',
      message: expect.stringMatching(/config\.json: log\.level: expected one of .*, found 7$/),
    });
  }));

test('a variable wins over the file, and set says so', () =>
  inHome(async (home) => {
    withVariable('AEGIS_LOG_LEVEL', 'error');
    await home.json(ConfigSet, config.configSetResult, 'log.level', 'debug');
    expect(home.printed.join('')).toContain('AEGIS_LOG_LEVEL is set and wins');
    const got = await home.json(ConfigGet, config.configGetResult, 'log.level');
    expect(got).toMatchObject({ value: 'error', source: 'AEGIS_LOG_LEVEL' });
  }));

test('paths and defaults need no home; changes do', () =>
  withHomes(['a'], async (home) => {
    const paths = await home.json(ConfigPath, config.configPathResult);
    expect(paths).toMatchObject({ keys: join(home.dir, 'keys'), data: join(home.dir, 'data') });
    expect(await home.text(ConfigPath)).toBe(`${join(home.dir, 'config.json')}\n`);
    expect(await home.text(ConfigGet, 'log.level')).toBe('info\n');
    for (const argv of [['log.level', 'warn']]) {
      await expect(home.text(ConfigSet, ...argv)).rejects.toMatchObject({ code: 'NO_HOME' });
    }
    await expect(home.text(ConfigUnset, 'log.level')).rejects.toMatchObject({ exit: 66 });
    await expect(home.text(ConfigValidate)).rejects.toMatchObject({ code: 'NO_HOME' });
  }));
