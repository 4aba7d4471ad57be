/**
 * Whether the cluster can be used: once a second one document is put and read on another node.
 * A user whose node does not answer asks the next one, so a probe may do so too; it counts as
 * failed when it has not come to its end within 10 s.
 */
import { clientOf, readBytes } from '../e2e/support/api.ts';
import type { Cluster } from '../e2e/support/cluster.ts';
import { pause } from './load.ts';

const PROBE_MS = 10_000;
const EVERY_MS = 1000;

export interface Availability {
  readonly probes: number;
  readonly failed: number;
  /** Milliseconds of those that did not fail. */
  readonly times: readonly number[];
  /** Of the failed ones. */
  readonly reasons: readonly string[];
}

export async function probe(cluster: Cluster, signal: AbortSignal): Promise<Availability> {
  const times: number[] = [];
  const reasons: string[] = [];
  let probes = 0;
  while (!signal.aborted) {
    const from = performance.now();
    probes += 1;
    const late = AbortSignal.timeout(PROBE_MS);
    try {
      await within(late, once(cluster, probes, late));
      times.push(performance.now() - from);
    } catch (error) {
      const { message } = error as Error;
      reasons.push(`probe ${probes}, at ${new Date().toISOString()}: ${message}`);
    }
    await pause(Math.max(0, EVERY_MS - (performance.now() - from)), signal);
  }
  return { probes, failed: reasons.length, times, reasons };
}

async function once(cluster: Cluster, serial: number, late: AbortSignal): Promise<void> {
  const path = `probe/${serial % 50}`;
  const text = `probe ${serial}`;
  const nodes = cluster.devnet.nodes.length;
  const query = { path, wait: 'final', timeoutMs: PROBE_MS } as const;
  const version = await byTurns(serial, nodes, late, async (node) => {
    const source = {
      kind: 'file',
      bytes: (async function* () {
        yield Buffer.from(text);
      })(),
      sizeBytes: text.length,
    } as const;
    return (await clientOf(cluster, node, 3000).put(query, source)).version;
  });
  const read = await byTurns(serial + 1, nodes, late, async (node) =>
    readBytes(cluster, node, `${path}@${version}`),
  );
  if (read.toString() !== text) throw new Error(`the probe read ${read.length} other bytes`);
}

/** Asks node after node, beginning with another one each time. */
async function byTurns<T>(
  first: number,
  nodes: number,
  late: AbortSignal,
  ask: (node: number) => Promise<T>,
): Promise<T> {
  let why: unknown;
  for (let turn = 0; !late.aborted; turn += 1) {
    try {
      return await within(AbortSignal.timeout(3000), ask(((first + turn) % nodes) + 1));
    } catch (error) {
      why = error;
    }
  }
  throw why;
}

async function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const end = (): void => reject(new Error('it took too long'));
  signal.addEventListener('abort', end, { once: true });
  work.catch(() => {});
  promise.catch(() => {});
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}
