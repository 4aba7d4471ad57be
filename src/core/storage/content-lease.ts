/**
 * W31: what a writer holds from before its first object is stored until what names the root is
 * recorded: nothing that it has stored, or found here and counts on, is collected meanwhile. Hold
 * it in `try`, let it go in `finally`. It reserves no room and orders no writes.
 */
import type { CID } from 'multiformats/cid';
import type { LeafKeys } from '../crypto/sealed-leaf.ts';
import type { Block, ContentStore, PutOptions, ReadOptions } from './content-store.ts';

export interface LeaseOptions {
  /** A root that it is about: what of it is here already stays, too. */
  readonly root?: CID;
  /** W28: what is stored counts against the quota. Puts, and fetches for others. */
  readonly isBound: boolean;
}

type Leased = Pick<ContentStore, 'put' | 'addLeaves' | 'has' | 'getMany' | 'setRoot' | 'setRoots'>;

export class ContentLease implements Leased {
  readonly #store: Leased;
  readonly #id: number;
  readonly #release: () => void;

  constructor(store: Leased, id: number, release: () => void) {
    this.#store = store;
    this.#id = id;
    this.#release = release;
  }

  put(blocks: readonly Block[], options: PutOptions): Promise<void> {
    return this.#store.put(blocks, options, this.#id);
  }

  addLeaves(chunks: Uint8Array[], hash: 'blake3' | 'sha2-256', seal?: LeafKeys): Promise<CID[]> {
    return this.#store.addLeaves(chunks, hash, seal, this.#id);
  }

  has(cids: readonly CID[]): Promise<boolean[]> {
    return this.#store.has(cids, this.#id);
  }

  getMany(cids: readonly CID[], options?: ReadOptions): Promise<(Uint8Array | undefined)[]> {
    return this.#store.getMany(cids, options, this.#id);
  }

  setRoot(cid: CID, root: { complete: boolean; sizeBytes: number }): Promise<void> {
    return this.#store.setRoot(cid, root, this.#id);
  }

  setRoots(roots: Parameters<ContentStore['setRoots']>[0]): Promise<void> {
    return this.#store.setRoots(roots, this.#id);
  }

  /** Whoever counts on the objects now has said so elsewhere. Harmless when called again. */
  release(): void {
    this.#release();
  }
}
