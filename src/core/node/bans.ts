/** Whom the operator of this node has banned (docs/keys.md, M4). Survives restarts. */
import type { ChainStore } from '../storage/chain-store.ts';

export const BANS_TABLE = 'node/bans';
/** More than a cluster has members. */
export const BANS_MAX = 1024;

const YES = Uint8Array.of(1);

export class Bans {
  readonly #store: Pick<ChainStore, 'commit'>;
  readonly #banned: Set<string>;

  private constructor(store: Pick<ChainStore, 'commit'>, banned: Set<string>) {
    this.#store = store;
    this.#banned = banned;
  }

  static async open(store: Pick<ChainStore, 'commit' | 'scan'>): Promise<Bans> {
    const rows = await store.scan(BANS_TABLE);
    return new Bans(store, new Set(rows.map(({ key }) => key)));
  }

  has(nodeId: string): boolean {
    return this.#banned.has(nodeId);
  }

  all(): readonly string[] {
    return [...this.#banned];
  }

  get size(): number {
    return this.#banned.size;
  }

  /** Durable when it resolves. @returns whether that is news. */
  async set(nodeId: string, isBanned: boolean): Promise<boolean> {
    const isNew = this.#banned.has(nodeId) !== isBanned;
    // In force at once: what the disk makes of it must not let anybody in meanwhile.
    if (isBanned) this.#banned.add(nodeId);
    await this.#store.commit([
      { table: BANS_TABLE, key: nodeId, value: isBanned ? YES : undefined },
    ]);
    if (!isBanned) this.#banned.delete(nodeId);
    return isNew;
  }
}
