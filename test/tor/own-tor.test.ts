/**
 * Goal: a Tor of our own works in a network: it keeps its guards, lets through what its settings
 * say, goes through bridges and plugins, and never outlives us.
 * Setup: the private network that all tests share; an echo server behind its exits.
 * Check: its state file, SOCKS replies, what a plugin has seen.
 */
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ControlClient } from '../../src/core/tor/control/client.ts';
import type { OwnTor, RunningTor } from '../../src/core/tor/daemon/own-tor.ts';
import { systemTor } from '../../src/core/tor/daemon/system-tor.ts';
import { socksConnect } from '../../src/core/tor/socks/connect.ts';
import { isGone, makeRig, named, type Rig, until } from '../core/tor/daemon/support.ts';
import { describeOverTor, torNetwork } from './support/network.ts';

let rig: Rig;
let echo: Server;
beforeEach(async () => {
  rig = makeRig();
  echo = createServer((socket) => void socket.on('error', () => {}).pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await rig.end();
  echo.close();
});

const isReady = (): boolean => rig.lines.some((line) => line.includes('Bootstrapped 100%'));

/** Starts it and waits for circuits. */
async function ready(own: OwnTor): Promise<RunningTor> {
  rig.lines.length = 0;
  const running = await own.start();
  await until(isReady);
  return running;
}

async function throughExit({ socks }: RunningTor): Promise<string> {
  const { port } = echo.address() as AddressInfo;
  const target = { proxy: socks, host: '127.0.0.1', port };
  const socket = await socksConnect(target, { timeoutMs: 60_000 });
  const answer = new Promise<string>((resolve) => {
    socket.once('data', (bytes: Buffer) => resolve(bytes.toString()));
  });
  socket.resume();
  socket.write('there and back');
  const text = await answer;
  socket.destroy();
  return text;
}

/** The guards that tor has chosen, as its state file names them. */
const guards = (): string[] =>
  readFileSync(join(rig.dir, 'data/state'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Guard '))
    .map((line) => /rsa_id=(\w+)/.exec(line)![1]!)
    .toSorted();

describeOverTor('a Tor of our own in a network', () => {
  test('keeps its guards across restarts, and finds the network in its cache', async () => {
    const { torrc } = await torNetwork();
    const own = rig.make({ torrc });
    await ready(own);
    await own.stop();
    const before = guards();
    expect(before.length).toBeGreaterThan(0);
    await ready(own);
    // It did not have to fetch a consensus: it starts where it was.
    expect(rig.lines.join('')).not.toContain('Bootstrapped 25%');
    await own.stop();
    expect(guards()).toEqual(before);
  });

  test('lets nothing through its exits, unless they are wanted', async () => {
    const { torrc } = await torNetwork();
    const closed = await ready(rig.make({ torrc }));
    await expect(throughExit(closed)).rejects.toMatchObject({ code: 'EXIT_REFUSED' });
    await rig.end();
    rig = makeRig();
    expect(await throughExit(await ready(rig.make({ torrc, exits: true })))).toBe('there and back');
  });

  test('is found as any Tor that runs', async () => {
    const { torrc } = await torNetwork();
    const { control, socks, version } = await ready(rig.make({ torrc }));
    expect(await systemTor({ control })).toEqual({ control, socks, version, auth: {} });
    const other = { host: '127.0.0.1', port: 9050 };
    expect(await systemTor({ control, socks: other })).toMatchObject({ socks: other });
  });

  test('goes through a bridge and its plugin, which end with it', async () => {
    const { torrc, dir } = await torNetwork();
    // The two legs that Tor has to an exit do not begin at one and the same relay.
    const bridges = await Promise.all(
      ['relay1', 'relay2'].map((name) => addressOf(join(dir, name))),
    );
    const plugin = join(import.meta.dirname, 'support/plain-plugin.ts');
    const seen = join(rig.dir, 'seen by the plugin');
    const own = rig.make({
      torrc,
      exits: true,
      bridges: bridges.map((bridge) => `plain ${bridge} to=${encodeURIComponent(seen)}`),
      transports: [`plain exec ${process.execPath} ${plugin}`],
    });
    const running = await ready(own);
    expect(await throughExit(running)).toBe('there and back');
    const [pid, ...targets] = readFileSync(seen, 'utf8').trim().split('\n');
    const places = bridges.map((bridge) => bridge.split(' ')[0]!);
    expect([...new Set(targets)].toSorted()).toEqual(places.toSorted());
    const process_ = named(Number(pid));
    await own.stop();
    await isGone(process_);
  });
});

/** `address:port fingerprint`, as bridges are handed out. */
async function addressOf(dir: string): Promise<string> {
  const [fingerprint] = readFileSync(join(dir, 'fingerprint'), 'utf8').trim().split(' ').slice(1);
  const port = Number(
    /PORT=127\.0\.0\.1:(\d+)/.exec(readFileSync(join(dir, 'control_port'), 'utf8'))![1],
  );
  const endpoint = { host: '127.0.0.1', port };
  const auth = { cookieFile: join(dir, 'control_auth_cookie') };
  const client = await ControlClient.connect(endpoint, auth, { timeoutMs: 10_000 });
  try {
    const { lines } = await client.command('GETINFO net/listeners/or');
    return `${/"(.+?)"/.exec(lines[0]!.text)![1]} ${fingerprint}`;
  } finally {
    client.close();
  }
}
