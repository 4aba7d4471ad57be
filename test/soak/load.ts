/**
 * What the soak does to a cluster: documents of all sizes in, and out again elsewhere, versions on
 * shared paths, deletions, and now and then a node that is killed, frozen or restarted. Nodes 1 and
 * 2 are never touched, so that what they keep can be measured.
 */
import { createHash } from 'node:crypto';
import { isAegisError } from '../../src/core/errors.ts';
import { KIB, MIB } from '../../src/core/units.ts';
import { clientOf, readBytes } from '../e2e/support/api.ts';
import { type Cluster, eventually } from '../e2e/support/cluster.ts';
import { Prng } from '../e2e/support/random.ts';

const PATHS = 200;
const LARGE_BYTES = 4 * MIB;
const SMALL_BYTES = 16 * KIB;
const CALL_MS = 60_000;
/** The nodes that faults are for, by number. */
const VICTIMS = [3, 4] as const;

export interface Load {
  /** Ends when the signal does. Throws when a document came out other than it went in. */
  work(signal: AbortSignal): Promise<void>;
  torment(signal: AbortSignal): Promise<void>;
  readonly counts: { puts: number; gets: number; bytes: number; faults: number; retries: number };
}

export interface LoadOptions {
  readonly seed: number;
  /** From the end of one fault to the next one, at most; at least a third of it. */
  readonly calmMsMax: number;
}

export function loadOf(cluster: Cluster, { seed, calmMsMax }: LoadOptions): Load {
  const prng = new Prng(seed);
  // Apart, so that the faults of a seed do not hang on how fast documents come and go.
  const faults = new Prng(seed + 1);
  const counts = { puts: 0, gets: 0, bytes: 0, faults: 0, retries: 0 };
  const put = async (node: number, path: string, bytes: Uint8Array): Promise<string> => {
    const source = {
      kind: 'file',
      bytes: (async function* () {
        yield bytes;
      })(),
      sizeBytes: bytes.length,
    } as const;
    const query = { path, wait: 'final', timeoutMs: CALL_MS } as const;
    return (await clientOf(cluster, node, CALL_MS).put(query, source)).version;
  };
  /** A node in trouble refuses; whoever uses it tries again. */
  const insist = <T>(ask: () => Promise<T>, what: string): Promise<T> =>
    eventually(
      async () => {
        try {
          return { value: await ask() };
        } catch (error) {
          if (!isAegisError(error)) throw error;
          counts.retries += 1;
          return { why: error.message };
        }
      },
      (answer): answer is { value: Awaited<T> } => 'value' in answer,
      what,
      2 * CALL_MS,
    ).then((answer) => (answer as { value: T }).value);
  const round = async (): Promise<void> => {
    const isLarge = prng.int(1, 20) === 1;
    const bytes = prng.bytes(prng.int(1, isLarge ? LARGE_BYTES : SMALL_BYTES));
    const path = `soak/${prng.int(1, PATHS)}`;
    const writer = prng.int(1, 2);
    const version = await insist(() => put(writer, path, bytes), `a put of ${path}`);
    counts.puts += 1;
    counts.bytes += bytes.length;
    const reader = prng.int(1, 4);
    const got = await insist(() => readBytes(cluster, reader, `${path}@${version}`), path);
    counts.gets += 1;
    if (digestOf(got) !== digestOf(bytes)) throw new Error(`${path}@${version} differs`);
  };
  return {
    counts,
    async work(signal) {
      while (!signal.aborted) await round();
    },
    async torment(signal) {
      while (!signal.aborted) {
        await pause(faults.int(Math.ceil(calmMsMax / 3), calmMsMax), signal);
        if (signal.aborted) return;
        counts.faults += 1;
        await trouble(cluster, faults, signal);
      }
    },
  };
}

async function trouble({ devnet }: Cluster, prng: Prng, signal: AbortSignal): Promise<void> {
  const victim = String(prng.pick(VICTIMS));
  const isKilled = prng.int(1, 2) === 1;
  await (isKilled ? devnet.kill(victim) : devnet.pause(victim));
  await pause(prng.int(1000, 12_000), signal);
  await devnet.resume(victim);
}

/** Resolves after so long, or when the signal says so. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const end = (): void => resolve();
  signal.addEventListener('abort', end, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  });
}

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
