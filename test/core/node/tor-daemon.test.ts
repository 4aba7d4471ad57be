/**
 * Daemons whose route needs Tor, and a Tor that is there, is not, or goes and comes back. It is a
 * fake: what it hides and how circuits behave is not looked at here (test/tor does, over real Tor).
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Client } from '../../../src/core/api/client/client.ts';
import type { Reply } from '../../../src/core/api/contract/endpoints.ts';
import type { HomePaths } from '../../../src/core/config/home.ts';
import { type RunningNode, startNode } from '../../../src/core/node/daemon.ts';
import { HomeLock } from '../../../src/core/storage/home-lock.ts';
import { endpointText, parseEndpoint } from '../../../src/core/tor/endpoint.ts';
import { FakeTor } from '../../helpers/fake-tor.ts';
import { makeCluster, PASSPHRASE } from './support/homes.ts';

let dir: string;
let running: RunningNode[];
let tor: FakeTor;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-tor-'));
  running = [];
  tor = await FakeTor.start();
});
afterEach(async () => {
  await Promise.all(running.map((node) => node.stop()));
  await tor.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function start(
  paths: HomePaths,
  env: NodeJS.ProcessEnv = {},
  onTor?: (text: string) => void,
) {
  const control = endpointText(tor.control);
  const node = await startNode({
    ...{ paths, passphrase: PASSPHRASE, version: '0.0.0' },
    env: { AEGIS_TOR_ROUTE: 'require', AEGIS_TOR_CONTROL: control, ...env },
    ...(onTor === undefined ? {} : { onTor }),
  });
  running.push(node);
  return node;
}

const clientOf = (paths: HomePaths): Client =>
  new Client({
    socket: paths.socket,
    token: readFileSync(paths.adminToken, 'utf8').trim(),
    timeoutMs: 20_000,
  });

/** What ADD_ONION asked for is where the fake leads to, as Tor does with a descriptor. */
function publish(): void {
  for (const [id, line] of tor.onions) {
    const target = / Port=4001,(\S+)/.exec(line)?.[1];
    if (target !== undefined) tor.targets.set(`${id}.onion:4001`, parseEndpoint(target));
  }
}

type Status = Reply<'tor.status'>;

/** The status when it holds for the first time. */
const until = (client: Client, holds: (status: Status) => boolean): Promise<Status> =>
  vi.waitFor(
    async () => {
      const status = await client.call('tor.status');
      expect(holds(status)).toBe(true);
      return status;
    },
    { timeout: 20_000, interval: 20 },
  );

const connected = (client: Client, count: number) =>
  client.call('node.wait', { query: { for: `peers=${count}` } });

describe('a node whose route is require', { timeout: 60_000 }, () => {
  test('does not start without Tor, or with one that refuses it', async () => {
    const [paths] = await makeCluster(dir, 'a');
    const nowhere = { AEGIS_TOR_CONTROL: `unix:${join(dir, 'nothing')}` };
    await expect(start(paths!, nowhere)).rejects.toMatchObject({ code: 'TOR_UNREACHABLE' });
    tor.fault = 'refuses';
    await expect(start(paths!)).rejects.toMatchObject({ code: 'TOR_DENIED' });
    tor.fault = 'none';
    await expect(start(paths!, { AEGIS_API_LISTEN: '0.0.0.0:7' })).rejects.toMatchObject({
      code: 'BAD_CONFIG',
    });
    // J6: as the daemon of another cluster of this home holds it.
    const lock = await HomeLock.acquire(join(paths!.roots.state, 'run', 'onion.lock'));
    await expect(start(paths!)).rejects.toMatchObject({
      code: 'BAD_CONFIG',
      message: 'another cluster of this home uses its onion address',
    });
    // The keys are the same: members of both clusters would know where the other one's node is.
    const open = await start(paths!, { AEGIS_TOR_ROUTE: 'off' });
    await open.stop();
    expect(readFileSync(paths!.logFile, 'utf8')).toContain('this one shows where it is');
    await lock.release();
    await start(paths!);
  });

  test('is found by the chain alone, and reached through its onion service only', async () => {
    const homes = await makeCluster(dir, 'a', 'b');
    for (const paths of homes) await start(paths);
    publish();
    const [a, b] = homes.map(clientOf);
    await Promise.all([connected(a!, 1), connected(b!, 1)]);
    const { peers } = await a!.call('peers.list');
    expect(peers).toMatchObject([{ name: 'b', state: 'connected', route: 'onion' }]);
    const { addresses, tor: summary } = await a!.call('node.status');
    expect(addresses).toEqual([expect.stringMatching(/^\/onion3\/[a-z2-7]{56}:4001$/)]);
    expect(summary).toMatchObject({ route: 'require', state: 'ready' });
    // O11: what Tor hears of peers says nothing of them.
    expect(tor.requests.length).toBeGreaterThan(0);
    for (const { host, port, credentials } of tor.requests) {
      expect(`${host}:${port}`).toMatch(/^[a-z2-7]{56}\.onion:4001$/);
      expect(credentials).toMatch(/^[0-9a-f]{32}:\d+\.\d+$/);
    }
    // And what Tor knows of its circuits is told as what it is for.
    const [username = ''] = tor.requests[0]!.credentials!.split(':');
    const relay = `$${'A'.repeat(40)}~guard`;
    const onion = tor.requests[0]!.host.slice(0, 56);
    tor.circuits = [
      `7 BUILT ${relay} PURPOSE=HS_CLIENT_REND HS_STATE=HSCR_JOINED REND_QUERY=${onion} ` +
        `SOCKS_USERNAME="${username}"`,
      `8 BUILT ${relay} PURPOSE=GENERAL SOCKS_USERNAME="somebody else"`,
    ];
    tor.streams = [`9 SUCCEEDED 7 ${onion}.onion:4001`];
    const dialler = tor.onions.has(onion) && addresses[0]!.includes(onion) ? b! : a!;
    const shown = await dialler.call('tor.circuits', { query: { streams: true } });
    const peer = { name: dialler === a ? 'b' : 'a' };
    expect(shown.circuits).toMatchObject([
      { id: '7', peer, lane: 'talk', onion: `${onion}.onion`, path: [{ name: 'guard' }] },
      { id: '8', peer: null, lane: null },
    ]);
    expect(shown.streams).toMatchObject([{ id: '9', circuit: '7', peer, lane: 'talk' }]);
    const { checks } = await a!.call('tor.check', { body: {} });
    const verdicts = Object.fromEntries(checks.map(({ id, verdict }) => [id, verdict]));
    expect(verdicts).toMatchObject({ transports: 'yes', listeners: 'yes', announced: 'yes' });
    expect(verdicts).toMatchObject({ sockets: 'yes', 'socks-errors': 'yes' });
    expect(verdicts).toMatchObject({ control: 'yes', 'own-onion': 'yes' });
  });

  test.runIf(process.platform === 'linux')(
    'sees what goes past Tor in its process, as long as it is there (O21)',
    async () => {
      const [paths] = await makeCluster(dir, 'a');
      await start(paths!);
      const a = clientOf(paths!);
      const check = async (id: string) => {
        const { checks } = await a.call('tor.check', { body: {} });
        return checks.find((one) => one.id === id)?.verdict;
      };
      expect([await check('sockets'), await check('listeners')]).toEqual(['yes', 'yes']);
      const udp = createSocket('udp4').bind(0, '127.0.0.1');
      await once(udp, 'listening');
      expect(await check('sockets')).toBe('no');
      udp.close();
      const server = createServer().listen(0, '0.0.0.0');
      await once(server, 'listening');
      expect(await check('listeners')).toBe('no');
      server.close();
      // A peer on loopback that is dialled directly is no less direct.
      const peer = createServer().listen(0, '127.0.0.1');
      await once(peer, 'listening');
      expect(await check('sockets')).toBe('yes');
      const dial = connect((peer.address() as { port: number }).port, '127.0.0.1');
      await once(dial, 'connect');
      expect(await check('sockets')).toBe('no');
      dial.destroy();
      peer.close();
    },
  );

  test('waits for a Tor that is not ready, and dials nobody meanwhile', async () => {
    await tor.stop();
    tor = await FakeTor.start({ fault: 'stuck' });
    const homes = await makeCluster(dir, 'a', 'b');
    const said: string[] = [];
    await start(homes[0]!, {}, (text) => said.push(text));
    await start(homes[1]!);
    publish();
    const [a] = homes.map(clientOf);
    const status = await until(a!, ({ state }) => state === 'bootstrapping');
    expect(status).toMatchObject({ bootstrap: { percent: 14, reason: 'CONNECTREFUSED' } });
    expect(status).toMatchObject({ why: expect.stringContaining('14 %'), hasCircuits: null });
    expect(said).toContain('Tor: 14 %, Handshaking with a relay (Connection refused)');
    expect(tor.requests).toEqual([]);
    tor.fault = 'none';
    tor.phase = 'NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"';
    tor.emit(`STATUS_CLIENT ${tor.phase}`);
    tor.emit('STATUS_CLIENT NOTICE CIRCUIT_ESTABLISHED');
    await connected(a!, 1);
    expect(said.at(-1)).toBe('Tor: it is ready');
  });

  test('is closed while Tor is away, and comes back with it (O3)', async () => {
    const homes = await makeCluster(dir, 'a', 'b');
    for (const paths of homes) await start(paths);
    publish();
    const [a, b] = homes.map(clientOf);
    await connected(a!, 1);
    tor.cut();
    await tor.restart();
    const isBack = ({ state, services }: Status): boolean =>
      state === 'ready' && services[0]?.state === 'published';
    await Promise.all([until(a!, isBack), until(b!, isBack)]);
    publish();
    await connected(a!, 1);
  });

  test('changes its route while it runs; one that cannot begin leaves it closed (O6)', async () => {
    const [paths] = await makeCluster(dir, 'a');
    await start(paths!);
    const a = clientOf(paths!);
    const change = (mode: 'off' | 'prefer' | 'require') => a.call('tor.route', { body: { mode } });
    expect(await change('off')).toMatchObject({ before: 'require', changed: true, state: 'off' });
    expect(JSON.parse(readFileSync(paths!.config, 'utf8'))).toEqual({ tor: { route: 'off' } });
    expect((await a.call('node.status')).addresses).toEqual([expect.stringMatching(/^\/ip4\/127/)]);
    await expect(a.call('tor.circuits', { query: {} })).rejects.toMatchObject({
      code: 'ROUTE_FORBIDS',
    });
    tor.fault = 'refuses';
    const failed = await change('require');
    expect(failed).toMatchObject({ route: 'require', changed: true, state: 'down' });
    expect(failed.why).not.toBeNull();
    expect(await a.call('tor.status')).toMatchObject({ route: 'require', services: [] });
    expect((await a.call('tor.check', { body: {} })).checks[0]).toMatchObject({
      message: 'the transports in this process: none',
    });
    // `prefer` has direct connections, whatever becomes of Tor.
    expect((await change('prefer')).why).not.toBeNull();
    const { addresses } = await a.call('node.status');
    expect(addresses).toContainEqual(expect.stringMatching(/^\/ip4\/127/));
    await change('require');
    tor.fault = 'none';
    // It is tried again by itself.
    await until(a, ({ state }) => state === 'ready');
    expect(await change('require')).toMatchObject({ changed: false, why: null });
  });
});
