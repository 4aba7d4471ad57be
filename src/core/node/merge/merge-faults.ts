/**
 * Merges that are not what their parents come to (W18), and who has handed them in: remembered, so
 * that the log of a path can say so after a restart. It computes nothing.
 */
import type { LogEntry } from '../../machine.ts';
import { versionCidOf } from '../../model/version.ts';

export const MERGE_FAULTS_TABLE = 'node/merge-faults';

export interface MergeFaultsStore {
  commit(entries: readonly LogEntry[]): Promise<void>;
  getMany(table: string, keys: readonly string[]): Promise<(Uint8Array | undefined)[]>;
}

/** Merges that blocks have brought lately, of which it is remembered who handed them in. */
const BROUGHT_MAX = 4096;

export class MergeFaults {
  readonly #store: MergeFaultsStore;
  readonly #brought = new Map<string, string>();

  constructor(store: MergeFaultsStore) {
    this.#store = store;
  }

  brought(record: Uint8Array, by: string): void {
    this.#brought.set(versionCidOf(record).toString(), by);
    if (this.#brought.size > BROUGHT_MAX) {
      this.#brought.delete(this.#brought.keys().next().value!);
    }
  }

  /** Node id; undefined when that is not remembered. */
  broughtBy(cidText: string): string | undefined {
    return this.#brought.get(cidText);
  }

  /** @param by node id; '' when nobody knows. */
  async add(cidText: string, by: string): Promise<void> {
    const value = new TextEncoder().encode(by);
    await this.#store.commit([{ table: MERGE_FAULTS_TABLE, key: cidText, value }]);
  }

  /** Of each, who has handed in a merge that is wrong; undefined when nothing is wrong. */
  async find(versions: readonly string[]): Promise<(string | undefined)[]> {
    const rows = await this.#store.getMany(MERGE_FAULTS_TABLE, versions);
    return rows.map((row) => (row === undefined ? undefined : new TextDecoder().decode(row)));
  }
}
