import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import {
  DEFAULT_SETTINGS,
  loadSettings,
  SETTING_KEYS,
  variableOf,
  writeSettings,
} from '../../../src/core/config/settings.ts';
import { asKey, checkSetting, parseSetting } from '../../../src/core/config/settings-schema.ts';
import { AegisError } from '../../../src/core/errors.ts';

async function configFile(content?: unknown): Promise<{ dir: string; config: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'aegis-settings-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const config = join(dir, 'config.json');
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  if (content !== undefined) await writeFile(config, text);
  return { dir, config };
}

test('without a file and variables, the defaults hold', async () => {
  const { settings, origins } = await loadSettings(await configFile(), { HOME: '/u' });
  expect(settings).toEqual(DEFAULT_SETTINGS);
  expect(new Set(Object.values(origins))).toEqual(new Set(['default']));
});

test('flag over environment over file over default, and each origin is known', async () => {
  const paths = await configFile({ log: { level: 'debug', files: 3 }, kb: { minReplicas: 4 } });
  const env = { AEGIS_LOG_LEVEL: 'warn', AEGIS_LOG_FILES: '7' };
  const { settings, origins } = await loadSettings(paths, env, { 'log.level': 'error' });
  expect(settings).toEqual({
    ...DEFAULT_SETTINGS,
    'log.level': 'error',
    'log.files': 7,
    'kb.minReplicas': 4,
  });
  expect(origins).toMatchObject({
    'log.level': 'flag',
    'log.files': 'environment',
    'kb.minReplicas': 'config',
    'node.listen': 'default',
  });
});

test('blocks are all kept, or at least 128', () => {
  for (const keep of [0, 128, 129, 1_000_000]) {
    expect(checkSetting('chain.keepBlocks', keep, 'here')).toBe(keep);
  }
  for (const keep of [-1, 1, 127, 128.5]) {
    expect(() => checkSetting('chain.keepBlocks', keep, 'here')).toThrow('expected');
  }
});

test('each key has a variable, and lists are separated by commas', async () => {
  expect(variableOf('node.storageWeight')).toBe('AEGIS_NODE_STORAGE_WEIGHT');
  expect(new Set(SETTING_KEYS.map(variableOf)).size).toBe(SETTING_KEYS.length);
  const env = { AEGIS_NODE_LISTEN: '/ip4/127.0.0.1/tcp/1, /ip6/::1/tcp/2' };
  const { settings } = await loadSettings(await configFile(), env);
  expect(settings['node.listen']).toEqual(['/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/2']);
});

test.each([
  ['{', 'cannot be read as JSON'],
  [[1], 'expected a JSON object'],
  [{ node: { listen: '/ip4/127.0.0.1/tcp/0' } }, 'node.listen: expected a list of multiaddrs'],
  [{ node: { listen: ['localhost:1'] } }, 'node.listen: expected a multiaddr'],
  [{ node: { storageWeight: 1001 } }, 'node.storageWeight: expected a whole number from 0 to 1000'],
  [{ node: { storageWeight: 1.5 } }, 'found 1.5'],
  [{ api: { listen: 'here' } }, 'api.listen: expected host:port'],
  [{ tor: { route: 'maybe' } }, 'tor.route: expected off, prefer or require, found "maybe"'],
  [{ tor: { control: '/run/tor/control' } }, 'tor.control: expected ADDRESS:PORT, an IP address'],
  [{ tor: { control: 'tor.example.org:9051' } }, 'tor.control: expected ADDRESS:PORT, an IP'],
  [
    { tor: { socks: `unix:/${'x'.repeat(107)}` } },
    'tor.socks: expected ADDRESS:PORT, an IP address',
  ],
  [{ tor: { target: '127.0.0.1:4001' } }, 'tor.target: expected auto, tcp or unix:/path'],
  [{ tor: { target: 'unix:/a b' } }, 'tor.target: expected a path without spaces'],
  [{ tor: { binary: 'tor' } }, 'tor.binary: expected an absolute path'],
  [
    { tor: { bridges: ['obfs4 192.0.2.1:1\nControlPort 9'] } },
    'tor.bridges: expected a list of lines',
  ],
  [{ tor: { plugins: ['obfs4 exec /bin/x \\'] } }, 'tor.plugins: expected a list of lines'],
  [{ log: { level: 'loud' } }, 'expected one of debug, info, warn, error, found "loud"'],
  [{ log: { colour: 1 } }, 'log.colour: there is no such setting'],
  [{ log: 3 }, 'log: there is no such setting'],
  [{ __proto__: null, constructor: { name: 'x' } }, 'constructor.name: there is no such setting'],
  [' '.repeat(2 ** 20 + 1), 'which is no config file'],
])('a config file of %.40j is refused with file, key and expectation', async (content, words) => {
  const paths = await configFile(content);
  await expect(loadSettings(paths, {})).rejects.toMatchObject({
    code: 'BAD_CONFIG',
    exit: 78,
    message: expect.stringMatching(new RegExp(`^${paths.config}.*`)),
  });
  await expect(loadSettings(paths, {})).rejects.toThrow(words);
});

test('a bad variable is named', async () => {
  const loading = loadSettings(await configFile(), { AEGIS_KB_MIN_REPLICAS: 'many' });
  await expect(loading).rejects.toThrow('AEGIS_KB_MIN_REPLICAS: kb.minReplicas: expected a whole');
});

test('no config file makes anything else than settings or BAD_CONFIG', async () => {
  const paths = await configFile('');
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.json(), fc.string()), async (text) => {
      await writeFile(paths.config, text);
      const error = await loadSettings(paths, {}).catch((e: unknown) => e);
      if (error instanceof AegisError) expect(error.code).toBe('BAD_CONFIG');
      else expect(error).toHaveProperty('settings');
    }),
    { numRuns: 200 },
  );
});

test('writing changes what is asked and nothing else, privately and in one piece', async () => {
  const paths = await configFile();
  await writeSettings(paths, {
    kb: { minReplicas: 3 },
    node: { storageWeight: 9 },
    log: { level: 'warn' },
  });
  await writeSettings(paths, {
    node: { storageWeight: 5 },
    log: { level: undefined },
  });
  expect(JSON.parse(await readFile(paths.config, 'utf8'))).toEqual({
    kb: { minReplicas: 3 },
    node: { storageWeight: 5 },
  });
  expect((await stat(paths.config)).mode & 0o777).toBe(0o600);
  expect(await readdir(paths.dir)).toEqual(['config.json']);
  const bad = writeSettings(paths, { kb: { minReplicas: 4 }, node: { storageWeight: -1 } });
  await expect(bad).rejects.toMatchObject({ code: 'BAD_CONFIG' });
  expect((await loadSettings(paths, {})).settings['kb.minReplicas']).toBe(3);
});

test('writing does not paper over a mistake that stands in the file', async () => {
  const paths = await configFile({ log: { level: 'loud' } });
  await expect(writeSettings(paths, { log: { files: 2 } })).rejects.toThrow('log.level');
  expect(JSON.parse(await readFile(paths.config, 'utf8'))).toEqual({ log: { level: 'loud' } });
});

test('text from people becomes a value of the right type', () => {
  expect(parseSetting('log.files', '12', 'x')).toBe(12);
  expect(parseSetting('api.listen', '[::1]:80', 'x')).toBe('[::1]:80');
  expect(parseSetting('node.peers', '', 'x')).toEqual([]);
  expect(checkSetting('api.listen', '[::1]:80', 'x')).toBe('[::1]:80');
  expect(() => parseSetting('log.files', '1e1', 'x')).toThrow('whole number');
  expect(() => asKey('log.levl', 'command line')).toThrow('no such setting');
});

test('lines of a torrc keep their commas; semicolons and line breaks separate them', () => {
  const [one, two] = ['snowflake 192.0.2.3:80 fronts=a.example,b.example', 'obfs4 192.0.2.1:443'];
  expect(parseSetting('tor.bridges', `${one}; ${two}\n`, 'here')).toEqual([one, two]);
  expect(() => parseSetting('tor.bridges', 'x'.repeat(2001), 'here')).toThrow('expected');
});
