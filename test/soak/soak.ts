/** One soak: load, faults and probes for so long, and what came of them. */
import { Cluster } from '../e2e/support/cluster.ts';
import { type Load, type LoadOptions, loadOf, pause } from './load.ts';
import { type Availability, probe } from './probe.ts';
import { type Figure, growthOf, LIMITS, type Sample, sampleOf } from './samples.ts';

const NODES = 4;
const WORKERS = 2;
/** The nodes that nothing is done to, by number. */
const MEASURED = [1, 2] as const;

export interface SoakOptions extends LoadOptions {
  readonly minutes: number;
  readonly sampleMs: number;
  /** Told of each sample of node 1. */
  said?(sample: Sample, counts: Load['counts']): void;
}

export interface Report {
  readonly availability: Availability;
  readonly counts: Load['counts'];
  /** By node, those of the whole run. */
  readonly samples: ReadonlyMap<number, readonly Sample[]>;
}

export async function soak(options: SoakOptions): Promise<Report> {
  const cluster = await Cluster.start({ size: NODES });
  const over = new AbortController();
  try {
    const load = loadOf(cluster, options);
    const samples = new Map<number, Sample[]>(MEASURED.map((node) => [node, []]));
    const work = Array.from({ length: WORKERS }, () => load.work(over.signal));
    const all = [...work, load.torment(over.signal)];
    const failed = Promise.withResolvers<never>();
    for (const each of all) each.catch(failed.reject);
    failed.promise.catch(() => {});
    const availability = probe(cluster, over.signal);
    await Promise.race([watch(cluster, options, samples, load), failed.promise]);
    over.abort();
    await Promise.all(all);
    return { availability: await availability, counts: load.counts, samples };
  } finally {
    over.abort();
    await cluster.stop();
  }
}

async function watch(
  cluster: Cluster,
  { minutes, sampleMs, said }: SoakOptions,
  samples: ReadonlyMap<number, Sample[]>,
  { counts }: Load,
): Promise<void> {
  const begun = performance.now();
  const never = new AbortController().signal;
  for (;;) {
    const minute = (performance.now() - begun) / 60_000;
    for (const [node, list] of samples) list.push(await sampleOf(cluster, node, minute));
    said?.(samples.get(1)!.at(-1)!, counts);
    if (minute >= minutes) return;
    await pause(Math.min(sampleMs, (minutes - minute) * 60_000 + 1), never);
  }
}

/** What grew faster than it may, as lines; none when all is well. */
export function leaksOf({ samples }: Report): string[] {
  return [...samples].flatMap(([node, list]) => {
    const growth = growthOf(list);
    const figures = Object.keys(LIMITS) as Figure[];
    return figures
      .filter((figure) => growth[figure] > LIMITS[figure])
      .map((figure) => {
        const grew = `${growth[figure].toFixed(2)} ${figure} a minute`;
        return `node ${node} grew by ${grew}, at most ${LIMITS[figure]}`;
      });
  });
}
