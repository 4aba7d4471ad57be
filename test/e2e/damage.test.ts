/**
 * Goal: a home, a disk or a process that breaks is explained, and nothing acknowledged is lost.
 * Setup: three daemons, each of which is to hold everything; the damage is done to node 3.
 * Check: exit status and words of each refusal, then that the node comes back with its content.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { keyPath } from '../../src/core/keys/layout.ts';
import { MIB } from '../../src/core/units.ts';
import { canMount } from '../core/storage/support/child.ts';
import { needs } from '../helpers/needs.ts';
import { aegis, aegisJson, BIN, Cluster, type Run, spawnAegis } from './support/cluster.ts';
import { flipBit, setAside, storedBytes } from './support/store.ts';

let cluster: Cluster;
/** Put before any damage, and kept by three nodes; the fourth only votes. */
const before = { path: 'before.bin', bytes: randomBytes(3 * MIB), cid: '' };

beforeAll(async () => {
  cluster = await Cluster.start({ size: 4, storageWeights: [100, 100, 100, 0] });
  const file = join(cluster.dir, before.path);
  writeFileSync(file, before.bytes);
  const put = await cluster.json<{ cid: string }>(1, 'kb', 'put', file, '--replicas', '3');
  before.cid = put.cid;
});
afterAll(() => cluster.stop());

const stop = async (node: number): Promise<void> => {
  const run = await cluster.run(node, 'node', 'stop');
  expect(run.exit, run.stderr).toBe(0);
};

const start = async (node: number): Promise<void> => {
  const run = await cluster.start(node);
  expect(run.exit, run.stderr).toBe(0);
};

const runs = async (node: number): Promise<boolean> =>
  (await cluster.devnet.status())[node - 1]!.state === 'running';

const get = async (node: number, path: string): Promise<Buffer> => {
  const run = await cluster.until(
    () => cluster.run(node, 'kb', 'get', path, '-o', '-'),
    ({ exit }) => exit === 0,
    `${path} on node ${node}`,
  );
  return run.stdout;
};

const put = (node: number, path: string, bytes: Uint8Array, ...args: string[]): Promise<Run> =>
  aegis(['--home', cluster.node(node).home, 'kb', 'put', '-', '--path', path, ...args], {
    input: bytes,
  });

/** Changes a file, looks, and puts the file back as it was. */
async function whileChanged(path: string, change: () => void, look: () => Promise<void>) {
  const saved = join(cluster.dir, 'saved');
  copyFileSync(path, saved);
  try {
    change();
    await look();
  } finally {
    copyFileSync(saved, path);
  }
}

/** Overwrites a piece of a file in place. */
function smash(path: string, at: number, bytes: Uint8Array): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
}

const flip = (path: string, at: number): void => {
  smash(path, at, Uint8Array.of(readFileSync(path)[at]! ^ 1));
};

describe('a node that cannot start says why', () => {
  beforeAll(() => stop(3));
  afterAll(() => start(3));

  const expectRefusal = (run: Run, exit: number, ...words: string[]): void => {
    expect(run.exit, run.stderr).toBe(exit);
    for (const word of words) expect(run.stderr).toContain(word);
    expect(run.stderr).toMatch(/^aegis: error: [^\n]+\n(aegis: hint: [^\n]+\n)?$/);
    expect(run.stdout.toString()).toBe('');
  };

  test('wrong passphrase: 77', async () => {
    const wrong = join(cluster.dir, 'wrong');
    writeFileSync(wrong, 'not the passphrase', { mode: 0o600 });
    const args = ['node', 'start', '--passphrase-file', wrong];
    expectRefusal(await cluster.run(3, ...args), 77, 'does not open', 'hint:');
    // In the background the reason comes through as well.
    expectRefusal(await cluster.run(3, ...args, '--detach'), 77, 'does not open');
    expectRefusal(await cluster.run(3, ...args, '--dry-run'), 77, 'does not open');
  });

  test('damaged keystore: 65, naming the backup', async () => {
    const path = keyPath(cluster.home(3).keys, 'network');
    const flipped = () => flip(path, Math.floor(statSync(path).size / 2));
    await whileChanged(path, flipped, async () => {
      expectRefusal(await cluster.start(3), 65, path, 'from your own backup');
    });
    const passphrases = ['--passphrase-file', cluster.passphraseFile];
    const other = join(cluster.dir, 'other');
    writeFileSync(other, 'another passphrase', { mode: 0o600 });
    const there = ['keys', 'passwd', ...passphrases, '--new-passphrase-file', other];
    expect((await cluster.run(3, ...there)).exit).toBe(0);
    await whileChanged(path, flipped, async () => {
      expectRefusal(await cluster.start(3), 65, path, `${path}.bak`);
    });
    const back = ['--passphrase-file', other, '--new-passphrase-file', cluster.passphraseFile];
    expect((await cluster.run(3, 'keys', 'passwd', ...back)).exit).toBe(0);
    await whileChanged(
      path,
      () => writeFileSync(path, ''),
      async () => {
        expectRefusal(await cluster.start(3), 65, path, `${path}.bak`);
      },
    );
  });

  test('a key file that is gone: 66', async () => {
    const path = keyPath(cluster.home(3).keys, 'identity');
    renameSync(path, `${path}.away`);
    const run = await cluster.start(3);
    renameSync(`${path}.away`, path);
    expect([65, 66], run.stderr).toContain(run.exit);
    expect(run.stderr).toContain(path);
  });

  test('newer home format: 78', async () => {
    const { format } = cluster.home(3);
    const newer = () => writeFileSync(format, '{"format":99,"aegis":"9.9.9"}');
    await whileChanged(format, newer, async () => {
      expectRefusal(await cluster.start(3), 78, '99', '9.9.9', 'newer');
    });
  });

  test.each(['', '{', '[]', '{"node":{"listen":"everywhere"}}', '{"node":{"lisen":[]}}'])(
    'settings of %j: 78',
    async (text) => {
      const { config } = cluster.home(3);
      await whileChanged(
        config,
        () => writeFileSync(config, text),
        async () => {
          expectRefusal(await cluster.start(3), 78);
        },
      );
    },
  );

  test('a damaged genesis: 78', async () => {
    const { genesis } = cluster.home(3);
    await whileChanged(
      genesis,
      () => flip(genesis, 200),
      async () => {
        expectRefusal(await cluster.start(3), 78, genesis);
      },
    );
  });

  test('port in use: 78', async () => {
    const [, , , , port] = cluster.node(3).address.split('/');
    const server = createServer();
    await once(server.listen(Number(port), '127.0.0.1'), 'listening');
    try {
      expectRefusal(await cluster.start(3), 78, cluster.node(3).address, 'hint:');
    } finally {
      server.close();
    }
  });

  test('a home that others can read: 78', async () => {
    const { keys } = cluster.home(3);
    const { chmodSync } = await import('node:fs');
    chmodSync(keys, 0o755);
    expectRefusal(await cluster.start(3), 78, keys, 'doctor');
    chmodSync(keys, 0o700);
  });

  test('socket path too long: 78', async () => {
    const home = join(cluster.dir, 'x'.repeat(80));
    const init = ['--home', home, 'init', '--name', 'long'];
    expect((await aegis([...init, '--passphrase-file', cluster.passphraseFile])).exit).toBe(0);
    const run = ['--home', home, 'node', 'start', '--passphrase-file', cluster.passphraseFile];
    expectRefusal(await aegis(run), 78, 'unix socket', '--home');
  });

  test('no daemon: 69; no home: 66', async () => {
    expectRefusal(await cluster.run(3, 'node', 'status'), 69, 'node start');
    expectRefusal(await cluster.run(3, 'kb', 'ls'), 69, 'node start');
    expectRefusal(await put(3, 'x', Buffer.from('x')), 69, 'node start');
    const nowhere = ['--home', join(cluster.dir, 'nowhere'), 'node', 'start'];
    expectRefusal(await aegis(nowhere), 66, 'aegis init');
  });
});

test('a second daemon on a home: 73, naming the first', async () => {
  const run = await cluster.start(2);
  expect(run.exit, run.stderr).toBe(73);
  expect(run.stderr).toContain(`process ${await cluster.pid(2)}`);
  expect(await runs(2)).toBe(true);
});

test('two daemons started at the same moment: one wins', async () => {
  await stop(3);
  const both = await Promise.all([cluster.start(3), cluster.start(3)]);
  expect(both.map(({ exit }) => exit).toSorted((a, b) => a! - b!)).toEqual([0, 73]);
  expect(await get(3, before.path)).toEqual(before.bytes);
});

test('after kill -9 the stale socket and lock are no obstacle', async () => {
  const { socket, lock } = cluster.home(3);
  await cluster.devnet.kill('3');
  expect([existsSync(socket), existsSync(lock)]).toEqual([true, true]);
  expect((await cluster.run(3, 'node', 'status')).exit).toBe(69);
  await start(3);
  expect(await get(3, before.path)).toEqual(before.bytes);
});

/** Starts until the node has set aside what is damaged; it says so once. */
async function startDamaged(node: number, file: string): Promise<void> {
  const run = await cluster.start(node);
  expect(run.exit, run.stderr).toBe(65);
  expect(run.stderr).toContain(`${file} was damaged`);
  const aside = /is now (\S+\.damaged-\S+)/.exec(run.stderr)?.[1];
  expect(existsSync(aside!)).toBe(true);
  expect(run.stderr).toContain('Start the node again');
  await start(node);
}

const GARBAGE = randomBytes(4096);

describe('a damaged database', () => {
  const wholeAgain = (node: number) =>
    cluster.until(
      () => cluster.json(node, 'kb', 'stat', before.path),
      ({ local }) => local === true,
      `node ${node} holds what it should again`,
    );

  test('content.db with a broken header: set aside, and the content comes back', async () => {
    const { contentDb } = cluster.home(3);
    await stop(3);
    smash(contentDb, 0, GARBAGE);
    await startDamaged(3, contentDb);
    await wholeAgain(3);
    expect(storedBytes(cluster.node(3).home, before.cid)).toBeDefined();
    expect(await get(3, before.path)).toEqual(before.bytes);
  });

  test('content.db with a broken page, after a crash: the same', async () => {
    const { contentDb } = cluster.home(3);
    // A clean stop moves all from the log into the file; what comes then stays in the log.
    await stop(3);
    await start(3);
    expect((await put(3, 'in-the-log', randomBytes(5000))).exit).toBe(0);
    await cluster.devnet.kill('3');
    for (let page = 1; page < 24; page += 1) smash(contentDb, page * 32 * 1024, GARBAGE);
    await startDamaged(3, contentDb);
    await wholeAgain(3);
    expect(await get(3, before.path)).toEqual(before.bytes);
  });

  test('content.db that is gone: the content comes back', async () => {
    const { data } = cluster.home(3);
    await stop(3);
    for (const name of readdirSync(data)) {
      if (name.startsWith('content.db')) unlinkSync(join(data, name));
    }
    await start(3);
    await wholeAgain(3);
  });

  test('chain.db with a broken header: versions come back, old numbers stay used', async () => {
    const { chainDb } = cluster.home(3);
    expect((await put(3, 'by-node-3', Buffer.from('first'))).exit).toBe(0);
    await stop(3);
    smash(chainDb, 0, GARBAGE);
    await startDamaged(3, chainDb);
    expect(await get(3, 'by-node-3')).toEqual(Buffer.from('first'));
    // It asks its peers first what it has signed before.
    await cluster.until(
      () => put(3, 'by-node-3', Buffer.from('second')),
      ({ exit }) => exit === 0,
      'node 3 writes again',
    );
    const log = await cluster.json<{ heads: number; total: number }>(1, 'kb', 'log', 'by-node-3');
    expect(log).toMatchObject({ heads: 1, total: 2 });
    for (const node of [1, 2, 3]) {
      expect(await get(node, 'by-node-3')).toEqual(Buffer.from('second'));
    }
  });

  test('chain.db lost while alone: nothing is written until others are there', async () => {
    const { chainDb } = cluster.home(3);
    await Promise.all([1, 2, 3, 4].map(stop));
    smash(chainDb, 0, GARBAGE);
    await startDamaged(3, chainDb);
    const alone = await put(3, 'alone', Buffer.from('too early'), '--wait', 'local');
    expect(alone.exit, alone.stderr).toBe(75);
    expect(alone.stderr).toContain('lost its facts');
    // The others are a quorum without it: it may not vote before it knows what it has voted.
    await Promise.all([1, 2, 4].map(start));
    expect(await get(3, 'by-node-3')).toEqual(Buffer.from('second'));
    await cluster.until(
      () => put(3, 'alone', Buffer.from('not alone any more'), '--replicas', '3'),
      ({ exit }) => exit === 0,
      'node 3 writes again',
    );
    for (const node of [1, 2, 3]) {
      expect(await get(node, 'alone')).toEqual(Buffer.from('not alone any more'));
      expect(await get(node, before.path)).toEqual(before.bytes);
    }
  });

  test('a row that rots is healed when it is read', async () => {
    const { home } = cluster.node(3);
    const cid = (await cluster.json<{ cid: string }>(3, 'kb', 'stat', 'alone')).cid;
    await cluster.until(
      () => Promise.resolve(storedBytes(cluster.node(1).home, cid)),
      (bytes) => bytes !== undefined,
      'node 1 holds it',
    );
    flipBit(home, cid);
    expect(await get(3, 'alone')).toEqual(Buffer.from('not alone any more'));
    expect(setAside(home, cid)).toBe(1);
  });
});

test('kill -9 in the middle of a put leaves no half version', async () => {
  const { data } = cluster.home(3);
  const dataBytes = () =>
    readdirSync(data)
      .filter((name) => name.startsWith('content.db'))
      .reduce((sum, name) => sum + statSync(join(data, name)).size, 0);
  const atFirst = dataBytes();
  const bytes = randomBytes(32 * MIB);
  const putting = spawnAegis(['--home', cluster.node(3).home, 'kb', 'put', '-', '--path', 'half']);
  putting.child.stdin.write(bytes.subarray(0, 20 * MIB));
  await cluster.until(
    () => Promise.resolve(dataBytes()),
    (now) => now > atFirst + 4 * MIB,
    'the first objects are on the disk',
  );
  await cluster.devnet.kill('3');
  putting.child.stdin.end(bytes.subarray(20 * MIB));
  const run = await putting.done;
  expect([69, 75], run.stderr).toContain(run.exit);
  await start(3);
  for (const node of [1, 2, 3]) {
    expect((await cluster.run(node, 'kb', 'stat', 'half')).exit).toBe(66);
  }
  expect(await get(3, before.path)).toEqual(before.bytes);
  expect((await put(3, 'half', bytes)).exit).toBe(0);
  expect((await get(1, 'half')).equals(bytes)).toBe(true);
});

/** A daemon whose `data` directory is a disk of its own, seen through its process. */
async function startOnSmallDisk(node: number, size: string) {
  const { data } = cluster.home(node);
  await stop(node);
  const saved = `${data}.saved`;
  mkdirSync(saved);
  const script = [
    `cp -p "${data}"/* "${saved}"`,
    `mount -t tmpfs -o size=${size},mode=0700 tmpfs "${data}"`,
    `cp -p "${saved}"/* "${data}"`,
    'exec "$@"',
  ].join(' && ');
  const namespaces = process.getuid?.() === 0 ? '-m' : '-rm';
  const args = ['node', 'start', '--json', '--passphrase-file', cluster.passphraseFile];
  const command = [process.execPath, BIN, '--home', cluster.node(node).home, ...args];
  const child = spawn('unshare', [namespaces, 'sh', '-c', script, 'sh', ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  await once(createInterface({ input: child.stdout }), 'line');
  return {
    disk: `/proc/${child.pid}/root${data}`,
    end: async () => {
      child.kill('SIGTERM');
      await ended;
      rmSync(saved, { recursive: true });
    },
  };
}

describe.skipIf(!needs('unshare', 'a full disk under a node') || !canMount())('a full disk', () => {
  let small: Awaited<ReturnType<typeof startOnSmallDisk>>;
  beforeAll(async () => {
    small = await startOnSmallDisk(3, '160m');
  });
  afterEach(() => rmSync(join(small.disk, 'filler'), { force: true }));
  afterAll(async () => {
    await small.end();
    await start(3);
  });

  /** Takes all but about this much room. */
  async function fill(leaveBytes: number): Promise<void> {
    const { statfsSync } = await import('node:fs');
    const { bavail, bsize } = statfsSync(small.disk);
    const fd = openSync(join(small.disk, 'filler'), 'w');
    const piece = Buffer.alloc(MIB, 1);
    let left = bavail * bsize - leaveBytes;
    for (; left > 0; left -= piece.length) writeSync(fd, piece, 0, Math.min(left, piece.length));
    closeSync(fd);
  }

  test('while content arrives: 75, nothing of it is there, the rest is', async () => {
    const bytes = randomBytes(24 * MIB);
    await fill(8 * MIB);
    const run = await put(3, 'too-much', bytes);
    expect(run.exit, run.stderr).toBe(75);
    expect(run.stderr).toContain('disk is full');
    expect((await cluster.run(3, 'kb', 'stat', 'too-much')).exit).toBe(66);
    expect((await cluster.run(1, 'kb', 'stat', 'too-much')).exit).toBe(66);
    expect(await get(3, before.path)).toEqual(before.bytes);
    unlinkSync(join(small.disk, 'filler'));
    expect((await put(3, 'too-much', bytes)).exit).toBe(0);
    expect((await get(1, 'too-much')).equals(bytes)).toBe(true);
  });

  test('not a byte left: 75, and the same command again is harmless', async () => {
    await fill(0);
    const run = await put(3, 'note', Buffer.from('a note'));
    expect(run.exit, run.stderr).toBe(75);
    expect(await get(3, before.path)).toEqual(before.bytes);
    expect((await cluster.run(3, 'node', 'status')).exit).toBe(0);
    unlinkSync(join(small.disk, 'filler'));
    await cluster.until(
      () => put(3, 'note', Buffer.from('a note')),
      ({ exit }) => exit === 0,
      'the put works again',
    );
    expect(await get(2, 'note')).toEqual(Buffer.from('a note'));
    const log = await aegisJson<{ total: number; heads: number }>([
      '--home',
      cluster.node(2).home,
      'kb',
      'log',
      'note',
    ]);
    expect(log).toMatchObject({ total: 1, heads: 1 });
  });

  test('not a byte left, and others write: the node keeps up when there is room', async () => {
    await fill(0);
    expect((await put(1, 'elsewhere', randomBytes(2 * MIB))).exit).toBe(0);
    expect((await cluster.run(3, 'node', 'status')).exit).toBe(0);
    unlinkSync(join(small.disk, 'filler'));
    await cluster.until(
      () => cluster.run(3, 'kb', 'stat', 'elsewhere', '--json'),
      ({ exit, stdout }) => exit === 0 && stdout.includes('"local":true'),
      'node 3 holds it',
    );
  });
});
