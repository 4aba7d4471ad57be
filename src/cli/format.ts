/**
 * Text for people: sizes and times; tables and safe text from their own files.
 * Written by hand because the first use of Intl or localeCompare costs a short command 3 to 12 ms.
 */
import { AegisError } from '../core/errors.ts';
import { safeText } from './text.ts';

export { type Column, facts, table } from './table.ts';
export { safeText } from './text.ts';

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `1536` -> `1.5 KiB`. Three significant digits at most, binary units. */
export function bytes(sizeBytes: number): string {
  let value = sizeBytes;
  let unit = 0;
  while (value >= 1023.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

const SPANS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** `90_000` -> `1m30s`; below one second in milliseconds. The two greatest units at most. */
export function span(durationMs: number): string {
  const ms = Math.max(0, durationMs);
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)}s`;
  let rest = Math.floor(ms / 1000) * 1000;
  const parts: string[] = [];
  for (const [unit, lengthMs] of SPANS) {
    const count = Math.floor(rest / lengthMs);
    rest -= count * lengthMs;
    if (count > 0 || parts.length === 1) parts.push(count > 0 ? `${count}${unit}` : '');
    if (parts.length === 2) break;
  }
  return parts.join('');
}

/** How long ago `atMs` (or an RFC 3339 time) was, e.g. `3m20s ago`. */
export function ago(at: number | string, nowMs: number = Date.now()): string {
  const atMs = typeof at === 'string' ? Date.parse(at) : at;
  if (!Number.isFinite(atMs)) return 'unknown';
  return nowMs - atMs < 1000 ? 'now' : `${span(nowMs - atMs)} ago`;
}

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/;
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** `500ms`, `30s`, `2m`, `1h` or a bare number of seconds, in milliseconds. @throws USAGE */
export function parseDuration(text: string): number {
  const match = DURATION.exec(text.trim());
  const ms = match ? Number(match[1]) * DURATION_UNITS[match[2] ?? 's']! : Number.NaN;
  if (!(ms >= 1) || ms > 2 ** 31 - 1) {
    throw new AegisError('USAGE', `${safeText(text)} is not a length of time`, {
      hint: 'Write it as 500ms, 30s, 2m or 1h; a bare number is seconds.',
    });
  }
  return Math.round(ms);
}

const SIZE = /^(\d{1,15})(B|KiB|MiB|GiB)?$/;

/** `64MiB`, `2GiB` or a bare number of bytes. @throws USAGE */
export function parseBytes(text: string): number {
  const match = SIZE.exec(text.trim());
  const unit = BYTE_UNITS.indexOf((match?.[2] ?? 'B') as (typeof BYTE_UNITS)[number]);
  const size = match ? Number(match[1]) * 1024 ** unit : Number.NaN;
  if (size >= 1 && Number.isSafeInteger(size)) return size;
  throw new AegisError('USAGE', `${safeText(text)} is not a size`, {
    hint: 'Write it as 64MiB, 2GiB or a number of bytes.',
  });
}
