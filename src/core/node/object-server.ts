/**
 * Answers requests for objects: reads from the store, writes a CAR, or a frame with a CAR for each
 * root of a batch. While one portion goes out the next is read. What is read is checked, so that
 * damage on this disk never looks like a lie.
 */
import type { CID } from 'multiformats/cid';
import { isAegisError } from '../errors.ts';
import { encodeCarHeader } from '../kb/car.ts';
import { LIMITS } from '../kb/limits.ts';
import type { FetchRequest } from '../kb/request.ts';
import { decodeFetch, encodeAnswer } from '../kb/request-batch.ts';
import { Serving } from '../kb/serve.ts';
import type { Host } from '../network/host.ts';
import type { Log } from '../ports.ts';
import type { ObjectReader } from './object-reader.ts';

/** Where the answer goes; `write` resolves when there is room for more. */
export interface BulkOut {
  readonly signal: AbortSignal;
  write(chunk: Uint8Array): Promise<void>;
}

/** Roots of a batch that are read together: their first objects are held in memory. */
const ROOTS_AT_ONCE = 8;

type Found = readonly (Uint8Array | undefined)[];

export interface ObjectServerDeps {
  /** Objects that are sound, undefined for the rest. */
  read(cids: readonly CID[]): Promise<Found>;
  /** A root that this node was asked for lacks an object. */
  incomplete(root: CID): void;
  readonly log: Log;
}

/** Answers whoever asks the host for objects. */
export function serveObjects(
  host: Pick<Host, 'handleBulk'>,
  reader: Pick<ObjectReader, 'sound'>,
  incomplete: ObjectServerDeps['incomplete'],
  log: Log,
): void {
  const server = new ObjectServer({ read: (cids) => reader.sound(cids), incomplete, log });
  host.handleBulk((from, request, out) => server.answer(from, request, out));
}

export class ObjectServer {
  readonly #deps: ObjectServerDeps;

  constructor(deps: ObjectServerDeps) {
    this.#deps = deps;
  }

  /** @throws {AegisError} for a request that is not one; the stream is then reset. */
  async answer(from: string, request: Uint8Array, out: BulkOut): Promise<void> {
    const { requests, isBatch } = decodeFetch(request);
    if (isBatch) await this.#answerBatch(from, requests, out);
    else await this.#answerOne(from, requests[0]!, out);
  }

  async #answerOne(from: string, wanted: FetchRequest, out: BulkOut): Promise<void> {
    const serving = new Serving(wanted);
    let next = this.#read(serving);
    // The reader may be gone already, and then nobody awaits this.
    next?.catch(() => {});
    while (next !== undefined && !out.signal.aborted) {
      const found = await next;
      const chunks = serving.give(found);
      if (found.includes(undefined)) this.#deps.incomplete(wanted.root);
      next = this.#read(serving);
      next?.catch(() => {});
      for (const chunk of chunks) await out.write(chunk);
    }
    const { sentBytes, sentBlocks } = serving;
    const fields = { to: from, root: wanted.root.toString(), sentBytes, sentBlocks };
    this.#deps.log.write('debug', 'served objects', fields);
  }

  async #answerBatch(from: string, all: readonly FetchRequest[], out: BulkOut): Promise<void> {
    let sentBytes = 0;
    let sentRoots = 0;
    while (sentRoots < all.length && sentBytes < LIMITS.batchAnswerBytes && !out.signal.aborted) {
      const some = all.slice(sentRoots, sentRoots + ROOTS_AT_ONCE).map((wanted) => {
        const maxBytes = Math.min(wanted.maxBytes, LIMITS.batchRootBytes);
        return { root: wanted.root, serving: new Serving({ ...wanted, maxBytes }) };
      });
      // The root of each; what is below them is read one root after the other.
      const found = await this.#deps.read(some.flatMap(({ serving }) => serving.wants()));
      const frames: Uint8Array[] = [];
      for (const [at, { root, serving }] of some.entries()) {
        if (sentBytes >= LIMITS.batchAnswerBytes) break;
        const frame = encodeAnswer(await this.#carOf(root, serving, found[at]));
        frames.push(frame);
        sentBytes += frame.length;
      }
      sentRoots += frames.length;
      await out.write(Buffer.concat(frames));
    }
    const fields = { to: from, roots: all.length, sentRoots, sentBytes };
    this.#deps.log.write('debug', 'served a batch', fields);
  }

  /** A root with a DAG that is not sound costs only itself. */
  async #carOf(
    root: CID,
    serving: Serving,
    first: Uint8Array | undefined,
  ): Promise<readonly Uint8Array[]> {
    const car: Uint8Array[] = [];
    try {
      for (let found: Found | undefined = [first]; found !== undefined; ) {
        car.push(...serving.give(found));
        if (found.includes(undefined)) this.#deps.incomplete(root);
        const bytes = car.reduce((sum, chunk) => sum + chunk.length, 0);
        found = bytes < LIMITS.batchRootBytes ? await this.#read(serving) : undefined;
      }
      return car;
    } catch (error) {
      if (!isAegisError(error)) throw error;
      return [encodeCarHeader([])];
    }
  }

  #read(serving: Serving): Promise<Found> | undefined {
    const cids = serving.wants();
    return cids.length === 0 ? undefined : this.#deps.read(cids);
  }
}
