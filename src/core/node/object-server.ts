/**
 * Answers requests for objects: reads from the store, writes a CAR. While one batch goes out the
 * next is read. What is sent is not hashed here; the receiver does that anyway.
 */

import { decodeFetchRequest } from '../kb/request.ts';
import { Serving } from '../kb/serve.ts';
import type { Log } from '../ports.ts';
import type { ContentStore } from '../storage/content-store.ts';

/** Where the answer goes; `write` resolves when there is room for more. */
export interface BulkOut {
  readonly signal: AbortSignal;
  write(chunk: Uint8Array): Promise<void>;
}

export class ObjectServer {
  readonly #content: ContentStore;
  readonly #log: Log;

  constructor(deps: { content: ContentStore; log: Log }) {
    this.#content = deps.content;
    this.#log = deps.log;
  }

  /** @throws {AegisError} for a request that is not one; the stream is then reset. */
  async answer(from: string, request: Uint8Array, out: BulkOut): Promise<void> {
    const wanted = decodeFetchRequest(request);
    const serving = new Serving(wanted);
    let next = this.#read(serving);
    while (next !== undefined && !out.signal.aborted) {
      const chunks = serving.give(await next);
      next = this.#read(serving);
      next?.catch(() => {});
      for (const chunk of chunks) await out.write(chunk);
    }
    const { sentBytes, sentBlocks } = serving;
    const fields = { to: from, root: wanted.root.toString(), sentBytes, sentBlocks };
    this.#log.write('debug', 'served objects', fields);
  }

  #read(serving: Serving): Promise<readonly (Uint8Array | undefined)[]> | undefined {
    const cids = serving.wants();
    return cids.length === 0 ? undefined : this.#content.getMany(cids);
  }
}
