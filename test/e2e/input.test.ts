/**
 * Goal: whatever a file system or a shell hands to `aegis kb`, the answer is the content or a clear
 * refusal; never half of it, never a stack trace.
 * Setup: two daemons.
 * Check: every odd input, and what is stored and comes back.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { upload } from '../../src/core/api/client/upload.ts';
import { KIB, MIB } from '../../src/core/units.ts';
import { needs } from '../helpers/needs.ts';
import { aegis, BIN, Cluster, type Run, spawnAegis } from './support/cluster.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ size: 2 });
});
afterAll(() => cluster.stop());

/** A fresh directory. */
const scratch = (): string => mkdtempSync(join(cluster.dir, 's-'));
const kb = (node: number, ...args: string[]): Promise<Run> => cluster.run(node, 'kb', ...args);

function expectRefusal(run: Run, exit: number, ...words: string[]): void {
  expect(run.exit, run.stderr).toBe(exit);
  for (const word of words) expect(run.stderr).toContain(word);
  expect(run.stderr).toMatch(/^aegis: error: [^\n]+\n(aegis: hint: [^\n]+\n)?$/);
  expect(run.stdout.length).toBe(0);
}

async function expectStored(run: Run): Promise<void> {
  expect(run.exit, run.stderr).toBe(0);
}

const expectNothingAt = async (path: string): Promise<void> => {
  expect((await kb(1, 'stat', path)).exit).toBe(66);
};

/** Puts a directory on node 1 and gets it on node 2. */
async function roundTrip(dir: string, path: string): Promise<string> {
  await expectStored(await kb(1, 'put', dir, '--path', path));
  const copy = join(scratch(), 'copy');
  await cluster.until(
    () => kb(2, 'stat', path),
    ({ exit }) => exit === 0,
    `node 2 knows ${path}`,
  );
  await expectStored(await kb(2, 'get', path, '-o', copy));
  return copy;
}

/** Relative path in Latin-1 to content, `null` for a directory. */
function contentOf(dir: string): Map<string, Buffer | null> {
  const found = new Map<string, Buffer | null>();
  for (const entry of readdirSync(dir, { recursive: true }) as string[]) {
    const path = join(dir, entry);
    found.set(entry, statSync(path).isDirectory() ? null : readFileSync(path));
  }
  return found;
}

describe('what cannot be stored is refused by name, and nothing of it is stored', () => {
  test('a file that is not there: 66', async () => {
    expectRefusal(await kb(1, 'put', join(scratch(), 'missing')), 66, 'missing');
  });

  test('a file that may not be read: 66', async () => {
    const dir = scratch();
    mkdirSync(join(dir, 'inner'));
    writeFileSync(join(dir, 'inner', 'secret.txt'), 'secret');
    chmodSync(join(dir, 'inner', 'secret.txt'), 0o000);
    for (const what of ['inner', join('inner', 'secret.txt')]) {
      const args = ['--home', cluster.node(1).home, 'kb', 'put', join(dir, what), '--path', 'p'];
      // Root may read everything, so somebody without that right asks.
      const run = await powerless(args);
      expectRefusal(run, 66, 'secret.txt');
    }
    await expectNothingAt('p');
  });

  const sockets: Server[] = [];
  afterAll(() => {
    for (const server of sockets) server.close();
  });

  test.each([
    ['a fifo', (path: string) => void spawnSync('mkfifo', [path])],
    ['a socket', (path: string) => void sockets.push(createServer().listen(path))],
    ['a device', (path: string) => symlinkSync('/dev/zero', path)],
    ['a link that leads in a circle', (path: string) => symlinkSync(path, path)],
    ['a link that leads nowhere', (path: string) => symlinkSync('nowhere', path)],
  ])('%s', async (_kind, make) => {
    const dir = scratch();
    const path = join(dir, 'odd');
    make(path);
    await cluster.until(
      () => lstatSync(path, { throwIfNoEntry: false }),
      (stats) => stats !== undefined,
      'it is made',
    );
    const alone = await kb(1, 'put', path, '--path', 'odd');
    expect([65, 66], alone.stderr).toContain(alone.exit);
    expectRefusal(alone, alone.exit!, 'odd');
    writeFileSync(join(dir, 'good'), 'good');
    const inside = await kb(1, 'put', dir, '--path', 'odd');
    expect([65, 66], inside.stderr).toContain(inside.exit);
    expectRefusal(inside, inside.exit!, 'odd');
    await expectNothingAt('odd');
  });

  test('links out of the directory, in circles, and back to the top: 65', async () => {
    for (const target of ['/etc/hostname', '..', '.', '../../..', 'a/b']) {
      const dir = scratch();
      mkdirSync(join(dir, 'a'));
      symlinkSync('..', join(dir, 'a', 'b'));
      symlinkSync(target, join(dir, 'link'));
      expectRefusal(await kb(1, 'put', dir, '--path', 'links'), 65, 'a link that leads');
    }
    await expectNothingAt('links');
  });

  test('names that are not UTF-8: 65, showing their bytes', async () => {
    const dir = scratch();
    const name = Buffer.concat([Buffer.from(`${dir}/caf`), Buffer.of(0xe9, 0x1b)]);
    writeFileSync(name, 'coffee');
    expectRefusal(await kb(1, 'put', dir, '--path', 'latin'), 65, String.raw`"caf\xe9\x1b"`);
    await expectNothingAt('latin');
  });

  test('a path that the knowledge base does not have: 2', async () => {
    const file = join(scratch(), 'f');
    writeFileSync(file, 'x');
    for (const path of [
      '../up',
      'a/../b',
      './a',
      '/abs',
      'a//b',
      'a/',
      '',
      '..',
      'x'.repeat(2000),
    ]) {
      expectRefusal(await kb(1, 'put', file, '--path', path), 2);
      expectRefusal(await kb(1, 'get', path, '-o', join(scratch(), 'out')), 2);
    }
  });
});

test('a refusal in the middle of an upload arrives, whoever is quicker', async () => {
  const { socket, adminToken } = cluster.home(1);
  const at = { socket, token: readFileSync(adminToken, 'utf8').trim() };
  const target = '/v1/kb/versions?path=..%2Fup&wait=local&timeoutMs=5000';
  const to = { name: 'kb.put', target } as const;
  async function* body(pieces: number) {
    for (let i = 0; i < pieces; i += 1) yield Buffer.alloc(64 * KIB);
  }
  const ends = new Set<unknown>();
  for (let i = 0; i < 100; i += 1) {
    const pieces = 1 + (i % 4) * 5;
    const source = { kind: 'file', bytes: body(pieces), sizeBytes: pieces * 64 * KIB } as const;
    const sent = upload(at, to, source, { timeoutMs: 5000 });
    ends.add(await sent.catch((error: { code: string }) => error.code));
  }
  expect([...ends]).toEqual(['BAD_REQUEST']);
});

/** Runs `aegis` as somebody who may not read what the mode forbids. */
async function powerless(args: readonly string[]): Promise<Run> {
  if (process.getuid?.() !== 0) return await aegis(args);
  const drop = ['--bounding-set', '-all', '--inh-caps', '-all', '--'];
  const run: SpawnSyncReturns<Buffer> = spawnSync('setpriv', [
    ...drop,
    process.execPath,
    BIN,
    ...args,
  ]);
  return { exit: run.status, stdout: run.stdout, stderr: run.stderr.toString() };
}

describe('what can be stored comes back', () => {
  test('an empty file, and files of one byte around the size of an object', async () => {
    const dir = scratch();
    for (const size of [0, 1, MIB - 1, MIB, MIB + 1]) {
      writeFileSync(join(dir, `size-${size}`), randomBytes(size));
    }
    expect(contentOf(await roundTrip(dir, 'sizes'))).toEqual(contentOf(dir));
    const empty = join(scratch(), 'empty');
    writeFileSync(empty, '');
    await expectStored(await kb(1, 'put', empty));
    expect((await kb(1, 'get', 'empty')).stdout.length).toBe(0);
    const out = join(scratch(), 'out');
    await expectStored(await kb(1, 'get', 'empty', '-o', out));
    expect(readFileSync(out).length).toBe(0);
  });

  test('an empty directory, alone and inside', async () => {
    const dir = scratch();
    expect(readdirSync(await roundTrip(dir, 'empty-dir'))).toEqual([]);
    mkdirSync(join(dir, 'a', 'b'), { recursive: true });
    writeFileSync(join(dir, 'file'), 'x');
    expect(contentOf(await roundTrip(dir, 'empty-inside'))).toEqual(contentOf(dir));
  });

  test('names with line ends, controls, quotes, dashes, blanks, and of 255 bytes', async () => {
    const dir = scratch();
    const names = [
      'two\nlines',
      'bell\u0007 escape\u001b[31m tab\t',
      `quotes '"\``,
      '--help',
      '-o',
      ' leading and trailing ',
      '$(touch pwned); `id`',
      '%2e%2e',
      '...',
      'back\\slash',
      'caf\u00e9',
      'cafe\u0301',
      '\u{1f512}\u202egnp.exe',
      'x'.repeat(255),
      '\u00e9'.repeat(127),
      '@bafy',
      'a@b',
    ];
    for (const name of names) writeFileSync(join(dir, name), `content of ${name}`);
    const copy = await roundTrip(dir, 'names');
    expect(contentOf(copy)).toEqual(contentOf(dir));
    // Each can be asked for by itself, and shown without steering the terminal.
    for (const name of names) {
      const run = await kb(2, 'get', `names/${name}`, '-o', '-');
      expect(run.stdout.toString(), run.stderr).toBe(`content of ${name}`);
    }
    const ls = await kb(1, 'ls', 'names');
    // oxlint-disable-next-line no-control-regex -- that is the point
    expect(ls.stdout.toString()).not.toMatch(/[\u0007\u001b\u202e]/);
  });

  test('odd names as paths of their own', async () => {
    const dir = scratch();
    for (const name of ['-n', 'two\nlines', "it's"]) {
      writeFileSync(join(dir, name), name);
      await expectStored(
        await aegis(['--home', cluster.node(1).home, 'kb', 'put', '--', name], { cwd: dir }),
      );
      const run = await kb(1, 'get', '-o', '-', '--', name);
      expect(run.stdout.toString(), run.stderr).toBe(name);
    }
    // One line a path, whatever the path holds.
    const lines = (await kb(1, 'ls')).stdout.toString().trimEnd().split('\n');
    expect(lines.filter((line) => line.includes('lines')).length).toBe(1);
  });

  test('a deep tree, and one that is too deep', async () => {
    const deep = (levels: number): string => {
      const dir = scratch();
      const leaf = join(dir, ...Array.from({ length: levels }, (_, i) => `d${i}`));
      mkdirSync(leaf, { recursive: true });
      writeFileSync(join(leaf, 'leaf'), 'at the end');
      return dir;
    };
    const dir = deep(50);
    expect(contentOf(await roundTrip(dir, 'deep'))).toEqual(contentOf(dir));
    expectRefusal(await kb(1, 'put', deep(100), '--path', 'too-deep'), 65, 'deep');
    await expectNothingAt('too-deep');
  });

  test('a directory of 3,000 names, which is sharded', async () => {
    const dir = scratch();
    for (let i = 0; i < 3000; i += 1) writeFileSync(join(dir, `${'n'.repeat(80)}-${i}`), `${i}`);
    expect(contentOf(await roundTrip(dir, 'many'))).toEqual(contentOf(dir));
  });

  test('links inside the directory are followed', async () => {
    const dir = scratch();
    mkdirSync(join(dir, 'real'));
    writeFileSync(join(dir, 'real', 'file'), 'linked');
    symlinkSync('real', join(dir, 'to-dir'));
    symlinkSync('real/file', join(dir, 'to-file'));
    const copy = await roundTrip(dir, 'linked');
    expect(lstatSync(join(copy, 'to-file')).isFile()).toBe(true);
    expect(contentOf(copy)).toEqual(contentOf(dir));
  });

  test('standard input and output', async () => {
    const bytes = randomBytes(3 * MIB + 17);
    const put = ['--home', cluster.node(1).home, 'kb', 'put', '-'];
    expectRefusal(await aegis(put, { input: bytes }), 2, '--path');
    await expectStored(await aegis([...put, '--path', 'piped'], { input: bytes }));
    expect((await kb(1, 'get', 'piped')).stdout.equals(bytes)).toBe(true);
    expect((await kb(2, 'get', 'piped', '-o', '-')).stdout.equals(bytes)).toBe(true);
    expect((await kb(1, 'get', 'piped', '--json')).exit).toBe(2);
  });

  test('a device and a fifo can be written to', async () => {
    await expectStored(await kb(1, 'get', 'piped', '-o', '/dev/null'));
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });
});

describe('readers that leave early', () => {
  const shell = (line: string) => {
    const env = { ...process.env, NO_COLOR: '1', A: `${process.execPath} ${BIN}` };
    const home = cluster.node(1).home;
    return spawnSync('bash', ['-c', line], { env: { ...env, AEGIS_HOME: home } });
  };

  beforeAll(async () => {
    const input = randomBytes(8 * MIB);
    const put = ['--home', cluster.node(1).home, 'kb', 'put', '-', '--path'];
    await expectStored(await aegis([...put, 'large'], { input }));
    for (let i = 0; i < 3; i += 1) {
      await expectStored(
        await aegis([...put, `x/${i}`, '--wait', 'local'], { input: Buffer.of(i) }),
      );
    }
  });

  test.each([
    ['kb ls | head -1', 'head -1'],
    ['kb get large -o - | head -c 10', 'head -c 10'],
    ['kb get large | true', 'true'],
    ['kb log large | true', 'true'],
    ['kb get many -o - | head -c 100', 'head -c 100'],
    ['--help | head -1', 'head -1'],
    ['--help | true', 'true'],
    ['--version | true', 'true'],
    ['kb put --help | true', 'true'],
    ['kb ls --json | true', 'true'],
    ['peers --json | true', 'true'],
  ])('aegis %s', (line) => {
    const { stdout, stderr } = shell(
      `$A ${line}; status="\${PIPESTATUS[0]}"; echo; echo "$status"`,
    );
    expect(stderr.toString()).toBe('');
    expect(['0', '141']).toContain(stdout.toString('latin1').trimEnd().split('\n').at(-1));
  });

  test('nobody reads standard error', () => {
    const { stdout } = shell('$A kb get nothing-here 2> >(true); echo "$?"');
    expect(stdout.toString().trim()).toBe('66');
  });

  test.skipIf(!needs('/dev/full', 'a full output'))('standard output is full', () => {
    const { stdout, stderr } = shell('$A kb ls > /dev/full; echo "$?"');
    expect(stdout.toString().trim(), stderr.toString()).toBe('75');
    expect(stderr.toString()).toMatch(/^aegis: error: [^\n]+\n/);
    expect(stderr.toString()).not.toContain('    at ');
  });
});

describe('targets', () => {
  test('what exists is not replaced unasked: 73', async () => {
    const out = join(scratch(), 'out');
    writeFileSync(out, 'mine');
    expectRefusal(await kb(1, 'get', 'piped', '-o', out), 73, out, '--force');
    expect(readFileSync(out, 'utf8')).toBe('mine');
    await expectStored(await kb(1, 'get', 'piped', '-o', out, '--force'));
    expect(statSync(out).size).toBe(3 * MIB + 17);
    const dir = scratch();
    expectRefusal(await kb(1, 'get', 'sizes', '-o', dir), 73, dir);
    expectRefusal(await kb(1, 'get', 'piped', '-o', dir), 73, dir);
    expect(readdirSync(dir)).toEqual([]);
  });

  test('a link is not written through', async () => {
    const dir = scratch();
    const victim = join(dir, 'victim');
    writeFileSync(victim, 'untouched');
    symlinkSync(victim, join(dir, 'link'));
    expectRefusal(await kb(1, 'get', 'piped', '-o', join(dir, 'link')), 73);
    await expectStored(await kb(1, 'get', 'piped', '-o', join(dir, 'link'), '--force'));
    expect(readFileSync(victim, 'utf8')).toBe('untouched');
  });

  test('a directory that does not exist', async () => {
    const dir = scratch();
    writeFileSync(join(dir, 'file'), '');
    for (const path of ['piped', 'sizes']) {
      expectRefusal(await kb(1, 'get', path, '-o', join(dir, 'no', 'out')), 66, join(dir, 'no'));
      expectRefusal(await kb(1, 'get', path, '-o', join(dir, 'file', 'out')), 66, 'file');
      expectRefusal(await kb(1, 'get', path, '-o', join(dir, 'x'.repeat(256))), 2, 'too long');
    }
    expect(readdirSync(dir)).toEqual(['file']);
  });

  test('what is unknown: 66', async () => {
    expectRefusal(await kb(1, 'get', 'unknown'), 66, 'unknown');
    expectRefusal(await kb(1, 'get', 'sizes/unknown', '-o', '-'), 66, 'unknown');
    expectRefusal(await kb(1, 'get', 'piped@bafyaaaaaaaaaaaa', '-o', '-'), 66, 'piped');
    expectRefusal(await kb(1, 'log', 'unknown'), 66, 'unknown');
    expectRefusal(await kb(1, 'stat', 'unknown'), 66, 'unknown');
    expectRefusal(await kb(1, 'where', 'unknown'), 66, 'unknown');
  });

  test('Ctrl-C while a file is written leaves nothing', async () => {
    const dir = scratch();
    const put = ['--home', cluster.node(1).home, 'kb', 'put', '-', '--path', 'big'];
    await expectStored(await aegis([...put, '--wait', 'local'], { input: randomBytes(48 * MIB) }));
    const get = ['--home', cluster.node(1).home, 'kb', 'get', 'big', '-o', join(dir, 'big')];
    const running = spawnAegis(get);
    await cluster.until(
      () => readdirSync(dir),
      (names) => names.length > 0,
      'the temporary file appears',
    );
    running.child.kill('SIGINT');
    const { exit } = await running.done;
    expect([0, 130]).toContain(exit);
    expect(readdirSync(dir)).toEqual(exit === 0 ? ['big'] : []);
  });
});

const isRoot = process.getuid?.() === 0;
test.skipIf(!needs('setpriv', 'the API and another user') || !isRoot)(
  'another user of the machine learns nothing from the API',
  () => {
    const { home } = cluster.node(1);
    const as = ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--'];
    const args = [process.execPath, BIN, '--home', home, 'node', 'status', '--json'];
    const run = spawnSync('setpriv', [...as, ...args], { env: { PATH: process.env['PATH'] } });
    expect(run.status).not.toBe(0);
    expect(run.stdout.toString()).not.toContain('nodeId');
  },
);
