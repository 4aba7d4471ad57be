/**
 * Digests of the copies here and at other nodes, by node, as each pair of nodes can compare them:
 * what one has, and what the other believes of it. They lie in rows, and in memory for the nodes.
 */
import { CID } from 'multiformats/cid';
import { DIGEST_BYTES, SetDigest } from './set-digest.ts';
import { type KbStore, TABLES } from './store.ts';

/** `here`: copies of this node of which the other keeps account; `there`: those of the other. */
export type HeldSide = 'here' | 'there';

interface Digests {
  readonly here: SetDigest;
  readonly there: SetDigest;
}

export class Held {
  readonly #store: KbStore;
  readonly #nodes = new Map<string, Digests>();

  constructor(store: KbStore) {
    this.#store = store;
    for (const { key, value } of store.under(TABLES.held, '')) {
      const here = new SetDigest(value.subarray(0, DIGEST_BYTES));
      this.#nodes.set(key, { here, there: new SetDigest(value.subarray(DIGEST_BYTES)) });
    }
  }

  digest(side: HeldSide, nodeId: string): Uint8Array {
    return this.#nodes.get(nodeId)?.[side].bytes ?? new Uint8Array(DIGEST_BYTES);
  }

  /** The copy of a version is new, or is there no more. */
  toggle(side: HeldSide, nodeId: string, { cidText }: { readonly cidText: string }): void {
    const digests = this.#nodes.get(nodeId) ?? { here: new SetDigest(), there: new SetDigest() };
    this.#nodes.set(nodeId, digests);
    digests[side].toggle(CID.parse(cidText).multihash.digest);
    const row = Buffer.concat([digests.here.bytes, digests.there.bytes]);
    this.#store.set(TABLES.held, nodeId, row);
  }
}
