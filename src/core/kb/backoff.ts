/** Delays that grow, with a jitter that is the same for the same names and attempt. */
import { blake3 } from '../crypto/hash.ts';
import { type Duration, duration } from '../units.ts';

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** @returns between half of and the whole exponential delay. `attempt` counts from 0. */
export function backoff(name: string, attempt: number, options: BackoffOptions): Duration {
  const full = Math.min(options.firstMs * 2 ** Math.min(attempt, 30), options.maxMs);
  const hash = blake3(Buffer.from(`${name}/${attempt}`));
  const fraction = (hash[0]! * 256 + hash[1]!) / 65_536;
  return duration(Math.round(full / 2 + (full / 2) * fraction));
}
