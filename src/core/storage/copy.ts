/**
 * Copies both stores of a running node into new files, in a thread of its own: the node goes on
 * writing meanwhile. What is copied is what was durable at one moment; see `copy-worker.ts`.
 */
import { Worker } from 'node:worker_threads';
import { AegisError } from '../errors.ts';
import { MIB } from '../units.ts';
import type { Failure } from './protocol.ts';

export interface CopyOptions {
  readonly chainDb: string;
  readonly contentDb: string;
  /** New files. */
  readonly to: { readonly chainDb: string; readonly contentDb: string };
  /** Votes wait for the same disk. @default 32 MiB */
  readonly bytesPerSecondMax?: number;
  /** Ends the copying. */
  readonly signal?: AbortSignal;
}

export interface Copied {
  readonly chainBytes: number;
  readonly contentBytes: number;
}

export type CopyStart = Required<Omit<CopyOptions, 'signal'>>;
export type CopyAnswer = { readonly copied: Copied } | { readonly failure: Failure };

const BYTES_PER_SECOND_MAX = 32 * MIB;

const entry = (): URL =>
  new URL(
    import.meta.url.endsWith('.ts') ? './copy-worker.ts' : '../copy-worker.js',
    import.meta.url,
  );

/** Durable when it resolves. @throws {AegisError} `DISK_FULL`, `DENIED`, `STORE_DAMAGED`. */
export async function copyStores(options: CopyOptions): Promise<Copied> {
  const { signal, ...rest } = options;
  signal?.throwIfAborted();
  const workerData: CopyStart = { bytesPerSecondMax: BYTES_PER_SECOND_MAX, ...rest };
  const worker = new Worker(entry(), { workerData, name: 'aegis-copy' });
  const { promise, resolve, reject } = Promise.withResolvers<Copied>();
  const onAbort = (): void => reject(signal?.reason as Error);
  signal?.addEventListener('abort', onAbort, { once: true });
  worker.once('message', (answer: CopyAnswer) => {
    if ('copied' in answer) resolve(answer.copied);
    else reject(restore(answer.failure));
  });
  worker.once('error', reject);
  worker.once('exit', () => reject(new AegisError('BUG', 'the copying ended without a word')));
  try {
    return await promise;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await worker.terminate();
  }
}

const restore = ({ code, message, hint, details }: Failure): AegisError =>
  new AegisError(code, message, hint === undefined ? { details } : { hint, details });
