/**
 * Turns a byte stream into stored leaves: cuts it into chunks of 1 MiB and hands them to the
 * content store in batches, so that 1,000 small files cost a few commits and not 1,000.
 */
import type { CID } from 'multiformats/cid';
import { MIB } from '../units.ts';

/** Leaf size of the UnixFS profile `unixfs-v1-2025` (IPIP-499). */
export const LEAF_BYTES = MIB;

export type AddLeaves = (chunks: Uint8Array[]) => Promise<CID[]>;

const BATCH_BYTES = 8 * MIB;
const BATCH_LEAVES = 512;
/** Batches on their way to the store at once: one being hashed while the next is filled. */
const BATCHES_IN_FLIGHT = 2;

interface Waiting {
  readonly chunk: Uint8Array;
  readonly resolve: (cid: CID) => void;
  readonly reject: (error: unknown) => void;
}

export class LeafWriter {
  readonly #add: AddLeaves;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  readonly #inFlight = new Set<Promise<void>>();

  constructor(add: AddLeaves) {
    this.#add = add;
  }

  /**
   * Queues one leaf. The outer promise resolves when there is room for the next one; `cid` when
   * the leaf is durable.
   */
  async write(chunk: Uint8Array): Promise<{ cid: Promise<CID> }> {
    const { promise: cid, resolve, reject } = Promise.withResolvers<CID>();
    // The reader of `cid` may come late; an unhandled rejection must not end the process first.
    cid.catch(() => {});
    this.#waiting.push({ chunk, resolve, reject });
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes >= BATCH_BYTES || this.#waiting.length >= BATCH_LEAVES) this.#send();
    while (this.#inFlight.size >= BATCHES_IN_FLIGHT) await Promise.race(this.#inFlight);
    return { cid };
  }

  /** Resolves when all that was written has been answered. */
  async flush(): Promise<void> {
    this.#send();
    await Promise.all(this.#inFlight);
  }

  #send(): void {
    if (this.#waiting.length === 0) return;
    const batch = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    const done = this.#add(batch.map((leaf) => leaf.chunk))
      .then(
        (cids) => batch.forEach((leaf, i) => leaf.resolve(cids[i]!)),
        (error: unknown) => batch.forEach((leaf) => leaf.reject(error)),
      )
      .finally(() => this.#inFlight.delete(done));
    this.#inFlight.add(done);
  }
}

/**
 * Re-cuts a stream into chunks of exactly `sizeBytes`; the last one may be shorter. Chunks are as
 * large as what is in them: 1,000 small files must not cost 1,000 large buffers.
 */
export async function* cut(
  source: AsyncIterable<Uint8Array>,
  sizeBytes: number,
): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let filled = 0;
  for await (const bytes of source) {
    for (let from = 0; from < bytes.length; ) {
      const taken = Math.min(sizeBytes - filled, bytes.length - from);
      parts.push(bytes.subarray(from, from + taken));
      filled += taken;
      from += taken;
      if (filled < sizeBytes) continue;
      yield join(parts, filled);
      parts = [];
      filled = 0;
    }
  }
  if (filled > 0) yield join(parts, filled);
}

/** In memory of its own, so that it can move to another thread. */
function join(parts: readonly Uint8Array[], sizeBytes: number): Uint8Array {
  const whole = new Uint8Array(Buffer.allocUnsafeSlow(sizeBytes).buffer);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
