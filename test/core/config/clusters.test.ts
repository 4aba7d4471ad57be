import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  allClustersOf,
  clusterNamed,
  clustersOf,
  forgottenPath,
  isForgotten,
  nameOfCluster,
} from '../../../src/core/config/clusters.ts';
import {
  directoriesOf,
  ensureHome,
  type HomePaths,
  requireHome,
  resolveHome,
  withCluster,
} from '../../../src/core/config/home.ts';
import { configAlone, loadSettings, writeSettings } from '../../../src/core/config/settings.ts';

async function scratch(): Promise<HomePaths> {
  const dir = await mkdtemp(join(tmpdir(), 'aegis-clusters-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const paths = resolveHome({ home: join(dir, 'home'), env: {} });
  await ensureHome(paths);
  await writeFile(paths.format, '{}');
  return paths;
}

async function found(paths: HomePaths, cluster: string | undefined): Promise<HomePaths> {
  const one = withCluster(paths, cluster);
  await ensureHome(one);
  await writeFile(one.genesis, 'genesis');
  return one;
}

test('a named cluster has its own place for everything but the keys and the format', () => {
  const paths = resolveHome({ home: '/h', env: {}, cluster: 'office' });
  expect(paths).toMatchObject({
    label: '/h/clusters/office',
    config: '/h/clusters/office/config.json',
    homeConfig: '/h/config.json',
    format: '/h/format.json',
    keys: '/h/keys',
    genesis: '/h/clusters/office/data/genesis.cbor',
    chainDb: '/h/clusters/office/data/chain.db',
    logFile: '/h/clusters/office/logs/node.log',
    lock: '/h/clusters/office/run/daemon.lock',
    socket: '/h/clusters/office/run/api.sock',
  });
  const env = { HOME: '/u', XDG_RUNTIME_DIR: '/r' };
  const bare = resolveHome({ env, cluster: 'office' });
  expect(bare).toMatchObject({
    config: '/u/.config/aegis/clusters/office/config.json',
    format: '/u/.config/aegis/format.json',
    keys: '/u/.local/share/aegis/keys',
    chainDb: '/u/.local/share/aegis/clusters/office/chain.db',
    logFile: '/u/.local/state/aegis/clusters/office/logs/node.log',
    socket: '/r/aegis/clusters/office/api.sock',
  });
});

test('from each cluster of a home one comes to the others', () => {
  for (const home of ['/h', undefined]) {
    const env = { HOME: '/u' };
    const paths = resolveHome({ home, env });
    const work = resolveHome({ home, env, cluster: 'office' });
    expect(withCluster(paths, 'office')).toEqual(work);
    expect(withCluster(work, undefined)).toEqual(paths);
    expect(withCluster(work, 'play')).toEqual(resolveHome({ home, env, cluster: 'play' }));
  }
});

test('names are short, plain, and no paths', () => {
  expect([undefined, '', 'default'].map(clusterNamed)).toEqual([undefined, undefined, undefined]);
  expect(clusterNamed('a-1')).toBe('a-1');
  for (const name of ['..', 'A', '-a', 'a/b', 'a.b', 'a'.repeat(33), 'ä', ' ']) {
    expect(() => clusterNamed(name), name).toThrow(expect.objectContaining({ code: 'USAGE' }));
  }
});

test('clusters of a home have a genesis; one that is left out counts no more', async () => {
  const paths = await scratch();
  expect(await allClustersOf(paths)).toEqual([]);
  const work = await found(paths, 'office');
  await found(paths, 'play');
  await mkdir(join(dirname(work.label), 'No cluster'));
  await ensureHome(withCluster(paths, 'empty'));
  expect((await allClustersOf(work)).map(nameOfCluster)).toEqual(['office', 'play']);
  await found(paths, undefined);
  expect((await allClustersOf(work)).map(nameOfCluster)).toEqual(['default', 'office', 'play']);
  await writeFile(forgottenPath(work), '');
  expect(await isForgotten(work)).toBe(true);
  expect((await clustersOf(work)).map(nameOfCluster)).toEqual(['default', 'play']);
  expect(await allClustersOf(work)).toHaveLength(3);
});

test('nobody works in a cluster that is not there', async () => {
  const paths = await scratch();
  const work = withCluster(paths, 'office');
  await expect(requireHome(work)).rejects.toMatchObject({
    code: 'NO_HOME',
    message: 'this home has no cluster office',
  });
  await ensureHome(work);
  await requireHome(work);
  expect(directoriesOf(paths)).not.toContain(dirname(work.label));
  expect(directoriesOf(work)).toContain(paths.roots.config);
});

test('settings of a cluster go over those of its home, but for addresses and peers', async () => {
  const paths = await scratch();
  const work = await found(paths, 'office');
  expect((await loadSettings(work, {})).fromHome).toEqual([]);
  await writeSettings(paths, {
    node: { listen: ['/ip4/127.0.0.1/tcp/4001'], peers: [], storageWeight: 7 },
    log: { level: 'warn', files: 9 },
    api: { listen: '127.0.0.1:4002' },
  });
  await writeSettings(work, { log: { files: 3 } });
  const { settings, origins, fromHome } = await loadSettings(work, {});
  expect(settings).toMatchObject({
    'node.listen': ['/ip4/127.0.0.1/tcp/0'],
    'api.listen': undefined,
    'node.storageWeight': 7,
    'log.level': 'warn',
    'log.files': 3,
  });
  expect(origins).toMatchObject({ 'node.listen': 'default', 'log.level': 'config' });
  expect(fromHome).toEqual(['node.storageWeight', 'log.level']);
  expect((await loadSettings(paths, {})).fromHome).toEqual([]);
  expect(JSON.parse((await configAlone(work))!)).toEqual({
    node: { storageWeight: 7 },
    log: { level: 'warn', files: 3 },
  });
  expect(await configAlone(await found(await scratch(), 'office'))).toBeUndefined();
});
