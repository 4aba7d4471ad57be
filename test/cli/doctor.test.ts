/** `doctor` on real homes, sound and not. */
import { once } from 'node:events';
import { chmod, mkdir, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { checkConsensus } from '../../src/cli/doctor/daemon.ts';
import { checkKeys } from '../../src/cli/doctor/home.ts';
import { checkClock, checkOpenFiles } from '../../src/cli/doctor/machine.ts';
import { checkTor } from '../../src/cli/doctor/tor.ts';
import { VERSION } from '../../src/cli/version.ts';
import Doctor from '../../src/commands/doctor.ts';
import { doctorResult } from '../../src/core/api/contract/config.ts';
import { resolveHome } from '../../src/core/config/home.ts';
import { writeSettings } from '../../src/core/config/settings.ts';
import { Keystore } from '../../src/core/keys/keystore.ts';
import { createBundle } from '../../src/core/model/bundle.ts';
import { createGenesis } from '../../src/core/model/genesis.ts';
import { startNode } from '../../src/core/node/daemon.ts';
import { HomeLock } from '../../src/core/storage/home-lock.ts';
import { harness } from '../core/api/harness.ts';
import { TOR_READY } from '../core/api/memory-tor.ts';
import { PASSPHRASE, type TestHome, withHomes, withoutAegisVariables } from './homes.ts';

beforeAll(withoutAegisVariables);

const DAY_MS = 24 * 60 * 60 * 1000;

/** The command reports what it found by the status of the process, which is ours here. */
let exit: number | undefined;
afterEach(() => {
  process.exitCode = undefined;
});

async function examine(home: TestHome, ...argv: string[]) {
  process.exitCode = undefined;
  const result = await home.json(Doctor, doctorResult, ...argv);
  exit = process.exitCode === undefined ? 0 : Number(process.exitCode);
  process.exitCode = undefined;
  const byId = new Map(result.checks.map((check) => [check.id, check]));
  return { result, check: (id: string) => byId.get(id) };
}

const inHome = (use: (home: TestHome) => Promise<void>): Promise<void> =>
  withHomes(['a'], async (home) => {
    await home.make();
    await use(home);
  });

const pathsOf = (home: TestHome) => resolveHome({ home: home.dir, env: {} });

test('a new home is healthy; what is still to do is a warning', () =>
  inHome(async (home) => {
    const { result, check } = await examine(home);
    expect(result.checks.filter(({ status }) => status === 'fail')).toEqual([]);
    expect(exit).toBe(0);
    expect(check('keys')).toMatchObject({
      status: 'warn',
      hint: expect.stringContaining('--next'),
    });
    expect(check('cluster')).toMatchObject({ status: 'warn' });
    expect(check('daemon')).toMatchObject({ status: 'ok', message: 'none runs' });
    expect(check('databases')).toMatchObject({ status: 'ok', message: 'none yet' });
    expect(check('peers')).toBeUndefined();
    const text = await home.text(Doctor);
    expect(text).toMatch(/^ok {4}node-version {2}Node\.js /);
    expect(text).toMatch(
      /\nwarn {2}cluster {7}this node belongs to no cluster yet\n {20}Found one/,
    );
  }));

test('without a home, that is what is wrong', () =>
  withHomes(['a'], async (home) => {
    const { check, result } = await examine(home);
    expect(check('home')).toMatchObject({ status: 'fail', hint: 'Make one: aegis init' });
    expect({ healthy: result.healthy, exit }).toEqual({ healthy: false, exit: 1 });
  }));

test('open permissions fail, and --fix closes them', () =>
  inHome(async (home) => {
    const { keys } = pathsOf(home);
    await chmod(keys, 0o755);
    await chmod(join(keys, 'network.key.json'), 0o644);
    const found = (await examine(home)).check('permissions');
    expect(found).toMatchObject({ status: 'fail', hint: expect.stringContaining('--fix') });
    expect(found?.message).toContain(`${keys} is open to other users (mode 755`);
    expect(found?.message).toContain('network.key.json is open to other users');
    expect(exit).toBe(1);
    const repaired = (await examine(home, '--fix')).check('permissions');
    expect(repaired).toMatchObject({ status: 'ok', fixed: true });
    expect((await stat(keys)).mode & 0o777).toBe(0o700);
    expect((await stat(join(keys, 'network.key.json'))).mode & 0o777).toBe(0o600);
    expect((await examine(home)).check('permissions')).toMatchObject({ fixed: false });
  }));

test('what a killed daemon left is named, and --fix removes it and nothing else', () =>
  inHome(async (home) => {
    const paths = pathsOf(home);
    const lock = await HomeLock.acquire(paths.lock);
    const note = await readFile(`${paths.lock}.json`, 'utf8');
    await lock.release();
    await writeFile(`${paths.lock}.json`, note);
    await writeFile(paths.adminToken, 'token', { mode: 0o600 });
    expect((await examine(home)).check('socket')).toMatchObject({
      status: 'warn',
      message: expect.stringContaining(paths.adminToken),
    });
    expect((await examine(home, '--fix')).check('socket')).toMatchObject({ fixed: true });
    expect((await examine(home)).check('socket')).toMatchObject({ message: 'the path is free' });
    await expect(stat(paths.keys)).resolves.toBeDefined();
  }));

test('a daemon that holds the home and does not answer is a failure naming its process', () =>
  inHome(async (home) => {
    const lock = await HomeLock.acquire(pathsOf(home).lock);
    onTestFinished(() => lock.release());
    expect((await examine(home)).check('daemon')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining(`process ${process.pid}`),
    });
    // Nothing of a living daemon is removed.
    await examine(home, '--fix');
    expect((await HomeLock.inspect(pathsOf(home).lock)).holder?.pid).toBe(process.pid);
  }));

test('bad settings, a taken port, damaged keys and databases are each named', () =>
  inHome(async (home) => {
    const paths = pathsOf(home);
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const address = `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`;
    await writeSettings(paths, { node: { listen: [address] } });
    await mkdir(paths.data, { recursive: true });
    await writeFile(paths.contentDb, 'this is not a database at all', { mode: 0o600 });
    await writeFile(join(paths.data, 'chain.db.damaged-20260101T000000Z'), '', { mode: 0o600 });
    const { check } = await examine(home);
    expect(check('ports')).toMatchObject({
      status: 'fail',
      message: `cannot listen on ${address}: EADDRINUSE`,
    });
    expect(check('databases')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining(paths.contentDb),
    });
    await unlink(paths.contentDb);
    await writeFile(paths.config, '{"log":{"level":"loud"}}');
    await writeFile(join(paths.keys, 'identity.key.json'), '{}');
    const later = await examine(home);
    expect(later.check('databases')).toMatchObject({
      status: 'warn',
      message: expect.stringContaining('chain.db.damaged-20260101T000000Z'),
    });
    expect(later.check('settings')?.message).toContain('log.level: expected one of');
    expect(later.check('keys')).toMatchObject({ status: 'fail' });
  }));

test('a key that expires soon is a warning, and one that has expired is no more', () =>
  inHome(async (home) => {
    const inspection = await Keystore.inspect(pathsOf(home).keys);
    const { network } = inspection.current.expiresAt;
    expect(checkKeys(inspection, network - 40 * DAY_MS).message).toContain('complete');
    expect(checkKeys(inspection, network - 7 * DAY_MS)).toMatchObject({
      status: 'warn',
      message: expect.stringContaining('the network key expires in 7 days: aegis keys rotate'),
    });
    expect(checkKeys(inspection, network + 2 * DAY_MS)).toMatchObject({
      status: 'warn',
      message: expect.stringContaining('the network key has expired 2 days ago'),
    });
  }));

test('a clock before the birth of the node, or of this program, is wrong', () => {
  const now = Date.UTC(2027, 0, 1);
  expect(checkClock(now - 1, now).status).toBe('ok');
  expect(checkClock(undefined, now).status).toBe('ok');
  expect(checkClock(now + 1, now)).toMatchObject({ id: 'clock', status: 'fail' });
  expect(checkClock(undefined, 0).message).toContain('1970-01-01');
  expect(checkOpenFiles().message).toMatch(/open files/);
});

test('what keeps custodians from agreeing is a warning, a key in two places wrong', async () => {
  await using h = await harness({ home: true });
  const paths = resolveHome({ home: h.directory, env: {} });
  const patient = { paths, env: {}, version: VERSION, fix: false, timeoutMs: 5000 };
  expect(await checkConsensus(patient)).toMatchObject({ status: 'ok' });
  h.backend.chain.status = { connected: 2, doubt: 'its home was copied' };
  const found = await checkConsensus(patient);
  expect([found.status, found.hint]).toEqual(['warn', 'See: aegis consensus status --why']);
  expect(found.message).toMatch(/in doubt: its home was copied; no quorum: 2 of 4/);
  h.backend.chain.status = { keyMissing: 'its consensus key is elsewhere' };
  expect((await checkConsensus(patient)).message).toContain('its consensus key is elsewhere');
  h.backend.chain.status = { keyElsewhere: 'a vote of height 3' };
  expect(await checkConsensus(patient)).toMatchObject({
    status: 'fail',
    message: expect.stringContaining('a vote of height 3'),
  });
});

test('with a daemon, its version and peers are looked at', () =>
  inHome(async (home) => {
    const paths = pathsOf(home);
    const keystore = await Keystore.open({ dir: paths.keys, passphrase: PASSPHRASE });
    const { inceptionBytes: inception, signer, consensusKeys } = keystore;
    const keys = { inception, role: 'custodian', ...consensusKeys } as const;
    const addresses = ['/ip4/127.0.0.1/tcp/4001'];
    const bundle = createBundle({ ...keys, addresses, storageWeight: 1, createdAt: 2 }, signer);
    keystore.close();
    await mkdir(paths.data, { recursive: true, mode: 0o700 });
    const genesis = createGenesis({ name: 'one', createdAt: 3, bundles: [bundle] });
    await writeFile(paths.genesis, genesis, { mode: 0o600 });
    const options = { paths, passphrase: PASSPHRASE, version: VERSION, env: {} };
    const node = await startNode({ ...options, listen: undefined });
    onTestFinished(() => node.stop());
    const { result, check } = await examine(home);
    expect(result.checks.filter(({ status }) => status === 'fail')).toEqual([]);
    expect(check('cluster')).toMatchObject({ status: 'ok', message: 'one, 1 node' });
    expect(check('daemon')?.message).toContain(`ready, version ${VERSION}, process ${process.pid}`);
    expect(check('databases')).toMatchObject({ status: 'ok', message: 'whole' });
    expect(check('peers')).toMatchObject({ status: 'ok', message: '0 of 0 connected' });
    expect(check('consensus')).toMatchObject({
      status: 'ok',
      message: 'custodian, final height 0, 1 of 1 custodians in reach',
    });
  }));

test('Tor: what a running node says of it', async () => {
  await using h = await harness({ home: true });
  const paths = resolveHome({ home: h.directory, env: {} });
  const patient = { paths, env: {}, version: VERSION, fix: false, timeoutMs: 5000 };
  const look = async (change?: Partial<typeof TOR_READY>) => {
    if (change !== undefined) h.backend.tor.now = { ...TOR_READY, ...change };
    return await checkTor(patient, true);
  };
  expect(await look()).toMatchObject({ status: 'ok', message: 'not used: the route is off' });
  expect(await look({})).toMatchObject({ status: 'ok', message: 'require, Tor 0.4.9.11' });
  const connections = { onion: 0, exit: 0, direct: 1 };
  expect(await look({ connections })).toMatchObject({
    status: 'fail',
    message: '1 connections go past Tor',
  });
  expect(await look({ state: 'down', why: 'no Tor answers' })).toMatchObject({
    status: 'fail',
    message: 'no Tor answers',
  });
  const bootstrap = { ...TOR_READY.bootstrap!, percent: 45, summary: 'Asking for relays' };
  expect(await look({ state: 'bootstrapping', bootstrap })).toMatchObject({
    status: 'warn',
    message: expect.stringContaining('45 %: Asking for relays'),
  });
  const services = [{ ...TOR_READY.services[0]!, state: 'failed' as const, why: 'over 256 keys' }];
  expect(await look({ services })).toMatchObject({
    status: 'warn',
    message: 'require, Tor 0.4.9.11; the onion service is failed: over 256 keys',
  });
});

test('Tor without a node: whether there is the one that the route wants', () =>
  inHome(async (home) => {
    expect((await examine(home)).check('tor')).toMatchObject({
      message: 'not used: the route is off',
    });
    const none = join(home.dir, 'no-socket');
    await writeSettings(pathsOf(home), { tor: { route: 'require', control: `unix:${none}` } });
    expect((await examine(home)).check('tor')).toMatchObject({
      status: 'fail',
      message: `no control port of Tor at unix:${none}: there is no socket`,
      hint: expect.stringContaining('--tor-daemon spawn'),
    });
    expect(exit).toBe(1);
    await writeSettings(pathsOf(home), { tor: { daemon: 'spawn', binary: '/bin/false' } });
    expect((await examine(home)).check('tor')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('/bin/false is no tor'),
    });
    await writeSettings(pathsOf(home), { node: { listen: ['/ip4/0.0.0.0/tcp/4001'] } });
    expect((await examine(home)).check('tor')).toMatchObject({
      status: 'fail',
      message: 'the route is require, and node.listen is /ip4/0.0.0.0/tcp/4001: not on loopback',
      hint: 'Take it away: aegis config unset node.listen',
    });
  }));
