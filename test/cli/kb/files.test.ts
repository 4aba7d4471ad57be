/** What `kb put` reads from a disk and `kb get` writes to one. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSource } from '../../../src/cli/kb/source.ts';
import { checkTarget, writeFileTarget, writeTreeTarget } from '../../../src/cli/kb/target.ts';
import { quoteName, walk } from '../../../src/cli/kb/walk.ts';
import { unpackTar } from '../../../src/core/api/tar.ts';
import { AegisError } from '../../../src/core/errors.ts';

let root: string;
const at = (...parts: string[]): string => join(root, ...parts);
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'aegis-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts);
}
const refused = (code: string, message: RegExp) => ({
  code,
  message: expect.stringMatching(message),
});

it('lists files and empty directories in the order of their bytes', async () => {
  mkdirSync(at('b', 'empty'), { recursive: true });
  mkdirSync(at('é'));
  for (const name of ['b/x', 'b.txt', 'a', 'Z', 'é/new\nline']) writeFileSync(at(name), name);
  const found = await walk(root);
  expect(found.map(({ path, kind, sizeBytes }) => [path, kind, sizeBytes])).toEqual([
    ['Z', 'file', 1],
    ['a', 'file', 1],
    ['b/empty', 'directory', 0],
    ['b/x', 'file', 3],
    ['b.txt', 'file', 5],
    ['é/new\nline', 'file', 11],
  ]);
});

it('follows links inside the directory, refuses those that leave it or go in circles', async () => {
  mkdirSync(at('top', 'd'), { recursive: true });
  writeFileSync(at('top', 'd', 'f'), 'x');
  writeFileSync(at('outside'), 'secret');
  symlinkSync('d', at('top', 'e'));
  symlinkSync('../d/f', at('top', 'd', 'g'));
  expect((await walk(at('top'))).map(({ path }) => path)).toEqual(['d/f', 'd/g', 'e/f', 'e/g']);

  symlinkSync('../outside', at('top', 'out'));
  await expect(walk(at('top'))).rejects.toMatchObject(
    refused('UNSUPPORTED_FILE', /"out".*leads out/),
  );
  rmSync(at('top', 'out'));
  for (const target of ['..', '.', '../d']) {
    symlinkSync(target, at('top', 'd', 'up'));
    const call = walk(at('top'));
    await expect(call).rejects.toMatchObject(refused('UNSUPPORTED_FILE', /"d\/up".*circle/));
    rmSync(at('top', 'd', 'up'));
  }
  symlinkSync('self', at('top', 'self'));
  await expect(walk(at('top'))).rejects.toMatchObject(
    refused('UNSUPPORTED_FILE', /"self".*circle/),
  );
});

it('is not led out of a directory by the start of another name', async () => {
  mkdirSync(at('top'));
  mkdirSync(at('top-secret'));
  writeFileSync(at('top-secret', 'f'), 'x');
  symlinkSync('../top-secret/f', at('top', 'l'));
  await expect(walk(at('top'))).rejects.toMatchObject(refused('UNSUPPORTED_FILE', /leads out/));
});

it('names a dangling link', async () => {
  symlinkSync('nowhere', at('l'));
  await expect(walk(root)).rejects.toMatchObject(refused('UNREADABLE', /"l"/));
});

it('refuses fifos, sockets and devices by name', async () => {
  execFileSync('mkfifo', [at('pipe')]);
  await expect(walk(root)).rejects.toMatchObject(refused('UNSUPPORTED_FILE', /"pipe" is a fifo/));
  await expect(openSource(at('pipe'))).rejects.toMatchObject({
    code: 'UNSUPPORTED_FILE',
    exit: 65,
  });
  rmSync(at('pipe'));
  const server = net.createServer();
  await new Promise<void>((up) => server.listen(at('sock'), up));
  await expect(walk(root)).rejects.toMatchObject(refused('UNSUPPORTED_FILE', /"sock" is a socket/));
  await new Promise((down) => server.close(down));
  await expect(openSource('/dev/null')).rejects.toMatchObject(
    refused('UNSUPPORTED_FILE', /a device/),
  );
});

it('refuses names that are not UTF-8, with escapes', async () => {
  const name = Buffer.concat([Buffer.from(`${root}/caf`), Buffer.from([0xe9, 0x0a])]);
  writeFileSync(name, 'x');
  await expect(walk(root)).rejects.toMatchObject(refused('UNSUPPORTED_FILE', /"caf\\xe9\\x0a"/));
  rmSync(name);
  expect(quoteName(Buffer.from('a\u001b[31m'))).toBe('"a\\x1b[31m"');
});

it('limits entries and depth', async () => {
  mkdirSync(at('a', 'b', 'c'), { recursive: true });
  writeFileSync(at('f'), '');
  await expect(walk(root, { entriesMax: 1 })).rejects.toMatchObject({ code: 'TOO_LARGE' });
  await expect(walk(root, { depthMax: 2 })).rejects.toMatchObject({ code: 'TOO_LARGE' });
});

it('reads a file, an empty file and a directory', async () => {
  mkdirSync(at('d', 'e'), { recursive: true });
  writeFileSync(at('d', 'f'), Buffer.alloc(700_000, 'f'));
  writeFileSync(at('d', 'g'), '');
  const file = await openSource(at('d', 'f'));
  expect(file).toMatchObject({ kind: 'file', name: 'f', sizeBytes: 700_000 });
  expect(await collect(file.bytes)).toEqual(Buffer.alloc(700_000, 'f'));
  expect(await collect((await openSource(at('d', 'g'))).bytes)).toHaveLength(0);
  const directory = await openSource(at('d'));
  expect(directory).toMatchObject({ kind: 'directory', name: 'd' });
  const seen: unknown[] = [];
  for await (const { path, bytes } of unpackTar(directory.bytes)) {
    seen.push([path, (await collect(bytes)).length]);
  }
  expect(seen).toEqual([
    ['e', 0],
    ['f', 700_000],
    ['g', 0],
  ]);
});

it('names what is not there', async () => {
  await expect(openSource(at('nothing'))).rejects.toMatchObject({ code: 'UNREADABLE', exit: 66 });
});

it.each([
  ['grows', () => appendFileSync(at('f'), 'more')],
  ['shrinks', () => truncateSync(at('f'), 10)],
  [
    'is another',
    () => {
      writeFileSync(at('g'), Buffer.alloc(5));
      renameSync(at('g'), at('f'));
    },
  ],
])('refuses a file that %s before it is read', async (_, change) => {
  writeFileSync(at('f'), Buffer.alloc(1_000_000));
  const source = await openSource(at('f'));
  change();
  await expect(collect(source.bytes)).rejects.toMatchObject(refused('UNREADABLE', /changed/));
});

it.each([
  ['grows', () => appendFileSync(at('f'), 'more')],
  ['shrinks', () => truncateSync(at('f'), 10)],
])('refuses a file that %s while it is read', async (_, change) => {
  writeFileSync(at('f'), Buffer.alloc(1_000_000));
  const { bytes } = await openSource(at('f'));
  const call = (async () => {
    for await (const _chunk of bytes) change();
  })();
  await expect(call).rejects.toMatchObject(refused('UNREADABLE', /changed/));
});

async function* pieces(...texts: (string | Error)[]) {
  for (const text of texts) {
    if (text instanceof Error) throw text;
    yield Buffer.from(text);
  }
}
const cut = new AegisError('STALLED', 'cut');

it('writes a file whole, or not at all', async () => {
  await writeFileTarget({ path: at('f'), force: false }, pieces('a', 'b'));
  expect(readFileSync(at('f'), 'utf8')).toBe('ab');
  const broken = writeFileTarget({ path: at('g'), force: false }, pieces('a', cut));
  await expect(broken).rejects.toBe(cut);
  expect(readdirSync(root)).toEqual(['f']);
});

it('replaces a file only when told to, and keeps the old one when it fails', async () => {
  writeFileSync(at('f'), 'old');
  const options = { path: at('f'), force: false };
  await expect(checkTarget(options)).rejects.toMatchObject({ code: 'EXISTS', exit: 73 });
  await expect(writeFileTarget(options, pieces('new'))).rejects.toMatchObject({ code: 'EXISTS' });
  const broken = writeFileTarget({ ...options, force: true }, pieces('new', cut));
  await expect(broken).rejects.toBe(cut);
  expect(readFileSync(at('f'), 'utf8')).toBe('old');
  await writeFileTarget({ ...options, force: true }, pieces('new'));
  expect(readFileSync(at('f'), 'utf8')).toBe('new');
  expect(readdirSync(root)).toEqual(['f']);
});

it('does not write through a link, and refuses a directory in the way', async () => {
  writeFileSync(at('real'), 'old');
  symlinkSync('real', at('l'));
  const options = { path: at('l'), force: false };
  await expect(writeFileTarget(options, pieces('x'))).rejects.toMatchObject({ code: 'EXISTS' });
  await writeFileTarget({ ...options, force: true }, pieces('x'));
  expect(readFileSync(at('real'), 'utf8')).toBe('old');
  mkdirSync(at('d'));
  const onto = writeFileTarget({ path: at('d'), force: true }, pieces('x'));
  await expect(onto).rejects.toMatchObject({ code: 'EXISTS' });
});

it('writes to a device as it is', async () => {
  await checkTarget({ path: '/dev/null', force: false });
  await writeFileTarget({ path: '/dev/null', force: false }, pieces('x'));
  expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
});

async function* tree(...entries: [string, string | Error | undefined][]) {
  for (const [path, content] of entries) {
    const kind = content === undefined ? ('directory' as const) : ('file' as const);
    yield {
      path,
      kind,
      sizeBytes: 0,
      bytes: content === undefined ? pieces() : pieces('x', content),
    };
  }
}

it('writes a tree whole, or not at all', async () => {
  const options = { path: at('t'), force: false };
  await writeTreeTarget(options, tree(['a/b/c', 'y'], ['e', undefined]));
  expect(readFileSync(at('t', 'a', 'b', 'c'), 'utf8')).toBe('xy');
  expect(statSync(at('t', 'e')).isDirectory()).toBe(true);
  await expect(writeTreeTarget(options, tree(['n', '']))).rejects.toMatchObject({ code: 'EXISTS' });
  const broken = writeTreeTarget({ ...options, force: true }, tree(['n', ''], ['m', cut]));
  await expect(broken).rejects.toBe(cut);
  expect(readdirSync(at('t'))).toEqual(['a', 'e']);
  await writeTreeTarget({ ...options, force: true }, tree(['n', '']));
  expect(readdirSync(at('t'))).toEqual(['n']);
  expect(readdirSync(root)).toEqual(['t']);
});

it('refuses a tree whose names collide', async () => {
  const call = writeTreeTarget({ path: at('t'), force: false }, tree(['a', ''], ['a/b', '']));
  await expect(call).rejects.toMatchObject(refused('BAD_DATA', /"a\/b"/));
  expect(existsSync(at('t'))).toBe(false);
  expect(readdirSync(root)).toEqual([]);
});
