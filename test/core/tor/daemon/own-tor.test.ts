/**
 * Goal: a Tor of our own does what its settings say, comes back, and never outlives us (O8, O10).
 * Setup: the real tor, off the network, below a directory whose name wants quoting.
 * Check: processes, modes, sockets, its own answers, its log.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isAlive } from '../../../../src/core/processes.ts';
import { RotatingFile } from '../../../../src/core/telemetry/rotating-file.ts';
import { ControlClient } from '../../../../src/core/tor/control/client.ts';
import type { RunningTor } from '../../../../src/core/tor/daemon/own-tor.ts';
import { needs } from '../../../helpers/needs.ts';
import { isGone, makeRig, named, OFF, type Rig, until } from './support.ts';

let rig: Rig;
beforeEach(() => {
  rig = makeRig();
});
afterEach(() => rig.end());

const mode = (path: string): number => statSync(path).mode & 0o777;

async function ask({ control, auth }: RunningTor, line: string): Promise<string[]> {
  const client = await ControlClient.connect(control, auth, { timeoutMs: 10_000 });
  try {
    return (await client.command(line)).lines.map(({ text }) => text);
  } finally {
    client.close();
  }
}

const FINGERPRINT = 'A'.repeat(40);

describe.skipIf(!needs('tor', 'tests of a Tor of our own'))('a Tor of our own', () => {
  test('starts closed to others, is asked by its cookie, and ends without a trace', async () => {
    const own = rig.make();
    const running = await own.start();
    expect(own.status).toMatchObject({ state: 'running', pid: running.pid, restarts: 0 });
    for (const dir of ['data', 'run/tor']) expect(mode(join(rig.dir, dir))).toBe(0o700);
    expect(mode(join(rig.dir, 'data/torrc'))).toBe(0o600);
    const [version] = await ask(running, 'GETINFO version');
    expect(version).toContain(running.version);
    expect(rig.lines.join('')).toContain('Opened Control listener');
    const name = named(running.pid);
    await own.stop();
    expect(isAlive(name)).toBe(false);
    expect(own.status.state).toBe('stopped');
    expect(existsSync(join(rig.dir, 'run/tor/control'))).toBe(false);
  });

  test('has the flags, bridges and plugins of its settings, to the letter', async () => {
    const bridge = `obfs4 10.0.0.1:443 ${FINGERPRINT} cert=a"b\\c#d iat-mode=0`;
    const plugin = `obfs4,other exec ${process.execPath} -e "" #`;
    const options = { bridges: [`Bridge ${bridge}`], transports: [plugin] };
    const running = await rig.make(options).start();
    const [socks] = await ask(running, 'GETCONF SocksPort');
    expect(socks).toMatch(
      /IsolateSOCKSAuth KeepAliveIsolateSOCKSAuth ExtendedErrors OnionTrafficOnly/,
    );
    const [use, own] = await ask(running, 'GETCONF UseBridges Bridge');
    expect(use).toBe('UseBridges=1');
    expect(JSON.stringify(own)).toContain('iat-mode=0');
  });

  test('with exits has a SOCKS port that takes them', async () => {
    const running = await rig.make({ exits: true }).start();
    const [socks] = await ask(running, 'GETCONF SocksPort');
    expect(socks).toContain('ExtendedErrors');
    expect(socks).not.toContain('OnionTrafficOnly');
  });

  test.each([
    ['SocksPort 9050', 'SocksPort'],
    ['ControlPort 9051', 'ControlPort'],
    ['DataDirectory /tmp/elsewhere', 'DataDirectory'],
    ['SafeSocks 1', 'SafeSocks'],
  ])('refuses a file of the operator with %s', async (line, option) => {
    const own = rig.make({ torrc: rig.extra(`${OFF}${line}\n`) });
    await expect(own.start()).rejects.toMatchObject({
      code: 'BAD_CONFIG',
      message: expect.stringContaining(`changes the option ${option} of our own tor`),
    });
    expect(own.status.state).toBe('stopped');
  });

  test('stays a child that can be asked, whatever the file of the operator says', async () => {
    const lines = 'RunAsDaemon 1\nCookieAuthentication 0\n__OwningControllerProcess 1\n';
    const running = await rig.make({ torrc: rig.extra(OFF + lines) }).start();
    expect(await ask(running, 'GETCONF RunAsDaemon __OwningControllerProcess')).toEqual([
      'RunAsDaemon=0',
      `__OwningControllerProcess=${process.pid}`,
    ]);
  });

  test('says which line tor does not take', async () => {
    const own = rig.make({ torrc: rig.extra(`${OFF}Bananas 3\n`) });
    await expect(own.start()).rejects.toMatchObject({
      code: 'BAD_CONFIG',
      message: "tor refuses its configuration: Unknown option 'Bananas'.  Failing.",
    });
  });

  test.each([
    [{ bridges: [`10.0.0.1:443\nSocksPort 9050`] }, /line break/],
    [{ transports: [`obfs4 exec /bin/cat\rx`] }, /line break/],
    [{ transports: ['obfs4 exec /nonexistent/obfs4proxy'] }, /which this user cannot start/],
    [{ runDir: `/tmp/${'long'.repeat(30)}` }, /possible/],
  ])('starts nothing for %j', async (options, message) => {
    const own = rig.make(options);
    await expect(own.start()).rejects.toThrow(message);
    expect(rig.lines).toEqual([]);
  });

  test('says which port of the file of the operator is taken', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const place = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const own = rig.make({ torrc: rig.extra(`${OFF}ControlPort ${place}\n`) });
      await expect(own.start()).rejects.toMatchObject({
        code: 'PORT_IN_USE',
        message: `${place}, which our own tor is to listen at, is taken`,
      });
    } finally {
      server.close();
    }
  });

  test('says that another tor has its data directory', async () => {
    await rig.make().start();
    const second = rig.make({ runDir: join(rig.dir, 'run2') });
    await expect(second.start()).rejects.toMatchObject({
      code: 'TOR_FAILED',
      message: 'another tor uses the data directory of our own one',
    });
  });

  test('comes back at the same sockets, later and later while it keeps ending', async () => {
    const own = rig.make();
    let running = await own.start();
    const why: string[] = [];
    own.onExit((error) => why.push(error.message));
    for (const [restarts, shortestMs] of [500, 1000, 2000].entries()) {
      expect(own.status.restarts).toBe(restarts);
      process.kill(own.status.pid!, 'SIGKILL');
      await until(() => rig.clock.isSet);
      expect(own.status).toMatchObject({ state: 'waiting', problem: { code: 'TOR_FAILED' } });
      const waitMs = rig.clock.waits.at(-1)!;
      expect(waitMs).toBeGreaterThanOrEqual(shortestMs);
      expect(waitMs).toBeLessThanOrEqual(2 * shortestMs);
      rig.clock.ring();
      await until(() => own.status.state === 'running');
    }
    running = { ...running, pid: own.status.pid! };
    expect(await ask(running, 'GETINFO process/pid')).toEqual([`process/pid=${running.pid}`, 'OK']);
    expect(why).toEqual(Array(3).fill('our own tor ended with signal SIGKILL'));
    // One that ran for long did not end because of how it was started.
    rig.clock.nowMs += 3_600_000;
    process.kill(own.status.pid!, 'SIGKILL');
    await until(() => rig.clock.isSet);
    expect(rig.clock.waits.at(-1)).toBeLessThanOrEqual(1000);
  });

  test('tries again after a restart that failed, and stops while it waits', async () => {
    const own = rig.make();
    const { pid } = await own.start();
    rig.extra('Bananas 3\n');
    process.kill(pid, 'SIGKILL');
    await until(() => rig.clock.isSet);
    rig.clock.ring();
    await until(() => rig.clock.isSet);
    expect(own.status).toMatchObject({ state: 'waiting', problem: { code: 'BAD_CONFIG' } });
    await own.stop();
    expect(rig.clock.isSet).toBe(false);
    rig.extra(OFF);
    await own.start();
    expect(own.status.state).toBe('running');
  });

  test('can be stopped, or broken off, while it starts', async () => {
    const own = rig.make();
    const starting = expect(own.start()).rejects.toMatchObject({ code: 'STOPPING' });
    await until(() => own.status.pid !== undefined);
    const first = named(own.status.pid!);
    await own.stop();
    await starting;
    expect(isAlive(first)).toBe(false);
    const abort = new AbortController();
    const again = expect(own.start(abort.signal)).rejects.toThrow('enough');
    await until(() => own.status.pid !== undefined);
    const second = named(own.status.pid!);
    abort.abort(new Error('enough'));
    await again;
    expect(isAlive(second)).toBe(false);
  });

  test('ends at once when we are killed', async () => {
    const child = spawnOwner(rig);
    const [line] = (await once(child.stdout!, 'data')) as [Buffer];
    const tor = named(Number(line.toString()));
    expect(isAlive(tor)).toBe(true);
    child.kill('SIGKILL');
    await isGone(tor);
    // In good order: it has removed its socket.
    expect(existsSync(join(rig.dir, 'run/tor/control'))).toBe(false);
  });

  test('writes into a log that rotates, and loses no line', async () => {
    const path = join(rig.dir, 'tor.log');
    const output = new RotatingFile({ path, maxSizeBytes: 2048, files: 50 });
    const all: string[] = [];
    const both = {
      write: (line: string) => {
        all.push(line);
        output.write(line);
      },
    };
    const own = rig.make({}, both);
    for (let round = 0; round < 2; round += 1) {
      await own.start();
      await own.stop();
    }
    await output.close();
    const files = readdirSync(rig.dir).filter((name) => name.startsWith('tor.log.'));
    expect(files.length).toBeGreaterThan(0);
    const texts = files
      .toSorted((a, b) => Number(b.split('.')[2]) - Number(a.split('.')[2]))
      .map((name) => readFileSync(join(rig.dir, name), 'utf8'));
    expect([...texts, readFileSync(path, 'utf8')].join('')).toBe(all.join(''));
  });

  test('breaks lines that have no end, and keeps escape sequences out of the log', async () => {
    const binary = join(rig.dir, 'tor');
    const version = '[ "$1" = --version ] && echo "Tor version 0.4.9.11." && exit 0';
    const words = "head -c 20000 /dev/zero | tr '\\0' x; echo; printf 'last \\033[2Jwords'; exit 1";
    writeFileSync(binary, `#!/bin/sh\n${version}\n${words}\n`, { mode: 0o755 });
    await expect(rig.make({ binary }).start()).rejects.toMatchObject({
      code: 'TOR_FAILED',
      message: 'our own tor ended with exit status 1: last ?[2Jwords',
    });
    expect(Math.max(...rig.lines.map((line) => line.length))).toBe(8193);
    const text = rig.lines.join('').replaceAll('\n', '');
    expect(text === `${'x'.repeat(20_000)}last ?[2Jwords`).toBe(true);
  });

  test('closes directories that were open, and keeps what is in them', async () => {
    const own = rig.make();
    await own.start();
    await own.stop();
    for (const dir of ['data', 'run/tor']) chmodSync(join(rig.dir, dir), 0o755);
    writeFileSync(join(rig.dir, 'data/left'), 'of before');
    await own.start();
    for (const dir of ['data', 'run/tor']) expect(mode(join(rig.dir, dir))).toBe(0o700);
    expect(readdirSync(join(rig.dir, 'data'))).toContain('left');
  });
});

/** A process that has a Tor of its own and prints its pid. */
function spawnOwner({ dir }: Rig): ReturnType<typeof spawn> {
  const module = join(import.meta.dirname, '../../../../src/core/tor/daemon/own-tor.ts');
  const script = `
    import { OwnTor } from ${JSON.stringify(module)};
    const log = { write() {}, child: () => log };
    const clock = { now: () => Date.now(), wakeAt: () => () => {} };
    const random = { bytes: (n) => new Uint8Array(n) };
    const deps = { log, clock, random, output: { write() {} } };
    const dir = ${JSON.stringify(dir)};
    const places = { dataDir: dir + '/data', runDir: dir + '/run', torrc: dir + '/extra torrc' };
    const options = { ...places, exits: false, bridges: [], transports: [] };
    console.log((await new OwnTor(options, deps).start()).pid);
    setInterval(() => {}, 1000);`;
  writeFileSync(join(dir, 'extra torrc'), OFF);
  const args = ['--input-type=module-typescript', '-e', script];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}
