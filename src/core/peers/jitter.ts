/**
 * Deterministic jitter: the same node, peer and attempt always wait equally long, and different
 * nodes differently, so that a cluster that lost its network does not dial in step.
 */
import { sha256 } from '../crypto/hash.ts';
import { type Duration, duration } from '../units.ts';

const utf8 = new TextEncoder();

/** A number in [0, 1) that depends on nothing but its arguments. */
export function fraction(...parts: readonly (string | number)[]): number {
  const digest = sha256(utf8.encode(parts.join('\0')));
  return new DataView(digest.buffer, digest.byteOffset, 4).getUint32(0) / 2 ** 32;
}

/**
 * Exponential back-off with jitter: between half of and the whole of `2 * minMs * 2^round`, never
 * above `maxMs`, never below `minMs`.
 * @param round 0 for the first failure.
 * @param part a number in [0, 1), e.g. of `fraction`.
 */
export function backoff(
  round: number,
  part: number,
  limits: { minMs: number; maxMs: number },
): Duration {
  // 2^40 is beyond every maximum; larger exponents would only overflow.
  const base = Math.min(limits.maxMs, 2 * limits.minMs * 2 ** Math.min(round, 40));
  return duration(Math.max(limits.minMs, Math.round(base * (0.5 + part / 2))));
}
