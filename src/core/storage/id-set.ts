/**
 * A set of row numbers, a bit each: ten million objects take a megabyte and a half, where a table
 * of their names would take six hundred. Pages without any member take nothing.
 */
import { assert } from '../assert.ts';

/** Numbers of one page; 512 bytes. */
const PAGE_LENGTH = 4096;

export class IdSet {
  readonly #pages = new Map<number, Uint8Array>();

  /** @returns whether it is new. */
  add(id: number): boolean {
    assert(Number.isSafeInteger(id) && id >= 0, 'rows are numbered from 0');
    const number = Math.floor(id / PAGE_LENGTH);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new Uint8Array(PAGE_LENGTH / 8);
      this.#pages.set(number, page);
    }
    const at = id % PAGE_LENGTH;
    const bit = 1 << (at & 7);
    const isNew = (page[at >> 3]! & bit) === 0;
    page[at >> 3]! |= bit;
    return isNew;
  }

  has(id: number): boolean {
    const page = this.#pages.get(Math.floor(id / PAGE_LENGTH));
    const at = id % PAGE_LENGTH;
    return page !== undefined && (page[at >> 3]! & (1 << (at & 7))) !== 0;
  }

  /** Adds all of another set. */
  join(other: IdSet): void {
    for (const [number, theirs] of other.#pages) {
      const ours = this.#pages.get(number);
      if (ours === undefined) this.#pages.set(number, theirs.slice());
      else for (const [at, bits] of theirs.entries()) ours[at]! |= bits;
    }
  }
}
