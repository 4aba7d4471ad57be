import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { isAlive, startTicksOf } from '../../src/core/processes.ts';
import { needs } from '../helpers/needs.ts';

test('a process is known by its pid and the moment of its start', () => {
  const ticks = startTicksOf(process.pid);
  expect(isAlive({ pid: process.pid, startTicks: ticks })).toBe(true);
  expect(isAlive({ pid: process.pid, startTicks: undefined })).toBe(true);
  if (ticks !== undefined) expect(isAlive({ pid: process.pid, startTicks: ticks - 1 })).toBe(false);
  // No Linux or macOS gives out such a pid.
  expect(isAlive({ pid: 2 ** 22 + 1, startTicks: undefined })).toBe(false);
});

test.skipIf(!needs('/proc/self/stat', 'zombies'))('a zombie does not live', async () => {
  // A parent that never collects its child, as the first process of many containers.
  const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void parent.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
  const zombie = { pid: Number(line), startTicks: undefined };
  await expect.poll(() => isAlive(zombie)).toBe(false);
  expect(startTicksOf(zombie.pid)).toBeGreaterThan(0);
});
