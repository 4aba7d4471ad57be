import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RotatingFile } from '../../../src/core/telemetry/rotating-file.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'aegis-'));
  path = join(directory, 'node.log');
});
afterEach(() => rmSync(directory, { recursive: true }));

const read = (name = 'node.log'): string => readFileSync(join(directory, name), 'utf8');

it('appends to what is there, for its user only', async () => {
  writeFileSync(path, 'before\n', { mode: 0o600 });
  const file = new RotatingFile({ path });
  file.write('one\n');
  file.write('two\n');
  await file.close();
  expect(read()).toBe('before\none\ntwo\n');
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

it('rotates by size and keeps only so many files, losing no line among them', async () => {
  const file = new RotatingFile({ path, maxSizeBytes: 100, files: 3 });
  const line = (index: number): string => `line ${String(index).padStart(4, '0')}\n`;
  for (let index = 0; index < 60; index += 1) {
    file.write(line(index));
    if (index % 7 === 0) await file.flush();
  }
  await file.close();
  expect(readdirSync(directory).toSorted()).toEqual([
    'node.log',
    'node.log.1',
    'node.log.2',
    'node.log.3',
  ]);
  const all = ['node.log.3', 'node.log.2', 'node.log.1', 'node.log'].map(read).join('');
  const first = Number(all.slice(5, 9));
  expect(all).toBe(Array.from({ length: 60 - first }, (_, at) => line(first + at)).join(''));
  for (const name of readdirSync(directory)) {
    expect(statSync(join(directory, name)).size).toBeLessThanOrEqual(100);
  }
});

it('keeps one file when none are to be kept beside it', async () => {
  const file = new RotatingFile({ path, maxSizeBytes: 20, files: 0 });
  for (let index = 0; index < 10; index += 1) {
    file.write(`number ${index}\n`);
    await file.flush();
  }
  await file.close();
  expect(readdirSync(directory)).toEqual(['node.log']);
  expect(read()).toBe('number 8\nnumber 9\n');
});

it('writes everything once when a synchronous flush meets a write on its way', async () => {
  const file = new RotatingFile({ path });
  file.write('first\n');
  // Now the batch is on its way to the disk.
  await new Promise(setImmediate);
  file.write('second\n');
  file.flushSync();
  expect(read()).toBe('first\nsecond\n');
  file.write('third\n');
  await file.close();
  expect(read()).toBe('first\nsecond\nthird\n');
});

it('loses no line when the process dies after a synchronous flush', async () => {
  const module = new URL('../../../src/core/telemetry/rotating-file.ts', import.meta.url);
  const program = `
    const { RotatingFile } = await import(${JSON.stringify(module.href)});
    const file = new RotatingFile({ path: ${JSON.stringify(path)} });
    for (let at = 0; at < 1000; at += 1) file.write('line ' + at + '\\n');
    setImmediate(() => setImmediate(() => {
      file.write('the last words\\n');
      file.flushSync();
      process.kill(process.pid, 'SIGKILL');
    }));`;
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  await expect(run).rejects.toMatchObject({ signal: 'SIGKILL' });
  const lines = read().split('\n');
  expect(lines).toHaveLength(1002);
  expect(lines.at(-2)).toBe('the last words');
});

it('drops and counts lines when too many wait, and what comes after close', async () => {
  const file = new RotatingFile({ path, pendingBytesMax: 10 });
  file.write('12345678\n');
  file.write('12345678\n');
  expect(file.dropped).toBe(1);
  await file.close();
  file.write('late\n');
  expect(file.dropped).toBe(2);
  expect(read()).toBe('12345678\n');
});

it('goes on without a disk that takes nothing', async () => {
  const file = new RotatingFile({ path: '/dev/full' });
  file.write('one\n');
  file.write('two\n');
  await file.flush();
  expect(file.dropped).toBe(2);
  file.write('three\n');
  file.flushSync();
  expect(file.dropped).toBe(3);
  await file.close();
});
