/**
 * The durable facts of the machines, in `chain.db`. One call of `commit` is one transaction; what
 * it resolved for survives `kill -9` and a power cut. This store does not know what the facts mean,
 * and holds no content: bulk writes never delay a vote.
 */
import type { LogEntry } from '../machine.ts';
import type { OpenOptions } from './database.ts';
import { Link, type StoreDependencies } from './link.ts';
import { memoryOf, packEntries } from './packed-entries.ts';
import type { ChainOperations, RangeQuery, StoreSpace, TableRow } from './protocol.ts';
import type { StandingOptions, StandingReport } from './standing.ts';

export class ChainStore {
  readonly #link: Link<ChainOperations>;

  private constructor(link: Link<ChainOperations>) {
    this.#link = link;
  }

  /** @throws {AegisError} `STORE_DAMAGED`, `HOME_TOO_NEW`, `DISK_FULL`, `DENIED`. */
  static async open(
    path: string,
    dependencies: StoreDependencies,
    options: OpenOptions & StandingOptions = {},
  ): Promise<ChainStore> {
    return new ChainStore(await Link.open('chain', path, dependencies, options));
  }

  /**
   * Writes all entries, in order, or none. Durable when it resolves.
   * @throws {AegisError} `DISK_FULL`: nothing is written, and the same call may succeed later.
   */
  async commit(entries: readonly LogEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const packed = packEntries(entries);
    await this.#link.call('commit', packed, memoryOf(packed));
  }

  /**
   * As `commit`, for what can wait: never in one transaction with the entries of others, which
   * would fail with it on a full disk. Others wait for it, so it must be small.
   */
  async commitApart(entries: readonly LogEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const packed = packEntries(entries);
    await this.#link.call('commitApart', packed, memoryOf(packed));
  }

  /**
   * Gives some of the free pages back to the disk.
   * @returns how many are still free.
   * @throws {AegisError} `DISK_FULL`: the log takes no more; nothing has changed.
   */
  async shrink(pages: number): Promise<number> {
    return await this.#link.call('shrink', pages);
  }

  /** Empties the log into the file, which others wait for, and says what both take. */
  async space(): Promise<StoreSpace> {
    return await this.#link.call('space', undefined);
  }

  /** What could be given back. */
  async freeBytes(): Promise<number> {
    return await this.#link.call('freeBytes', undefined);
  }

  /** All rows of a table in the order of their keys (by bytes). */
  async scan(table: string): Promise<TableRow[]> {
    return await this.#link.call('scan', table);
  }

  async get(table: string, key: string): Promise<Uint8Array | undefined> {
    return await this.#link.call('get', { table, key });
  }

  /** The values of many keys, in their order. */
  async getMany(table: string, keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return await this.#link.call('getMany', { table, keys });
  }

  /** The first `limit` rows of the keys from `from` and before `to`, in the order of `scan`. */
  async range(query: RangeQuery): Promise<TableRow[]> {
    return await this.#link.call('range', query);
  }

  /** D3: whether the file still held all that had been durable in it when it was opened. */
  async standing(): Promise<StandingReport> {
    return await this.#link.call('standing', undefined);
  }

  /** D4: the doubt is over. Until then each open finds it again. */
  async settle(): Promise<void> {
    await this.#link.call('settle', undefined);
  }

  async close(): Promise<void> {
    await this.#link.close();
  }
}
