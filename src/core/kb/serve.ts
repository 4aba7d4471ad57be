/**
 * The holder's side of a fetch: what to read from the store and what to send, in order. It reads
 * and sends nothing itself, and holds no more than one batch.
 */
import type { CID } from 'multiformats/cid';
import { MIB } from '../units.ts';
import { encodeCarBlock, encodeCarHeader } from './car.ts';
import { type FetchRequest, skipsOf } from './request.ts';
import { DagWalk } from './walk.ts';

const BATCH_OBJECTS = 64;
const BATCH_BYTES = 4 * MIB;

export class Serving {
  readonly #request: FetchRequest;
  readonly #walk: DagWalk;
  #sentBytes = 0;
  #sentBlocks = 0;
  #headed = false;
  #over = false;

  constructor(request: FetchRequest) {
    this.#request = request;
    const { root, ranges, skip } = request;
    this.#walk = new DagWalk({ root, ranges, skips: skipsOf(skip) });
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  get sentBlocks(): number {
    return this.#sentBlocks;
  }

  /** The objects to read next, in order; empty when all has been sent. */
  wants(): CID[] {
    if (this.#over) return [];
    return this.#walk.ahead(BATCH_OBJECTS, BATCH_BYTES);
  }

  /**
   * Takes the objects of the last `wants()`, undefined where the store has none, and returns the
   * chunks to send. The answer ends at the first object that is missing. Its header names the root
   * only when the first object was there.
   * @throws {AegisError} when a stored DAG is not sound.
   */
  give(found: readonly (Uint8Array | undefined)[]): Uint8Array[] {
    const out: Uint8Array[] = [];
    if (!this.#headed) {
      this.#headed = true;
      out.push(encodeCarHeader(found[0] === undefined ? [] : [this.#request.root]));
    }
    for (const bytes of found) {
      const step = this.#walk.next();
      if (bytes === undefined || step === undefined) {
        this.#over = true;
        break;
      }
      this.#walk.give(bytes);
      if (!step.wanted) continue;
      out.push(...encodeCarBlock({ cid: step.cid, bytes }));
      this.#sentBytes += bytes.length;
      this.#sentBlocks += 1;
      if (this.#sentBytes >= this.#request.maxBytes) {
        this.#over = true;
        break;
      }
    }
    return out;
  }
}
