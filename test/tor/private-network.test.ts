/**
 * Goal: a private Tor network ends exactly when it should, and leaves nothing.
 * Setup: the network that all tests share, and networks that another process starts and is killed.
 * Check: processes by pid and start time; directories.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isAlive, startTicksOf } from '../../src/core/processes.ts';
import { PrivateNetwork } from '../../src/core/tor/testnet/private-network.ts';
import { endAll, type NetworkRecord } from '../../src/core/tor/testnet/records.ts';
import { describeOverTor, torNetwork } from './support/network.ts';

let parent: string;
let dir: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'aegis-tor-test-'));
  dir = join(parent, 'net work');
});
afterEach(async () => {
  const left = recordIn(dir);
  if (left !== undefined) await endAll(left.members);
  rmSync(parent, { recursive: true, force: true });
});

function recordIn(where: string): NetworkRecord | undefined {
  const file = join(where, 'network.json');
  if (!existsSync(file)) return undefined;
  return JSON.parse(readFileSync(file, 'utf8')) as NetworkRecord;
}

const runs = (record: NetworkRecord): boolean[] =>
  record.members.map(({ pid, startTicks }) => isAlive({ pid, startTicks }));

/** Another process that starts a network and says `ready` when it is. */
function starter(owner: string): ChildProcess {
  const module = join(import.meta.dirname, '../../src/core/tor/testnet/private-network.ts');
  const script = `
    import { PrivateNetwork } from ${JSON.stringify(module)};
    await PrivateNetwork.start({ dir: ${JSON.stringify(dir)}, owner: ${owner} });
    console.log('ready');
    setInterval(() => {}, 1000);`;
  const args = ['--input-type=module-typescript', '-e', script];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function killed(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

describeOverTor('a private network', () => {
  test('which all tests share, has a torrc for clients and runs', async () => {
    const shared = await torNetwork();
    expect(readFileSync(shared.torrc, 'utf8')).toMatch(/^DirAuthority /m);
    expect(recordIn(shared.dir)?.members).toHaveLength(5);
    await expect(PrivateNetwork.start({ ...shared, owner: process.pid })).rejects.toMatchObject({
      code: 'EXISTS',
    });
    // Its owner lives: nothing of it is swept.
    await PrivateNetwork.sweep(tmpdir());
    expect(PrivateNetwork.open(shared.dir).isRunning()).toBe(true);
  });

  test('that outlives its maker goes on after kill -9, and ends when it is stopped', async () => {
    const child = starter('undefined');
    await once(child.stdout!, 'data');
    await killed(child);
    const record = recordIn(dir)!;
    expect(record).toMatchObject({ outlives: true, isReady: true });
    expect(await PrivateNetwork.sweep(parent)).toEqual([]);
    // Tor looks after its owner every 15 s; with a torrc read anew it would be the first thing.
    for (const { pid } of record.members.slice(1)) process.kill(pid, 'SIGHUP');
    for (const { name } of record.members.slice(1)) {
      const log = join(dir, name, 'notice.log');
      while (!readFileSync(log, 'utf8').includes('Received reload signal')) await sleep(20);
    }
    const network = PrivateNetwork.open(dir);
    expect(network.isRunning()).toBe(true);
    await network.stop();
    expect(runs(record)).toEqual(Array(5).fill(false));
    expect(existsSync(dir)).toBe(false);
  });

  test('that was starting when its maker was killed is swept away', async () => {
    const child = starter('undefined');
    while ((recordIn(dir)?.members.length ?? 0) < 5) await sleep(20);
    const record = recordIn(dir)!;
    await killed(child);
    expect(await PrivateNetwork.sweep(parent)).toEqual([dir]);
    expect(runs(record)).toEqual(Array(5).fill(false));
    expect(existsSync(dir)).toBe(false);
  });

  test('never ends a process that was not its own', async () => {
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      const shared = recordIn((await torNetwork()).dir)!;
      const pid = other.pid!;
      const wrong = { name: 'relay1', pid, startTicks: startTicksOf(pid)! - 1 };
      const owner = { name: 'owner', pid, startTicks: wrong.startTicks };
      const copy: NetworkRecord = { ...shared, owner, outlives: false, members: [wrong] };
      writeFileSync(join(parent, 'network.json'), JSON.stringify(copy));
      expect(await PrivateNetwork.sweep(join(parent, '..'))).toContain(parent);
      expect(isAlive({ pid, startTicks: startTicksOf(pid) })).toBe(true);
    } finally {
      other.kill('SIGKILL');
    }
  });

  test('is gone when its start is broken off, and the reason is that of who did it', async () => {
    const stop = new AbortController();
    const starting = PrivateNetwork.start({ dir, owner: process.pid }, stop.signal);
    const failed = expect(starting).rejects.toThrow('enough');
    while ((recordIn(dir)?.members.length ?? 0) < 1) await sleep(20);
    const record = recordIn(dir)!;
    stop.abort(new Error('enough'));
    await failed;
    expect(runs(record)).not.toContain(true);
    expect(existsSync(dir)).toBe(false);
  });

  test('says what tor said, when a tor does not start', async () => {
    const starting = PrivateNetwork.start({ dir, owner: process.pid, binary: '/bin/false' });
    await expect(starting).rejects.toMatchObject({ code: 'TOR_FAILED' });
    expect(existsSync(dir)).toBe(false);
  });
});
