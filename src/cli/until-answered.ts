/** Asks again while a daemon is starting. */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../core/errors.ts';

const PAUSE_MS = 100;

/**
 * Calls `ask` with the time that is left until it answers, or fails for a reason that waiting will
 * not mend.
 *
 * @param options.deadline in ms since the epoch; then the last failure is thrown.
 */
export async function untilAnswered<T>(
  options: { deadline: number; signal: AbortSignal },
  ask: (timeoutMs: number) => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await ask(Math.max(1, options.deadline - Date.now()));
    } catch (error) {
      const starting = hasCode(error, 'DAEMON_UNREACHABLE', 'TRY_AGAIN');
      if (!starting || Date.now() + PAUSE_MS >= options.deadline) throw error;
    }
    await sleep(PAUSE_MS, undefined, { signal: options.signal });
  }
}
