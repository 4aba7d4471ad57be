/** What the bench has measured, against what was wanted, as a table. */
import { cpus, loadavg, totalmem } from 'node:os';
import { VERSION } from '../../src/cli/version.ts';

export interface Figure {
  readonly name: string;
  readonly unit: string;
  /** Every sample counts: none is thrown away as an outlier. */
  readonly samples: readonly number[];
  /** What is held against the goal. @default 'median' */
  readonly of?: 'median' | 'p95';
  /** What it must reach; without one the figure is for information. */
  readonly goal?: { readonly most: number } | { readonly least: number };
}

export interface Summary {
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  readonly max: number;
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** The smallest sample that at least 95 % of all do not exceed (nearest rank). */
function p95(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? Number.NaN;
}

export const summaryOf = (samples: readonly number[]): Summary => ({
  min: samples.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY),
  median: median(samples),
  p95: p95(samples),
  max: samples.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY),
});

/** Without a goal there is nothing to miss; without samples nothing is reached. */
export function isReached({ goal, samples, of = 'median' }: Figure): boolean {
  if (goal === undefined) return true;
  const value = summaryOf(samples)[of];
  return 'most' in goal ? value <= goal.most : value >= goal.least;
}

const COLUMNS = ['figure', 'goal', 'median', 'p95', 'min', 'max', 'n', 'unit', ''];

export function table(figures: readonly Figure[]): string {
  const rows = [COLUMNS, ...figures.map(rowOf)];
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i > 0 && i < 7 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  return rows.map(line).join('\n');
}

function rowOf(figure: Figure): string[] {
  const { name, goal, samples, unit, of } = figure;
  const bound = goal === undefined ? '-' : 'most' in goal ? `<= ${goal.most}` : `>= ${goal.least}`;
  const wanted = of === 'p95' ? `p95 ${bound}` : bound;
  const { min, median: middle, p95: high, max } = summaryOf(samples);
  const verdict = goal === undefined ? '' : isReached(figure) ? 'ok' : 'MISSED';
  const numbers = [middle, high, min, max].map(text);
  return [name, wanted, ...numbers, `${samples.length}`, unit, verdict];
}

const text = (value: number): string =>
  Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(value < 10 ? 2 : 1);

/** Lines that say on what, and when, the figures were measured. */
export function machine(): string {
  const [first] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const processor = `${cpus().length} x ${first?.model.trim() ?? 'unknown processor'}`;
  const { platform, arch, version } = process;
  const date = new Date().toISOString().slice(0, 16).replace('T', ' ');
  const load = `load ${loadavg()[0]!.toFixed(1)}`;
  const { openssl, sqlite } = process.versions;
  return [
    `${processor}, ${memory}, ${platform}-${arch}, ${date} UTC, ${load}`,
    `aegis ${VERSION}, node ${version}, OpenSSL ${openssl}, SQLite ${sqlite}`,
  ].join('\n');
}
