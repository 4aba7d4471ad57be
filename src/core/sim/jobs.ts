/** A campaign on several threads. Which thread runs a seed changes nothing of it. */
import { Worker } from 'node:worker_threads';
import { type CampaignOptions, runShare, type SeedResult } from './campaign.ts';
import type { Share } from './campaign-worker.ts';

/** Sources run as they are; the bundler puts this file in `dist/chunks` and the worker above it. */
const entry = (): URL =>
  new URL(
    import.meta.url.endsWith('.ts') ? './campaign-worker.ts' : '../sim-worker.js',
    import.meta.url,
  );

export interface JobOptions {
  readonly jobs: number;
  readonly signal?: AbortSignal;
}

/** Runs all seeds; `told` hears of each, in whatever order. */
export async function runCampaign(
  options: CampaignOptions,
  { jobs, signal }: JobOptions,
  told: (result: SeedResult) => void,
): Promise<void> {
  const step = Math.max(1, Math.min(jobs, options.count));
  if (step === 1) {
    for (const result of runShare(options, 1, 0)) {
      told(result);
      if (signal?.aborted === true) break;
      // Lets signals and output have their turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return;
  }
  const shares = Array.from({ length: step }, (_, offset) => ({ options, step, offset }));
  await Promise.all(shares.map((share) => runThread(share, signal, told)));
}

async function runThread(
  share: Share,
  signal: AbortSignal | undefined,
  told: (result: SeedResult) => void,
): Promise<void> {
  const worker = new Worker(entry(), { workerData: share, name: `aegis-sim-${share.offset}` });
  const stop = (): void => void worker.terminate();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (result: SeedResult) => told(result));
      worker.once('error', reject);
      worker.once('exit', () => resolve());
    });
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}
