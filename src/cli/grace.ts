/** Reads `--grace`. */
import { AegisError } from '../core/errors.ts';
import { GRACE_MAX_MS } from '../core/model/succession.ts';
import { safeText } from './text.ts';

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `0`, `90s`, `30m`, `24h` or `7d`, in milliseconds. @throws {AegisError} `USAGE`. */
export function parseGrace(text: string): number {
  const match = /^(\d{1,9})(s|m|h|d)$/.exec(text.trim());
  const ms = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]!]!;
  if (text.trim() === '0') return 0;
  if (ms <= GRACE_MAX_MS) return ms;
  throw new AegisError('USAGE', `${safeText(text)} is not a grace`, {
    hint: 'Write it as 24h, 30m or 7d; 0 for none, 30d at most.',
  });
}
