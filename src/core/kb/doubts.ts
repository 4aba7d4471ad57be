/**
 * Copies that a node has confirmed and could not prove (W22). While a copy is doubted the word of
 * the node does not count for that root; each time it says that it has it, the owner is asked for
 * another audit. Who is asked for what, and how, is a matter of node/.
 */
import type { CID } from 'multiformats/cid';
import { type Account, rootKeyOf } from './accounts.ts';
import type { ReplicationShared } from './replication-types.ts';
import { TABLES } from './store.ts';

export class Doubts {
  readonly #shared: Pick<ReplicationShared, 'store' | 'turn'>;
  /** Audits that were asked for in this step. */
  readonly #asked = new Set<string>();

  constructor(shared: Pick<ReplicationShared, 'store' | 'turn'>) {
    this.#shared = shared;
  }

  /** @returns whether that is new. */
  set(nodeId: string, root: CID, isDoubted: boolean): boolean {
    const key = keyOf(nodeId, root);
    if (this.has(nodeId, root) === isDoubted) return false;
    this.#shared.store.set(TABLES.doubted, key, isDoubted ? Uint8Array.of(1) : undefined);
    return true;
  }

  has(nodeId: string, root: CID): boolean {
    return this.#shared.store.get(TABLES.doubted, keyOf(nodeId, root)) !== undefined;
  }

  /** A node says that it has a copy. @returns whether its word does not count. */
  refuses({ root }: Pick<Account, 'root'>, nodeId: string): boolean {
    if (!this.has(nodeId, root)) return false;
    const key = keyOf(nodeId, root);
    if (!this.#asked.has(key)) this.#shared.turn.tell({ type: 'auditWanted', nodeId, root });
    this.#asked.add(key);
    return true;
  }

  /** At the end of each step. */
  flush(): void {
    this.#asked.clear();
  }
}

const keyOf = (nodeId: string, root: CID): string => `${nodeId}/${rootKeyOf(root)}`;
