import { chmod, mkdir, mkdtemp, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  checkSocketPath,
  directoriesOf,
  directoryProblem,
  ensureHome,
  requireHome,
  resolveHome,
  SOCKET_PATH_BYTES_MAX,
} from '../../../src/core/config/home.ts';

async function scratch(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'aegis-home-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

test('--home wins over AEGIS_HOME, and holds everything', () => {
  const paths = resolveHome({ home: '/h', env: { AEGIS_HOME: '/other', HOME: '/u' } });
  expect(paths).toMatchObject({
    label: '/h',
    config: '/h/config.json',
    format: '/h/format.json',
    keys: '/h/keys',
    data: '/h/data',
    chainDb: '/h/data/chain.db',
    contentDb: '/h/data/content.db',
    indexDb: '/h/data/index.db',
    genesis: '/h/data/genesis.cbor',
    invitation: '/h/data/invitation.txt',
    logs: '/h/logs',
    logFile: '/h/logs/node.log',
    securityLog: '/h/logs/security.log',
    securityKey: '/h/data/security.key',
    run: '/h/run',
    lock: '/h/run/daemon.lock',
    socket: '/h/run/api.sock',
    readToken: '/h/run/read.token',
    adminToken: '/h/run/admin.token',
  });
  expect(resolveHome({ env: { AEGIS_HOME: '/other' } }).label).toBe('/other');
  expect(resolveHome({ home: 'here', env: {} }).keys).toBe(join(process.cwd(), 'here', 'keys'));
});

test('without either, the XDG base directories are used; relative ones are ignored', () => {
  const bare = resolveHome({ env: { HOME: '/u', AEGIS_HOME: '', XDG_DATA_HOME: 'relative' } });
  expect(bare.config).toBe('/u/.config/aegis/config.json');
  expect(bare.keys).toBe('/u/.local/share/aegis/keys');
  expect(bare.chainDb).toBe('/u/.local/share/aegis/chain.db');
  expect(bare.logFile).toBe('/u/.local/state/aegis/logs/node.log');
  expect(bare.socket).toBe('/u/.local/state/aegis/run/api.sock');
  const env = {
    HOME: '/u',
    XDG_CONFIG_HOME: '/c',
    XDG_DATA_HOME: '/d',
    XDG_STATE_HOME: '/s',
    XDG_RUNTIME_DIR: '/r',
  };
  const full = resolveHome({ env });
  expect([full.config, full.data, full.logs]).toEqual([
    '/c/aegis/config.json',
    '/d/aegis',
    '/s/aegis/logs',
  ]);
  expect(full.socket).toBe('/r/aegis/api.sock');
  // The lock must outlive a logout, which empties the runtime directory.
  expect(full.lock).toBe('/s/aegis/run/daemon.lock');
});

test('a home is made private, whatever the umask says', async () => {
  const paths = resolveHome({ home: join(await scratch(), 'new'), env: {} });
  await expect(requireHome(paths)).rejects.toMatchObject({ code: 'NO_HOME', exit: 66 });
  await ensureHome(paths);
  await ensureHome(paths);
  for (const dir of directoriesOf(paths)) expect((await stat(dir)).mode & 0o777).toBe(0o700);
  await writeFile(paths.format, '{}');
  await requireHome(paths);
});

test('a home that others can enter, or whose parts are links, is refused', async () => {
  const root = await scratch();
  const paths = resolveHome({ home: root, env: {} });
  await ensureHome(paths);
  await writeFile(paths.format, '{}');
  await chmod(paths.keys, 0o750);
  await expect(requireHome(paths)).rejects.toMatchObject({
    code: 'BAD_CONFIG',
    message: expect.stringContaining(`${paths.keys} is open to other users (mode 750`),
    hint: expect.stringContaining('doctor --fix'),
  });
  await chmod(paths.keys, 0o700);
  await rename(paths.keys, join(root, 'moved'));
  await symlink(join(root, 'moved'), paths.keys);
  await expect(ensureHome(paths)).rejects.toMatchObject({
    message: `${paths.keys} is a symbolic link`,
  });
  await rm(paths.keys);
  await writeFile(paths.keys, '');
  await expect(requireHome(paths)).rejects.toMatchObject({
    message: `${paths.keys} is not a directory`,
  });
});

test('the home itself may be a link: operators move homes to other disks', async () => {
  const root = await scratch();
  await mkdir(join(root, 'real'), { mode: 0o700 });
  await symlink(join(root, 'real'), join(root, 'home'));
  const paths = resolveHome({ home: join(root, 'home'), env: {} });
  await ensureHome(paths);
  expect(await directoryProblem(paths.label, false)).toBe(`${paths.label} is a symbolic link`);
  expect(await directoryProblem(join(root, 'absent'), false)).toBeUndefined();
});

test('a socket path has 107 bytes at most', () => {
  checkSocketPath('/'.padEnd(SOCKET_PATH_BYTES_MAX, 'x'));
  const refused = () => checkSocketPath('/'.padEnd(SOCKET_PATH_BYTES_MAX - 1, 'x') + 'ä');
  expect(refused).toThrow('has 108 bytes');
  expect(refused).toThrow(expect.objectContaining({ code: 'SOCKET_PATH_TOO_LONG', exit: 78 }));
});
