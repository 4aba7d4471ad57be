/** A line on standard error for work that takes longer than a second, on a terminal only. */
import { bytes, span } from '../format.ts';

export interface ProgressOptions {
  readonly label: string;
  /** When known. */
  readonly totalBytes?: number | undefined;
  /** `false`: draws nothing. */
  readonly draw: boolean;
}

const QUIET_MS = 1000;
const REDRAW_MS = 250;

/** Passes `source` on and draws how far it is. */
export async function* withProgress(
  source: AsyncIterable<Uint8Array>,
  options: ProgressOptions,
): AsyncGenerator<Uint8Array, void> {
  if (!options.draw) {
    yield* source;
    return;
  }
  const begun = performance.now();
  let done = 0;
  let drawnAt = begun + QUIET_MS - REDRAW_MS;
  try {
    for await (const chunk of source) {
      yield chunk;
      done += chunk.byteLength;
      const now = performance.now();
      if (now - drawnAt < REDRAW_MS) continue;
      drawnAt = now;
      process.stderr.write(`\r\u001b[K${progressLine(options, done, now - begun)}`);
    }
  } finally {
    if (performance.now() - begun > QUIET_MS) process.stderr.write('\r\u001b[K');
  }
}

/** `notes.md  3.0 MiB of 12 MiB  25 %  1.5 MiB/s  6.0s left` */
export function progressLine(options: ProgressOptions, doneBytes: number, spentMs: number): string {
  const { label, totalBytes } = options;
  const perSecond = spentMs > 0 ? (1000 * doneBytes) / spentMs : 0;
  const rate = `${bytes(perSecond)}/s`;
  if (totalBytes === undefined || totalBytes === 0) {
    return [label, bytes(doneBytes), rate].join('  ');
  }
  const share = Math.min(100, Math.floor((100 * doneBytes) / totalBytes));
  const leftMs = perSecond > 0 ? (1000 * Math.max(0, totalBytes - doneBytes)) / perSecond : 0;
  const parts = [label, `${bytes(doneBytes)} of ${bytes(totalBytes)}`, `${share} %`, rate];
  return [...parts, `${span(leftMs)} left`].join('  ');
}
