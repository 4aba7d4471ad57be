/**
 * Answers requests for objects: reads from the store, writes a CAR. While one batch goes out the
 * next is read. What is read is checked, so that damage on this disk never looks like a lie.
 */
import type { CID } from 'multiformats/cid';
import { decodeFetchRequest } from '../kb/request.ts';
import { Serving } from '../kb/serve.ts';
import type { Log } from '../ports.ts';

/** Where the answer goes; `write` resolves when there is room for more. */
export interface BulkOut {
  readonly signal: AbortSignal;
  write(chunk: Uint8Array): Promise<void>;
}

type Found = readonly (Uint8Array | undefined)[];

export interface ObjectServerDeps {
  /** Objects that are sound, undefined for the rest. */
  read(cids: readonly CID[]): Promise<Found>;
  /** A root that this node was asked for lacks an object. */
  incomplete(root: CID): void;
  readonly log: Log;
}

export class ObjectServer {
  readonly #deps: ObjectServerDeps;

  constructor(deps: ObjectServerDeps) {
    this.#deps = deps;
  }

  /** @throws {AegisError} for a request that is not one; the stream is then reset. */
  async answer(from: string, request: Uint8Array, out: BulkOut): Promise<void> {
    const wanted = decodeFetchRequest(request);
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

  #read(serving: Serving): Promise<Found> | undefined {
    const cids = serving.wants();
    return cids.length === 0 ? undefined : this.#deps.read(cids);
  }
}
