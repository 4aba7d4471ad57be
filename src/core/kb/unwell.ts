/**
 * Versions with fewer copies than the placement asks for, and since when (W25). The rows are
 * written when the account of a version says so; a version that is placed anew within a step was
 * unwell all the time. It repairs nothing.
 */

import { type Instant, instant } from '../units.ts';
import type { Account } from './accounts.ts';
import type { Replicas } from './replicas.ts';
import { type KbStore, TABLES } from './store.ts';
import type { Turn } from './turn.ts';

export interface Unwell {
  readonly account: Account;
  readonly since: Instant;
}

const TIME_BYTES = 6;

export class UnwellVersions {
  readonly #store: KbStore;
  readonly #turn: Turn;
  /** By key of the account: since when what seems to be well in this step was not. */
  readonly #ended = new Map<string, Instant>();

  constructor(store: KbStore, turn: Turn) {
    this.#store = store;
    this.#turn = turn;
  }

  /** The account has become short of copies, or is not any more. */
  changed({ key }: Pick<Account, 'key'>, isShort: boolean): void {
    if (isShort) {
      this.#store.set(TABLES.short, key, timeRow(this.#ended.get(key) ?? this.#turn.now));
      this.#ended.delete(key);
      return;
    }
    const row = this.#store.get(TABLES.short, key);
    if (row === undefined) return;
    this.#store.set(TABLES.short, key, undefined);
    this.#ended.set(key, readTime(row));
  }

  /** At the end of each step: tells what is well again. What does not concern us is not. */
  flush(replicas: Pick<Replicas, 'fresh'>): void {
    for (const [key, since] of this.#ended) {
      const account = replicas.fresh({ key });
      if (account === undefined || account.isGuest) continue;
      const forMs = Math.max(0, this.#turn.now - since);
      this.#turn.tell({ type: 'mended', root: account.root, forMs });
    }
    this.#ended.clear();
  }

  /** In the order of their keys. */
  page(replicas: Pick<Replicas, 'fresh'>, after: string | undefined, limit: number): Unwell[] {
    const from = after === undefined ? '' : `${after}\0`;
    const page: Unwell[] = [];
    for (const { key, value } of this.#store.range({ table: TABLES.short, from, limit })) {
      const account = replicas.fresh({ key });
      if (account !== undefined) page.push({ account, since: readTime(value) });
    }
    return page;
  }
}

export function timeRow(at: Instant): Uint8Array {
  const row = Buffer.alloc(TIME_BYTES);
  row.writeUIntBE(at, 0, TIME_BYTES);
  return row;
}

export const readTime = (row: Uint8Array): Instant =>
  instant(Buffer.from(row).readUIntBE(0, TIME_BYTES));
