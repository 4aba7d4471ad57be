/** The commands of Tor: what they ask of the node, what they print, and with which status. */
import * as v from 'valibot';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { wayTo } from '../../src/cli/kb/fetch.ts';
import { bootstrapText, showsMore } from '../../src/cli/tor.ts';
import { circuitChanges } from '../../src/cli/tor-circuits.ts';
import NodeInfo from '../../src/commands/node/info.ts';
import NodeStatus from '../../src/commands/node/status.ts';
import PeersList from '../../src/commands/peers/list.ts';
import PeersShow from '../../src/commands/peers/show.ts';
import TorCheck from '../../src/commands/tor/check.ts';
import TorCircuits from '../../src/commands/tor/circuits.ts';
import TorNewnym from '../../src/commands/tor/newnym.ts';
import TorOnionClients from '../../src/commands/tor/onion/clients.ts';
import TorOnionRenew from '../../src/commands/tor/onion/renew.ts';
import TorOnionShow from '../../src/commands/tor/onion/show.ts';
import TorRoute from '../../src/commands/tor/route.ts';
import TorStatus from '../../src/commands/tor/status.ts';
import {
  torCircuitLine,
  torCircuits,
  torRoute,
  torStatus,
} from '../../src/core/api/contract/tor.ts';
import { AegisError, hasCode } from '../../src/core/errors.ts';
import { harness } from '../core/api/harness.ts';
import { peer } from '../core/api/memory-backend.ts';
import { ONION, TOR_READY } from '../core/api/memory-tor.ts';
import { run } from './command.ts';
import { withHomes, withoutAegisVariables } from './homes.ts';

beforeAll(withoutAegisVariables);
// The commands tell what they found by the status of the process, which is ours here.
afterEach(() => {
  process.exitCode = undefined;
});

const node = async () => {
  const h = await harness({ home: true });
  const call = async (command: Parameters<typeof run>[0], ...argv: string[]) => {
    process.exitCode = undefined;
    return await run(command, ['--home', h.directory, ...argv]);
  };
  return { h, call, [Symbol.asyncDispose]: () => h[Symbol.asyncDispose]() };
};

test('tor status says how Tor is, and only the route where it is off', async () => {
  await using n = await node();
  expect((await n.call(TorStatus)).stdout).toBe(
    'route  off: directly; peers and the network see where this node is\npeers  1 direct\n',
  );
  n.h.backend.tor.now = TOR_READY;
  const { stdout, result } = await n.call(TorStatus);
  expect(v.is(torStatus.reply, result)).toBe(true);
  for (const line of [
    /^route +require: through Tor or not at all$/m,
    /^tor +0\.4\.9\.11, our own, process 77$/m,
    /^control +unix:\/run\/tor\/control$/m,
    /^bootstrap +done$/m,
    /^guards +guard$/m,
    new RegExp(`^onion +${ONION}:4001, published .*ago, 6 uploads, 2 client keys$`, 'm'),
    /^before +b{56}\.onion:4001, .*until 2026-11-27T12:00:00\.000Z$/m,
    /^peers +1 onion$/m,
  ]) {
    expect(stdout).toMatch(line);
  }
});

test('what keeps Tor is named: how far it is, since when, how long still, why', () => {
  const bootstrap = {
    ...{ percent: 45, tag: 'requesting_descriptors', summary: 'Asking for relay descriptors' },
    ...{ warning: 'No route to \u001b[2Jhost', reason: 'NOROUTE' },
    ...{ startedAt: '2026-11-20T12:00:00.000Z', leftMs: 8000 },
  };
  const at = Date.parse(bootstrap.startedAt) + 12_000;
  const text = bootstrapText({ ...TOR_READY, bootstrap }, at);
  expect(text).toMatch(/^45 %: Asking for relay descriptors, began 12s ago, about 8\.0s left; No/);
  expect(text).not.toContain('\u001b');
});

test('node status, node info and peers say the route', async () => {
  await using n = await node();
  expect((await n.call(NodeStatus)).stdout).toMatch(/^route +off$/m);
  n.h.backend.tor.now = TOR_READY;
  n.h.backend.known[0] = { ...peer(), route: 'onion', lanes: 2 };
  expect((await n.call(NodeStatus)).stdout).toMatch(/^route +require, ready$/m);
  expect((await n.call(NodeInfo)).stdout).toMatch(new RegExp(`^onion +${ONION}$`, 'm'));
  expect((await n.call(PeersList)).stdout).toMatch(/ROUTE[^]*connected +onion/);
  expect((await n.call(PeersShow, 'bob')).stdout).toMatch(/^route +onion, 2 lanes for content$/m);
});

test('only a step that shows more asks', () => {
  const asks = (['off', 'prefer', 'require'] as const).flatMap((before) =>
    (['off', 'prefer', 'require'] as const)
      .filter((after) => showsMore(before, after))
      .map((after) => `${before} ${after}`),
  );
  expect(asks).toEqual(['prefer off', 'require off', 'require prefer']);
});

test('tor route changes the running node; back to where others see it needs a yes', async () => {
  await using n = await node();
  const { routes } = n.h.backend.tor;
  expect((await n.call(TorRoute, 'require')).result).toMatchObject({ changed: true });
  expect(routes).toEqual(['require']);
  expect((await n.call(TorRoute)).stdout).toMatch(/^route +require: .*\nstate +ready\n/);
  const { error } = await n.call(TorRoute, 'prefer', '--no-input');
  expect(error).toMatchObject({ code: 'CONFIRMATION_REQUIRED' });
  expect(String(error)).toContain('go from require to prefer, which shows peers where');
  expect(routes).toEqual(['require']);
  const { stdout, result } = await n.call(TorRoute, 'prefer', '--yes');
  expect(v.is(torRoute.reply, result)).toBe(true);
  expect(stdout).toMatch(/^before +require$/m);
  expect(stdout).toMatch(/^ended +1 connection of before$/m);
});

test('a route that cannot begin says why and stays closed: status 75', async () => {
  await using n = await node();
  n.h.backend.tor.whyNot = 'no Tor answers at 127.0.0.1:9051';
  const { stdout } = await n.call(TorRoute, 'require');
  expect(stdout).toMatch(/^why +no Tor answers at 127\.0\.0\.1:9051$/m);
  expect(process.exitCode).toBe(75);
});

test('without a node tor route reads and writes the setting alone', () =>
  withHomes(['a'], async (home) => {
    await home.make();
    const shown = await home.json(TorRoute, torRoute.reply);
    expect(shown).toMatchObject({ route: 'off', changed: false, state: null });
    expect(await home.text(TorRoute, 'require')).toMatch(
      /^route +require: .*\nbefore +off\nstate +no node runs: it holds from the next start\n/,
    );
    expect((await home.json(TorRoute, torRoute.reply)).route).toBe('require');
    await expect(home.text(TorRoute, 'off', '--no-input')).rejects.toMatchObject({
      code: 'CONFIRMATION_REQUIRED',
    });
    expect((await home.json(TorRoute, torRoute.reply)).route).toBe('require');
    process.env['AEGIS_TOR_ROUTE'] = 'prefer';
    try {
      const { stderr } = await run(TorRoute, ['--home', home.dir, 'require', '--yes']);
      expect(stderr).toContain('AEGIS_TOR_ROUTE says prefer, which the next start takes');
    } finally {
      delete process.env['AEGIS_TOR_ROUTE'];
    }
  }));

test('tor check: a line a verdict, and status 1 for a no only', async () => {
  await using n = await node();
  const { tor } = n.h.backend;
  expect((await n.call(TorCheck)).stdout).toBe(
    'yes      transports    there is no TCP transport\n',
  );
  expect(process.exitCode).toBeUndefined();
  tor.checks = [
    { id: 'sockets', verdict: 'no', message: 'TCP to 192.0.2.7:443', hint: 'Stop the node' },
    { id: 'own-onion', verdict: 'unknown', message: 'not published yet', hint: null },
  ];
  const { stdout } = await n.call(TorCheck);
  expect(process.exitCode).toBe(1);
  expect(stdout).toBe(
    `NO       sockets       TCP to 192.0.2.7:443\n${' '.repeat(23)}Stop the node\n` +
      'unknown  own-onion     not published yet\n',
  );
  tor.checks = tor.checks.slice(1);
  await n.call(TorCheck);
  expect(process.exitCode).toBeUndefined();
  const dialled = await n.call(TorCheck, `${ONION}:4001`);
  expect(dialled.stdout).toMatch(/^reached +as onion, in 812ms$/m);
});

test('the error of a target is that of the command', async () => {
  await using n = await node();
  n.h.backend.tor.check = () =>
    Promise.reject(new AegisError('ONION_NOT_FOUND', 'no descriptor of this address'));
  const { error } = await n.call(TorCheck, `${ONION}:4001`);
  expect(hasCode(error, 'ONION_NOT_FOUND')).toBe(true);
});

test('tor circuits: whom each carries; streams where they are asked for', async () => {
  await using n = await node();
  const { stdout, result } = await n.call(TorCircuits, '--streams');
  expect(v.is(torCircuits.reply, result)).toBe(true);
  expect(stdout).toMatch(/^12 +BUILT +HS_CLIENT_REND HSCR_JOINED +\S+ +bob talk +guard > middle/m);
  expect(stdout).toMatch(/^1 more that Tor has for itself: --all$/m);
  expect(stdout).toMatch(/^ +3 +12 +SUCCEEDED +bob talk +b{56}\.onion:4001$/m);
  const all = (await n.call(TorCircuits, '--all')).stdout;
  expect(all).toMatch(/^13 +BUILT +GENERAL +\S+ +- +guard > middle > rendezvous$/m);
  expect(all).not.toMatch(/STREAM|for itself/);
});

test('tor circuits --watch tells what comes, changes and goes', async () => {
  await using n = await node();
  const { circuits } = await n.h.backend.tor.circuits({ streams: false });
  const [first, second] = circuits;
  const changed = { ...first!, state: 'CLOSED' };
  const told = circuitChanges(circuits, [changed, { ...second!, id: '14' }]);
  expect(told.map(({ type, circuit }) => `${type} ${circuit.id}`)).toEqual([
    'circuit 12',
    'circuit 14',
    'circuit-gone 13',
  ]);
  expect(circuitChanges(circuits, circuits)).toEqual([]);
  let asked = 0;
  const real = n.h.backend.tor.circuits.bind(n.h.backend.tor);
  n.h.backend.tor.circuits = async (query) => {
    asked += 1;
    if (asked === 2) throw new AegisError('STOPPING', 'the node stops');
    return await real(query);
  };
  const { stdout, error } = await n.call(TorCircuits, '--watch', '--json');
  expect(hasCode(error, 'STOPPING')).toBe(true);
  const lines = stdout.trim().split('\n');
  const shown = lines.map((line) => v.parse(torCircuitLine, JSON.parse(line)));
  expect(shown.map(({ type, circuit }) => `${type} ${circuit.id}`)).toEqual([
    'circuit 12',
    'circuit 13',
  ]);
});

test('tor newnym, for one peer or for all', async () => {
  await using n = await node();
  expect((await n.call(TorNewnym)).stdout).toBe('new circuits for what is dialled from now on\n');
  expect((await n.call(TorNewnym, '--peer', 'bob')).stdout).toBe(
    'new circuits for bob; it is dialled anew\n',
  );
});

test('tor onion: the service, whom it lets in, and making it anew', async () => {
  await using n = await node();
  const { stdout } = await n.call(TorOnionShow);
  expect(stdout).toMatch(new RegExp(`^service +${ONION}:4001, published`, 'm'));
  expect(stdout).toMatch(/^clients +2 let in, 2 of 256 client keys$/m);
  expect(stdout).toMatch(/^key epoch +2965, until 2026-11-27T12:00:00\.000Z$/m);
  const clients = (await n.call(TorOnionClients)).stdout;
  expect(clients).toMatch(/^alice +aegis1\S+ +member +1 +-$/m);
  expect(clients).toMatch(/^- +- +invitation +1 +2026-11-27T12:00:00\.000Z\n\n2 let in$/m);
  expect((await n.call(TorOnionRenew, '--cut')).stdout).toMatch(/^circuits closed +3$/m);
  const real = n.h.backend.tor.onion.bind(n.h.backend.tor);
  n.h.backend.tor.onion = async () => ({ ...(await real()), clientAuth: false, clients: [] });
  expect((await n.call(TorOnionClients)).stdout).toContain('tor.clientAuth is off');
  expect((await n.call(TorOnionShow)).stdout).toContain('whoever knows the address');
});

test('a URL goes the way of the route, and never another one', () => {
  const way = (host: string, route: 'off' | 'prefer' | 'require', usesExits: boolean) => {
    try {
      return wayTo(host, { ...TOR_READY, route, usesExits });
    } catch (error) {
      return (error as AegisError).code;
    }
  };
  expect(way('example.org', 'off', false)).toBe('direct');
  expect(way(ONION, 'off', false)).toBe('ROUTE_FORBIDS');
  expect(way(`${ONION.toUpperCase()}.`, 'prefer', false)).toBe('onion');
  expect(way('example.org', 'prefer', true)).toBe('exit');
  expect(way('example.org', 'prefer', false)).toBe('ROUTE_FORBIDS');
  expect(way('example.org', 'require', false)).toBe('ROUTE_FORBIDS');
  expect(way('192.0.2.7', 'require', true)).toBe('exit');
  expect(way(ONION, 'require', false)).toBe('onion');
});
