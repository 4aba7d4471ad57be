/** What a daemon takes and has queued, seen from outside: from the kernel and its own metrics. */
import { readdirSync, readFileSync } from 'node:fs';
import { clientOf } from '../e2e/support/api.ts';
import type { Cluster } from '../e2e/support/cluster.ts';
import { slopeOf } from './slope.ts';

/** Units are those of `LIMITS`, a minute. */
export type Figure = 'rssMib' | 'files' | 'threads' | 'mempool';

export interface Sample extends Readonly<Record<Figure, number>> {
  /** Since the beginning. */
  readonly minute: number;
}

/**
 * Growth a minute, over what is left after the first third, that counts as a leak. Memory moves by
 * tens of MiB with the load and its faults, so that the line through an hour is steep only where
 * something is kept.
 */
export const LIMITS: Readonly<Record<Figure, number>> = {
  rssMib: 1.5,
  files: 0.5,
  threads: 0.1,
  mempool: 0.5,
};

export async function sampleOf(cluster: Cluster, node: number, minute: number): Promise<Sample> {
  const pid = await cluster.pid(node);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  const { mempool } = await clientOf(cluster, node).call('consensus.status');
  return {
    minute,
    rssMib: field('VmRSS') / 1024,
    files: readdirSync(`/proc/${pid}/fd`).length,
    threads: field('Threads'),
    mempool: mempool.intents,
  };
}

/** By figure, its growth a minute after the first third. */
export function growthOf(samples: readonly Sample[]): Record<Figure, number> {
  const late = samples.slice(Math.floor(samples.length / 3));
  const of = (figure: Figure): number =>
    slopeOf(late.map((sample) => ({ minute: sample.minute, value: sample[figure] })));
  return {
    rssMib: of('rssMib'),
    files: of('files'),
    threads: of('threads'),
    mempool: of('mempool'),
  };
}
