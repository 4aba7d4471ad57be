/**
 * Goal: a daemon starts, lives and stops as operators and service managers expect.
 * Setup: three daemons of one cluster.
 * Check: READY, signals and exit statuses, the service manager's notices, logs, and a node that is
 * frozen for a while.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { KIB, MIB } from '../../src/core/units.ts';
import { needs } from '../helpers/needs.ts';
import { aegis, BIN, Cluster, type Run, spawnAegis } from './support/cluster.ts';
import { isAlive } from './support/processes.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ size: 4, storageWeights: [100, 100, 100, 0] });
});
afterAll(() => cluster.stop());

const stop = async (node: number): Promise<void> => {
  const run = await cluster.run(node, 'node', 'stop');
  expect(run.exit, run.stderr).toBe(0);
};
const put = (node: number, path: string, bytes: Uint8Array): Promise<Run> =>
  aegis(['--home', cluster.node(node).home, 'kb', 'put', '-', '--path', path], { input: bytes });

describe('in the foreground', () => {
  beforeAll(() => stop(3));
  afterAll(async () => {
    expect((await cluster.start(3)).exit).toBe(0);
  });

  /** Starts node 3 and waits for its first line. */
  async function foreground(...args: string[]) {
    const passphrase = ['--passphrase-file', cluster.passphraseFile];
    const home = ['--home', cluster.node(3).home];
    const running = spawnAegis([...home, 'node', 'start', ...passphrase, ...args]);
    onTestFinished(() => void running.child.kill('SIGKILL'));
    const lines = createInterface({ input: running.child.stdout });
    const line = await new Promise<string>((begin, fail) => {
      lines.once('line', begin);
      void running.done.then(({ stderr }) => fail(new Error(stderr)));
    });
    return { ...running, line };
  }

  test('says READY and ends with 0 on SIGTERM', async () => {
    const { child, done, line } = await foreground();
    expect(line).toMatch(
      new RegExp(`^READY node3 pid ${child.pid} socket /.*api.sock listens /ip4/`),
    );
    expect((await cluster.run(3, 'node', 'status')).exit).toBe(0);
    const begun = performance.now();
    child.kill('SIGTERM');
    const { exit, stderr } = await done;
    expect(exit, stderr).toBe(0);
    expect(stderr).toBe('');
    expect(performance.now() - begun).toBeLessThan(5000);
    const { socket, lock } = cluster.home(3);
    expect([existsSync(socket), existsSync(`${lock}.json`)]).toEqual([false, false]);
  });

  test('with --json the line is one object; two Ctrl-C at once, as of npm, are one', async () => {
    const { child, done, line } = await foreground('--json');
    expect(JSON.parse(line)).toMatchObject({ schema: 'aegis.node.start/1', pid: child.pid });
    child.kill('SIGINT');
    child.kill('SIGINT');
    expect((await done).exit).toBe(0);
  });

  test('ends when asked over the API, also in the middle of a put', async () => {
    const { done } = await foreground();
    const writing = spawnAegis(['--home', cluster.node(3).home, 'kb', 'put', '-', '--path', 'cut']);
    writing.child.stdin.write(randomBytes(2 * MIB));
    await stop(3);
    writing.child.stdin.end();
    expect((await done).exit).toBe(0);
    expect([69, 75]).toContain((await writing.done).exit);
  });

  test('nobody reads its output, and it goes on', async () => {
    const { child, done } = await foreground();
    child.stdout.destroy();
    child.stderr.destroy();
    expect((await cluster.run(3, 'node', 'status')).exit).toBe(0);
    child.kill('SIGTERM');
    expect((await done).exit).toBe(0);
  });
});

describe('in the background', () => {
  test('start, status, wait, restart and stop', async () => {
    const before = await cluster.pid(2);
    const passphrase = ['--passphrase-file', cluster.passphraseFile];
    const restarted = await cluster.run(2, 'node', 'restart', ...passphrase);
    expect(restarted.exit, restarted.stderr).toBe(0);
    expect(isAlive(before)).toBe(false);
    const now = await cluster.pid(2);
    expect(now).not.toBe(before);
    expect(await cluster.json(2, 'node', 'status')).toMatchObject({ state: 'ready', pid: now });
    await cluster.json(2, 'node', 'wait', '--for', 'ready');
    await cluster.json(2, 'node', 'wait', '--for', 'peers=2', '--timeout', '30s');
    const never = await cluster.run(2, 'node', 'wait', '--for', 'peers=9', '--timeout', '200ms');
    expect(never.exit).toBe(75);
    await stop(2);
    expect(isAlive(now)).toBe(false);
    expect((await cluster.run(2, 'node', 'stop')).exit).toBe(69);
    const late = cluster.run(2, 'node', 'wait', '--timeout', '30s');
    expect((await cluster.start(2)).exit).toBe(0);
    expect((await late).exit).toBe(0);
    expect((await cluster.run(2, 'node', 'wait', '--for', 'rain')).exit).toBe(2);
  });

  test('outlives the terminal that started it', async () => {
    await stop(3);
    const args = ['node', 'start', '--detach', '--passphrase-file', cluster.passphraseFile];
    const shell = spawn(process.execPath, [BIN, '--home', cluster.node(3).home, ...args], {
      detached: true,
      stdio: 'ignore',
    });
    await once(shell, 'exit');
    // A terminal that closes sends this to the group of what ran in it.
    expect(() => process.kill(-shell.pid!, 'SIGHUP')).toThrow('ESRCH');
    expect((await cluster.run(3, 'node', 'status')).exit).toBe(0);
  });
});

/** A unix datagram socket, as systemd has one; Node.js has none. */
const LISTENER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('listening', flush=True)
while True:
    print(s.recv(4096).decode().replace('\\n', ' '), flush=True)
`;

test.skipIf(!needs('systemd-notify', 'sd_notify') || !needs('python3', 'sd_notify'))(
  'tells a service manager when it is ready and when it stops',
  async () => {
    await stop(3);
    const path = `${cluster.dir}/notify`;
    const listener = spawn('python3', ['-c', LISTENER, path], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const lines = createInterface({ input: listener.stdout })[Symbol.asyncIterator]();
    // The tool asks for a receipt (`BARRIER=1`) after each of its messages.
    const next = async (): Promise<string> => {
      for (;;) {
        const line = (await lines.next()).value as string;
        if (line !== 'BARRIER=1') return line;
      }
    };
    expect(await next()).toBe('listening');
    const home = ['--home', cluster.node(3).home];
    const args = [...home, 'node', 'start', '--passphrase-file', cluster.passphraseFile];
    const { child, done } = spawnAegis(args, { env: { NOTIFY_SOCKET: path } });
    const ready = await next();
    expect(ready).toContain('READY=1');
    expect(ready).toContain(`MAINPID=${child.pid}`);
    expect(ready).toContain(`STATUS=${cluster.node(3).address}`);
    child.kill('SIGTERM');
    expect(await next()).toContain('STOPPING=1');
    expect((await done).exit).toBe(0);
    listener.kill('SIGKILL');
    expect((await cluster.start(3)).exit).toBe(0);
  },
);

test('logs rotate, and are read across files', async () => {
  await cluster.json(3, 'config', 'set', 'log.maxSizeBytes', String(64 * KIB));
  await cluster.json(3, 'config', 'set', 'log.files', '2');
  const { logs, logFile } = cluster.home(3);
  const time = '2026-01-01T00:00:00.000Z';
  const old = `${JSON.stringify({ level: 'info', time, room: 'test', message: 'before' })}\n`;
  const files = () => readdirSync(logs).filter((name) => name.startsWith('node.log'));
  for (const wanted of [2, 3]) {
    await stop(3);
    appendFileSync(logFile, old.repeat((64 * KIB - statSync(logFile).size) / old.length));
    expect((await cluster.start(3)).exit).toBe(0);
    await cluster.until(files, (names) => names.length === wanted, `${wanted} files`);
  }
  for (const name of files()) {
    const path = join(logs, name);
    expect(statSync(path).size).toBeLessThanOrEqual(64 * KIB);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ level: expect.any(String) });
  }
  const shown = (await cluster.run(3, 'node', 'logs', '-n', '1000', '--json')).stdout.toString();
  const lines = shown.trimEnd().split('\n');
  expect(lines.length).toBe(1000);
  expect(lines.at(-1)).not.toContain('before');
});

test('a node is frozen for a while, and the others go on', async () => {
  await cluster.connected();
  await cluster.devnet.pause('3');
  expect((await cluster.devnet.status())[2]!.state).toBe('paused');
  const bytes = randomBytes(100_000);
  expect((await put(1, 'while-frozen', bytes)).exit).toBe(0);
  const read = await cluster.until(
    () => cluster.run(2, 'kb', 'get', 'while-frozen', '-o', '-'),
    ({ exit }) => exit === 0,
    'node 2 reads it',
  );
  expect(read.stdout.equals(bytes)).toBe(true);
  const asked = await cluster.run(3, 'node', 'status', '--timeout', '300ms');
  expect([69, 75], asked.stderr).toContain(asked.exit);
  await cluster.devnet.resume('3');
  await cluster.connected();
  const late = await cluster.until(
    () => cluster.run(3, 'kb', 'stat', 'while-frozen', '--json'),
    ({ exit, stdout }) => exit === 0 && stdout.includes('"local":true'),
    'node 3 has caught up',
  );
  expect(late.exit).toBe(0);
});
