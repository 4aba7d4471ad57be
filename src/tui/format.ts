/** Figures for people: a number and its unit, short enough for a column. Knows no layout. */

const SIZE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** A figure that is absent, not finite or negative where that makes no sense. */
export const NOTHING = '-';

const usable = (value: number | undefined | null): value is number =>
  typeof value === 'number' && Number.isFinite(value);

/** `12 B`, `3.4 KiB`, `120 MiB`. Powers of 1024. */
export function size(bytes: number | undefined | null): string {
  if (!usable(bytes) || bytes < 0) return NOTHING;
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < SIZE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${SIZE_UNITS[unit]}`;
}

/** `3.4 KiB/s` from bytes a second. */
export const rate = (bytesPerSecond: number | undefined | null): string => {
  const text = size(bytesPerSecond);
  return text === NOTHING ? NOTHING : `${text}/s`;
};

/** `0.4 ms`, `12 ms`, `1.2 s`. */
export function latency(ms: number | undefined | null): string {
  if (!usable(ms) || ms < 0) return NOTHING;
  if (ms >= 999.5) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 9.95 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(0)} ms`;
}

/** `3.1 %` from per cent of one core. */
export const percent = (value: number | undefined | null): string =>
  usable(value) ? `${value.toFixed(1)} %` : NOTHING;

export const count = (value: number | undefined | null): string =>
  usable(value) ? String(Math.round(value)) : NOTHING;

/** A span in its two largest units: `8 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. */
export function span(ms: number | undefined | null): string {
  if (!usable(ms)) return NOTHING;
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return pair(minutes, 'min', seconds % 60, 's');
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return pair(hours, 'h', minutes % 60, 'min');
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

/** A span in its largest unit alone, for a column: `8 s`, `3 min`, `2 h`, `4 d`. */
export function shortSpan(ms: number | undefined | null): string {
  return span(ms).split(' ').slice(0, 2).join(' ');
}

const pair = (a: number, unitA: string, b: number, unitB: string): string =>
  b === 0 ? `${a} ${unitA}` : `${a} ${unitA} ${b} ${unitB}`;

/** How long ago an RFC 3339 time was; a clock that runs ahead gives `0 s`. */
export function ageMs(time: string | undefined | null, nowMs: number): number | undefined {
  const at = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isFinite(at) ? Math.max(0, nowMs - at) : undefined;
}
