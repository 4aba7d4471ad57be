/**
 * The filter of what is in the index (W34), in the index's worker. It is not stored: the words of
 * the index say it at every start. What was taken out goes at the next time it is made anew.
 */
import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { type FilterNews, type FilterState, GrownFilter } from '../kb/find/grown-filter.ts';
import { FIND_LIMITS } from '../kb/find/limits.ts';
import { EPOCH_BYTES } from '../kb/find/messages.ts';
import { TERM_PATTERN } from '../kb/find/terms.ts';

/** So many versions, or so large a part of all, go before the filter is made anew without them. */
const GONE_MIN = 1000;
const GONE_SHARE = 0.25;

export class IndexFilter {
  readonly #db: DatabaseSync;
  #filter: GrownFilter;
  #gone = 0;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#filter = this.#made(FIND_LIMITS.filterBitsMin);
  }

  get state(): FilterState {
    return this.#filter.state;
  }

  news(known: FilterState | undefined): FilterNews {
    return this.#filter.since(known);
  }

  add(terms: Iterable<string>): void {
    this.#filter.add(terms);
  }

  /** A version was taken out. */
  gone(): void {
    this.#gone += 1;
  }

  /** After each change: outside of a transaction, so that what is read is what is there. */
  settle(): void {
    if (this.#filter.isFull) this.#filter = this.#made(2 * this.#filter.bits);
    if (this.#gone >= GONE_MIN && this.#gone >= GONE_SHARE * this.#count()) this.renew();
  }

  /** Without what was taken out. */
  renew(): void {
    this.#filter = this.#made(FIND_LIMITS.filterBitsMin);
  }

  /** With at least so many bits. */
  #made(bits: number): GrownFilter {
    const filter = new GrownFilter(randomBytes(EPOCH_BYTES).toString('hex'), bits);
    this.#gone = 0;
    for (const row of this.#db.prepare('SELECT term FROM held_terms').iterate()) {
      const term = String(row['term']);
      if (TERM_PATTERN.test(term)) filter.add([term]);
      if (filter.isFull) return this.#made(2 * bits);
    }
    return filter;
  }

  #count(): number {
    const sql = "SELECT count(*) AS count FROM documents WHERE content = 'held'";
    return Number(this.#db.prepare(sql).get()?.['count']);
  }
}
