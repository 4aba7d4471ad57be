/** Stops a daemon and waits for the end of its process: for `node stop` and `node restart`. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../core/api/client/client.ts';
import { AegisError } from '../core/errors.ts';

const PAUSE_MS = 50;

/** @returns the process that has ended. @throws {AegisError} `DAEMON_UNREACHABLE`, `TIMEOUT`. */
export async function stopDaemon(client: Client, timeoutMs: number): Promise<number> {
  const { pid } = await client.call('node.stop');
  await gone(pid, timeoutMs);
  return pid;
}

async function gone(pid: number, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (alive(pid)) {
    if (Date.now() > deadline) {
      throw new AegisError('TIMEOUT', `process ${pid} has not ended within ${timeoutMs} ms`, {
        hint: 'It was told to stop; look again: aegis node status',
      });
    }
    await sleep(PAUSE_MS);
  }
}

/** Signal 0 only asks. EPERM: it lives and belongs to somebody else. */
function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
