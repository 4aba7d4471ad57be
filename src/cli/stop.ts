/** Stops a daemon and waits for the end of its process: for `node stop` and `node restart`. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../core/api/client/client.ts';
import { AegisError } from '../core/errors.ts';
import { isAlive } from '../core/processes.ts';

const PAUSE_MS = 50;

/** @returns the process that has ended. @throws {AegisError} `DAEMON_UNREACHABLE`, `TIMEOUT`. */
export async function stopDaemon(client: Client, timeoutMs: number): Promise<number> {
  const { pid } = await client.call('node.stop');
  await gone(pid, timeoutMs);
  return pid;
}

async function gone(pid: number, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (isAlive({ pid, startTicks: undefined })) {
    if (Date.now() > deadline) {
      throw new AegisError('TIMEOUT', `process ${pid} has not ended within ${timeoutMs} ms`, {
        hint: 'It was told to stop; look again: aegis node status',
      });
    }
    await sleep(PAUSE_MS);
  }
}
