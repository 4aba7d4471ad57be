import { spawnSync } from 'node:child_process';
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { statIfPresent, syncDirectory, writeFileAtomic } from '../../src/core/files.ts';
import { needs } from '../helpers/needs.ts';
import { canMount, smallDisk } from './storage/support/child.ts';

const MODULE = new URL('../../src/core/files.ts', import.meta.url).href;

async function scratch(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'aegis-files-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

test('a file is made and replaced with exactly the permissions asked for', async () => {
  const dir = await scratch();
  const path = join(dir, 'a.json');
  await writeFileAtomic(path, 'one');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await writeFileAtomic(path, new Uint8Array([1, 2]), { mode: 0o644 });
  expect((await stat(path)).mode & 0o777).toBe(0o644);
  expect([...(await readFile(path))]).toEqual([1, 2]);
  expect(await readdir(dir)).toEqual(['a.json']);
});

test('a link at the target is replaced, not written through', async () => {
  const dir = await scratch();
  await writeFile(join(dir, 'theirs'), 'theirs');
  await symlink(join(dir, 'theirs'), join(dir, 'ours'));
  await writeFileAtomic(join(dir, 'ours'), 'ours');
  expect(await readFile(join(dir, 'theirs'), 'utf8')).toBe('theirs');
  expect((await lstat(join(dir, 'ours'))).isSymbolicLink()).toBe(false);
});

test('a write that cannot be leaves the old file and no other', async () => {
  const dir = await scratch();
  await mkdir(join(dir, 'folder'));
  await expect(writeFileAtomic(join(dir, 'folder'), 'x')).rejects.toMatchObject({ code: 'BUG' });
  expect(await readdir(dir)).toEqual(['folder']);
  const nowhere = writeFileAtomic(join(dir, 'no', 'such'), 'x');
  await expect(nowhere).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

const noDisk = 'full disk tests';
test.skipIf(!needs('unshare', noDisk) || !canMount())(
  'a full disk keeps the old bytes',
  async () => {
    const dir = await scratch();
    const program = `
    const { writeFileAtomic } = await import(${JSON.stringify(MODULE)});
    const fs = await import('node:fs');
    const path = process.argv[1] + '/a';
    await writeFileAtomic(path, 'old');
    const code = await writeFileAtomic(path, new Uint8Array(2 ** 21)).catch((e) => e.code);
    console.log(code, fs.readFileSync(path, 'utf8'), fs.readdirSync(process.argv[1]).length);
    await writeFileAtomic(path, 'new');
    console.log(fs.readFileSync(path, 'utf8'));`;
    const [command = '', ...args] = smallDisk(dir, '1m');
    const node = [process.execPath, '--input-type=module', '-e', program, dir];
    const { stdout } = spawnSync(command, [...args, ...node], { encoding: 'utf8' });
    expect(stdout).toBe('DISK_FULL old 1\nnew\n');
  },
);

test('what is absent is undefined, a link is seen as one', async () => {
  const dir = await scratch();
  expect(await statIfPresent(join(dir, 'none'))).toBeUndefined();
  await writeFile(join(dir, 'file'), '');
  expect(await statIfPresent(join(dir, 'file', 'below'))).toBeUndefined();
  await symlink(join(dir, 'none'), join(dir, 'link'));
  expect((await statIfPresent(join(dir, 'link')))?.isSymbolicLink()).toBe(true);
  await syncDirectory(dir);
});
