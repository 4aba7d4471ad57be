import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { isAlive } from '../../../src/core/processes.ts';
import { HomeLock } from '../../../src/core/storage/home-lock.ts';
import { scratch } from './support/stores.ts';

const MODULE = new URL('../../../src/core/storage/home-lock.ts', import.meta.url).href;

/** Another process that takes the lock, says so, and keeps it. */
async function holder(path: string) {
  const program = `
    const { HomeLock } = await import(${JSON.stringify(MODULE)});
    globalThis.lock = await HomeLock.acquire(${JSON.stringify(path)});
    console.log('held');
    setInterval(() => {}, 1e6);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await once(child.stdout, 'data');
  return { child, ended };
}

test('a second daemon is refused, in this process and in another, with a name', async () => {
  const path = join(await scratch(), 'run', 'daemon.lock');
  const lock = await HomeLock.acquire(path);
  const refused = { code: 'ALREADY_RUNNING', exit: 73, details: { path, pid: process.pid } };
  await expect(HomeLock.acquire(path)).rejects.toMatchObject(refused);
  // The attempt has not loosened the lock.
  await expect(HomeLock.acquire(path)).rejects.toMatchObject(refused);
  expect(await HomeLock.inspect(path)).toMatchObject({ held: true, holder: { pid: process.pid } });
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await lock.release();
  expect(await HomeLock.inspect(path)).toEqual({ held: false, holder: undefined });

  const { child } = await holder(path);
  await expect(HomeLock.acquire(path)).rejects.toMatchObject({
    message: expect.stringContaining(`process ${child.pid}`),
  });
});

test('kill -9 frees the lock; what the dead process noted is not believed', async () => {
  const path = join(await scratch(), 'daemon.lock');
  const { child, ended } = await holder(path);
  child.kill('SIGKILL');
  await ended;
  const state = await HomeLock.inspect(path);
  expect(state).toMatchObject({ held: false, holder: { pid: child.pid } });
  expect(isAlive(state.holder!)).toBe(false);
  const lock = await HomeLock.acquire(path);
  await lock.release();
});

test('a process number that was given to somebody else is not the holder', async () => {
  const path = join(await scratch(), 'daemon.lock');
  const { child } = await holder(path);
  const note = JSON.parse(await readFile(`${path}.json`, 'utf8')) as object;
  await writeFile(`${path}.json`, JSON.stringify({ ...note, pid: 2 ** 22 + 1 }));
  const refused = HomeLock.acquire(path);
  await expect(refused).rejects.toMatchObject({ message: expect.stringContaining('another') });
  expect(child.exitCode).toBeNull();
});

test.each(['', 'null', '[]', '{"pid":"1"}', `{"pid":1,"since":3}`, 'x'.repeat(9000)])(
  'a note of %.20j harms nobody',
  async (text) => {
    const path = join(await scratch(), 'daemon.lock');
    await writeFile(`${path}.json`, text);
    expect(await HomeLock.inspect(path)).toEqual({ held: false, holder: undefined });
    const lock = await HomeLock.acquire(path);
    await writeFile(`${path}.json`, text);
    await expect(HomeLock.acquire(path)).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
    await lock.release();
  },
);
