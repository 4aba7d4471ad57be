/** What the bench has measured, against what was wanted, as a table. */
import { cpus, totalmem } from 'node:os';

export interface Figure {
  readonly name: string;
  readonly unit: string;
  /** Every sample counts: none is thrown away as an outlier. */
  readonly samples: readonly number[];
  /** What the median must reach; without one the figure is for information. */
  readonly goal?: { readonly most: number } | { readonly least: number };
}

export interface Summary {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

export const summaryOf = (samples: readonly number[]): Summary => ({
  min: Math.min(...samples),
  median: median(samples),
  max: Math.max(...samples),
});

/** Without a goal there is nothing to miss; without samples nothing is reached. */
export function isReached({ goal, samples }: Figure): boolean {
  if (goal === undefined) return true;
  const value = median(samples);
  return 'most' in goal ? value <= goal.most : value >= goal.least;
}

const COLUMNS = ['figure', 'goal', 'median', 'min', 'max', 'n', 'unit', ''];

export function table(figures: readonly Figure[]): string {
  const rows = [COLUMNS, ...figures.map(rowOf)];
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i > 0 && i < 6 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  return rows.map(line).join('\n');
}

function rowOf(figure: Figure): string[] {
  const { name, goal, samples, unit } = figure;
  const wanted = goal === undefined ? '-' : 'most' in goal ? `<= ${goal.most}` : `>= ${goal.least}`;
  const { min, median: middle, max } = summaryOf(samples);
  const verdict = goal === undefined ? '' : isReached(figure) ? 'ok' : 'MISSED';
  return [name, wanted, text(middle), text(min), text(max), `${samples.length}`, unit, verdict];
}

const text = (value: number): string =>
  Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(value < 10 ? 2 : 1);

/** One line that says on what, and when, the figures were measured. */
export function machine(): string {
  const [first] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const processor = `${cpus().length} x ${first?.model.trim() ?? 'unknown processor'}`;
  const { platform, arch, version } = process;
  const date = new Date().toISOString().slice(0, 16).replace('T', ' ');
  return `${processor}, ${memory}, ${platform}-${arch}, node ${version}, ${date} UTC`;
}
